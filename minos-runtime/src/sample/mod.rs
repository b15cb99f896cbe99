//! Samples: a value of any type that serde reads, for tests that need one and do not care which.
//!
//! All that is simple comes first: `0`, `""`, `None`, the first variant. What a type refuses is replaced by the next one, such as a UUID or a time in
//! place of `""`.

mod maker;
mod shape;
#[cfg(test)]
mod tests;

pub(crate) use shape::{Difference, Shape};

use maker::{Kind, Maker, ROOT, Step};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess, VariantAccess,
    Visitor,
    value::{Error as Refused, StrDeserializer},
};
use std::any::type_name;
use thiserror::Error;

/// What strings are tried, after the empty one and a UUID of their own.
const STRINGS: &[&str] = &[
    "1970-01-01T00:00:00Z",
    "1970-01-01",
    "00:00:00",
    "1970-01-01T00:00:00",
    "PT1S",
    "1",
    "a",
    "a@example.org",
    "https://example.org/",
    "127.0.0.1",
    "127.0.0.1:1",
    "::1",
    "UTC",
    "EUR",
    "en",
];
const NUMBERS: &[u8] = &[0, 1, 2, 12, 100];
const FLOATS: &[f64] = &[0.0, 1.0, 0.5];
/// From here on the last variant comes before the first one, so that types that contain themselves come to an end.
const DEEP: usize = 4;
/// Deeper than any type that is not without end.
const DEEPEST: usize = 64;
/// How many values are tried, and of how many parts one is made.
const TRIES: usize = 5_000;

/// No value of a type could be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no sample of `{ty}` could be made{}: {why}", place(.at))]
pub struct NoSample {
    /// The type.
    pub ty: &'static str,
    /// Where in it, by the names of fields.
    pub at: Vec<String>,
    /// What the type says.
    pub why: String,
}

fn place(at: &[String]) -> String {
    if at.is_empty() { String::new() } else { format!(" at `{}`", at.join(".")) }
}

/// A value of this type: the first one that it does not refuse.
///
/// # Errors
/// If it refuses everything that was tried, as types do that say nothing about themselves before they are read (`#[serde(tag)]`, `#[serde(flatten)]`).
pub fn sample<T: DeserializeOwned>() -> Result<T, NoSample> {
    find(&mut Maker::default())
}

/// The shape of a type as it is stored, with values that show as much of it as there is: options that are some, lists that are not empty, and each variant of
/// each enum, one after the other. Or why none can be made.
pub(crate) fn trace<T: DeserializeOwned>(mut made: impl FnMut(Result<T, NoSample>)) -> Shape {
    let mut maker = Maker::full();
    made(find(&mut maker));
    // Not without end, whatever a type does.
    for _ in 0..TRIES {
        if !maker.wants_more() {
            break;
        }
        // What is refused now was refused before, or is a variant of which there is none.
        if let Ok(value) = find(&mut maker) {
            made(Ok(value));
        }
    }
    maker.shape()
}

fn find<T: DeserializeOwned>(maker: &mut Maker) -> Result<T, NoSample> {
    #[cfg(feature = "sensitive")]
    let _sampling = crate::sensitive::sampling();
    // The one that came furthest says most.
    let mut furthest: Option<(usize, NoSample)> = None;
    for _ in 0..TRIES {
        maker.begin();
        let error = match T::deserialize(Sampler { maker, depth: 0, node: ROOT }) {
            Ok(value) => return Ok(value),
            Err(error) => error.to_string(),
        };
        if maker.is_alias(&error) {
            continue;
        }
        if furthest.as_ref().is_none_or(|(reached, _)| *reached < maker.made) {
            let why = NoSample { ty: type_name::<T>(), at: maker.path.clone(), why: error };
            furthest = Some((maker.made, why));
        }
        if !maker.next() {
            break;
        }
    }
    let nothing = || NoSample { ty: type_name::<T>(), at: Vec::new(), why: "it was not tried".to_owned() };
    Err(furthest.map_or_else(nothing, |(_, why)| why))
}

struct Sampler<'m> {
    maker: &'m mut Maker,
    depth: usize,
    /// Where in the type.
    node: usize,
}

impl Sampler<'_> {
    fn one_of<'a, T>(&mut self, all: &'a [T]) -> Result<&'a T, Refused> {
        let chosen = self.maker.choose(all.len());
        all.get(chosen).ok_or_else(|| Refused::custom("there is nothing to choose"))
    }

    /// One part of it.
    fn inside(&mut self, step: Step) -> Result<Sampler<'_>, Refused> {
        if self.depth >= DEEPEST || self.maker.made > TRIES {
            return Err(Refused::custom("it contains itself without end"));
        }
        let node = self.maker.child(self.node, step);
        Ok(Sampler { maker: self.maker, depth: self.depth + 1, node })
    }

    fn is(&mut self, kind: Kind) {
        self.maker.note(self.node, kind);
    }

    fn structure<'de, V: Visitor<'de>>(mut self, names: &'static [&'static str], visitor: V) -> Result<V::Value, Refused> {
        self.is(Kind::Struct(names));
        let names = self.maker.offered(self.node, names);
        visitor.visit_map(Fields { sampler: self, names })
    }

    /// Whether what is chosen first should be something small.
    fn is_small(&self) -> bool {
        !self.maker.full || self.maker.is_again(self.node)
    }
}

macro_rules! numbers {
    ($($deserialize:ident $visit:ident $ty:ty,)*) => {$(
        fn $deserialize<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
            self.is(Kind::Plain(stringify!($ty)));
            visitor.$visit(<$ty>::from(*self.one_of(NUMBERS)?))
        }
    )*};
}

impl<'de> Deserializer<'de> for Sampler<'_> {
    type Error = Refused;

    /// A type that does not say what it wants.
    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.is(Kind::Plain("any"));
        match self.maker.choose(4) {
            0 => visitor.visit_unit(),
            1 => visitor.visit_map(Fields { sampler: self, names: Vec::new() }),
            2 => visitor.visit_u8(0),
            _ => self.deserialize_str(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.is(Kind::Plain("bool"));
        visitor.visit_bool(*self.one_of(&[false, true])?)
    }

    numbers! {
        deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32, deserialize_i64 visit_i64 i64, deserialize_i128 visit_i128 i128,
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64,
        deserialize_u128 visit_u128 u128,
    }

    fn deserialize_i8<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.is(Kind::Plain("i8"));
        visitor.visit_i8(*self.one_of(&[0, 1, 2, 12, 100])?)
    }

    fn deserialize_f32<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.is(Kind::Plain("f32"));
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.is(Kind::Plain("f64"));
        visitor.visit_f64(*self.one_of(FLOATS)?)
    }

    fn deserialize_char<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.is(Kind::Plain("char"));
        visitor.visit_char(*self.one_of(&['a', 'A', '1'])?)
    }

    fn deserialize_str<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.is(Kind::Plain("string"));
        match self.maker.choose(STRINGS.len() + 2) {
            0 => visitor.visit_str(""),
            // Another one each time.
            1 => visitor.visit_str(&uuid::Uuid::from_u128(0x4000_8000_0000_0000_0000 + self.maker.made as u128).to_string()),
            n => visitor.visit_str(STRINGS.get(n - 2).ok_or_else(|| Refused::custom("there is no such string"))?),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.is(Kind::Plain("bytes"));
        visitor.visit_bytes(&[])
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.is(Kind::Plain("bytes"));
        visitor.visit_bytes(&[])
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.is(Kind::Optional);
        // The other one comes second.
        if (self.maker.choose(2) == 0) == self.is_small() { visitor.visit_none() } else { visitor.visit_some(self.inside(Step::Some)?) }
    }

    fn deserialize_unit<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.is(Kind::Plain("nothing"));
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(mut self, _: &'static str, visitor: V) -> Result<V::Value, Refused> {
        self.is(Kind::Plain("nothing"));
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Refused> {
        #[cfg(feature = "sensitive")]
        if name == crate::sensitive::SENSITIVE {
            let mut sampler = self;
            sampler.is(Kind::Sensitive);
            return visitor.visit_newtype_struct(sampler.inside(Step::Some)?);
        }
        self.maker.enter(self.node, name, type_name::<V>());
        if self.depth >= DEEPEST {
            return Err(Refused::custom("it contains itself without end"));
        }
        // It is written as what is in it.
        visitor.visit_newtype_struct(Sampler { depth: self.depth + 1, ..self })
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.is(Kind::List);
        let chosen = self.maker.choose(3);
        let left = if self.is_small() { chosen } else { (chosen + 1) % 3 };
        visitor.visit_seq(Items { sampler: self, left, of: None })
    }

    fn deserialize_tuple<V: Visitor<'de>>(mut self, left: usize, visitor: V) -> Result<V::Value, Refused> {
        self.is(Kind::Tuple(left));
        visitor.visit_seq(Items { sampler: self, left, of: Some(left) })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(mut self, _: &'static str, left: usize, visitor: V) -> Result<V::Value, Refused> {
        self.is(Kind::Tuple(left));
        visitor.visit_seq(Items { sampler: self, left, of: Some(left) })
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.is(Kind::Map);
        let chosen = self.maker.choose(2);
        let left = if self.is_small() { chosen } else { 1 - chosen };
        visitor.visit_map(Items { sampler: self, left, of: None })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.maker.enter(self.node, name, type_name::<V>());
        self.structure(names, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.maker.enter(self.node, name, type_name::<V>());
        self.is(Kind::Enum(variants));
        let (chosen, last) = (self.maker.choose(variants.len()), variants.len().saturating_sub(1));
        let is_deep = if self.maker.full { self.is_small() } else { self.depth >= DEEP };
        let place = if is_deep { last.checked_sub(chosen) } else { self.maker.place_of(self.node, chosen, variants.len()) };
        let name = place.and_then(|place| variants.get(place)).ok_or_else(|| Refused::custom("it has no variants"))?;
        self.maker.takes(self.node, name);
        visitor.visit_enum(Variant { sampler: self.inside(Step::Named(name))?, name })
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.is(Kind::Plain("any"));
        visitor.visit_unit()
    }
}

/// So many items of a list, or entries of a map.
struct Items<'m> {
    sampler: Sampler<'m>,
    left: usize,
    /// How many there are, if each is of a type of its own.
    of: Option<usize>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refused> {
        if self.left == 0 {
            return Ok(None);
        }
        let step = self.of.map_or(Step::Item, |of| Step::Nth(of - self.left));
        self.left -= 1;
        seed.deserialize(self.sampler.inside(step)?).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> MapAccess<'de> for Items<'_> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refused> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(self.sampler.inside(Step::Key)?).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Refused> {
        seed.deserialize(self.sampler.inside(Step::Item)?)
    }
}

/// The fields of a struct.
struct Fields<'m> {
    sampler: Sampler<'m>,
    /// Those that are still to come, the next one last.
    names: Vec<&'static str>,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refused> {
        let Some(name) = self.names.last() else { return Ok(None) };
        self.sampler.maker.offer(self.sampler.node, name);
        let key: StrDeserializer<'_, Refused> = (*name).into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Refused> {
        let step = self.names.pop().map_or(Step::Item, Step::Named);
        let value = seed.deserialize(self.sampler.inside(step)?)?;
        self.sampler.maker.path.pop();
        Ok(value)
    }
}

/// A variant of an enum.
struct Variant<'m> {
    sampler: Sampler<'m>,
    name: &'static str,
}

impl<'de, 'm> EnumAccess<'de> for Variant<'m> {
    type Error = Refused;
    type Variant = Sampler<'m>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Sampler<'m>), Refused> {
        let name: StrDeserializer<'_, Refused> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self.sampler))
    }
}

impl<'de> VariantAccess<'de> for Sampler<'_> {
    type Error = Refused;

    fn unit_variant(mut self) -> Result<(), Refused> {
        self.is(Kind::Plain(""));
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refused> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, left: usize, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_tuple(left, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, names: &'static [&'static str], visitor: V) -> Result<V::Value, Refused> {
        self.structure(names, visitor)
    }
}
