//! Samples: a value of any type that serde reads, for tests that need one and do not care which.
//!
//! All that is simple comes first: `0`, `""`, `None`, the first variant. What a type refuses is replaced by the next one, such as a UUID or a time in
//! place of `""`.

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
    let mut maker = Maker::default();
    // The one that came furthest says most.
    let mut furthest: Option<(usize, NoSample)> = None;
    for _ in 0..TRIES {
        maker.begin();
        let error = match T::deserialize(Sampler { maker: &mut maker, depth: 0 }) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if furthest.as_ref().is_none_or(|(reached, _)| *reached < maker.made) {
            let why = NoSample { ty: type_name::<T>(), at: maker.path.clone(), why: error.to_string() };
            furthest = Some((maker.made, why));
        }
        if !maker.next() {
            break;
        }
    }
    let nothing = || NoSample { ty: type_name::<T>(), at: Vec::new(), why: "it was not tried".to_owned() };
    Err(furthest.map_or_else(nothing, |(_, why)| why))
}

/// What was chosen so far. Whoever refuses a value does so before the next one is made: so it is the last choice that is changed first.
#[derive(Default)]
struct Maker {
    /// Which of how many, in the order in which they are made.
    choices: Vec<(usize, usize)>,
    made: usize,
    path: Vec<String>,
}

impl Maker {
    fn begin(&mut self) {
        (self.made, self.path) = (0, Vec::new());
    }

    /// One of so many.
    fn choose(&mut self, of: usize) -> usize {
        let chosen = self.choices.get(self.made).map_or(0, |(chosen, _)| *chosen);
        self.choices.truncate(self.made.max(self.choices.len()));
        if self.made == self.choices.len() {
            self.choices.push((0, of));
        }
        self.made += 1;
        chosen
    }

    /// The next way to choose; false if there is none.
    fn next(&mut self) -> bool {
        self.choices.truncate(self.made);
        while let Some((chosen, of)) = self.choices.pop() {
            if chosen + 1 < of {
                self.choices.push((chosen + 1, of));
                return true;
            }
        }
        false
    }
}

struct Sampler<'m> {
    maker: &'m mut Maker,
    depth: usize,
}

impl Sampler<'_> {
    fn one_of<'a, T>(&mut self, all: &'a [T]) -> Result<&'a T, Refused> {
        let chosen = self.maker.choose(all.len());
        all.get(chosen).ok_or_else(|| Refused::custom("there is nothing to choose"))
    }

    /// One part of it.
    fn inside(&mut self) -> Result<Sampler<'_>, Refused> {
        if self.depth >= DEEPEST || self.maker.made > TRIES {
            return Err(Refused::custom("it contains itself without end"));
        }
        Ok(Sampler { maker: self.maker, depth: self.depth + 1 })
    }
}

macro_rules! numbers {
    ($($deserialize:ident $visit:ident $ty:ty,)*) => {$(
        fn $deserialize<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
            visitor.$visit(<$ty>::from(*self.one_of(NUMBERS)?))
        }
    )*};
}

impl<'de> Deserializer<'de> for Sampler<'_> {
    type Error = Refused;

    /// A type that does not say what it wants.
    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        match self.maker.choose(4) {
            0 => visitor.visit_unit(),
            1 => visitor.visit_map(Fields { sampler: self.inside()?, names: &[] }),
            2 => visitor.visit_u8(0),
            _ => self.deserialize_str(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_bool(*self.one_of(&[false, true])?)
    }

    numbers! {
        deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32, deserialize_i64 visit_i64 i64, deserialize_i128 visit_i128 i128,
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64,
        deserialize_u128 visit_u128 u128,
    }

    fn deserialize_i8<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_i8(*self.one_of(&[0, 1, 2, 12, 100])?)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_f64(*self.one_of(FLOATS)?)
    }

    fn deserialize_char<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_char(*self.one_of(&['a', 'A', '1'])?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
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

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_bytes(&[])
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_bytes(&[])
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        match self.maker.choose(2) {
            0 => visitor.visit_none(),
            _ => visitor.visit_some(self.inside()?),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(mut self, _: &'static str, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_newtype_struct(self.inside()?)
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        let left = self.maker.choose(3);
        visitor.visit_seq(Items { sampler: self.inside()?, left })
    }

    fn deserialize_tuple<V: Visitor<'de>>(mut self, left: usize, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_seq(Items { sampler: self.inside()?, left })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(mut self, _: &'static str, left: usize, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_seq(Items { sampler: self.inside()?, left })
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        let left = self.maker.choose(2);
        visitor.visit_map(Items { sampler: self.inside()?, left })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_map(Fields { sampler: self.inside()?, names })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let chosen = self.maker.choose(variants.len());
        let place = if self.depth < DEEP { chosen } else { variants.len().saturating_sub(1 + chosen) };
        let name = variants.get(place).ok_or_else(|| Refused::custom("it has no variants"))?;
        visitor.visit_enum(Variant { sampler: self.inside()?, name })
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_unit()
    }
}

/// So many items of a list, or entries of a map.
struct Items<'m> {
    sampler: Sampler<'m>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refused> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(self.sampler.inside()?).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> MapAccess<'de> for Items<'_> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refused> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Refused> {
        seed.deserialize(self.sampler.inside()?)
    }
}

/// The fields of a struct.
struct Fields<'m> {
    sampler: Sampler<'m>,
    names: &'static [&'static str],
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refused> {
        let Some((name, rest)) = self.names.split_first() else { return Ok(None) };
        self.names = rest;
        self.sampler.maker.path.push((*name).to_owned());
        let key: StrDeserializer<'_, Refused> = (*name).into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Refused> {
        let value = seed.deserialize(self.sampler.inside()?)?;
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

    fn unit_variant(self) -> Result<(), Refused> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refused> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, left: usize, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_tuple(left, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, names: &'static [&'static str], visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_struct("", names, visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use serde::{Deserialize, Serialize};
    use serde_json::{Value, json};
    use std::{collections::BTreeMap, net::IpAddr, num::NonZeroU32, time::Duration};
    use uuid::Uuid;

    #[derive(Debug, Serialize, Deserialize, PartialEq)]
    enum Tree {
        Two(Box<Tree>, Box<Tree>),
        Named { name: String, tree: Option<Box<Tree>> },
        Leaf,
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(try_from = "u32")]
    struct Even(u32);

    impl TryFrom<u32> for Even {
        type Error = String;

        fn try_from(number: u32) -> Result<Self, String> {
            if number > 0 && number.is_multiple_of(2) { Ok(Even(number)) } else { Err(format!("{number} is not even")) }
        }
    }

    #[derive(Debug, Serialize, Deserialize)]
    struct All {
        text: String,
        id: Uuid,
        other: Uuid,
        at: Timestamp,
        pause: Duration,
        some: NonZeroU32,
        even: Even,
        list: Vec<All>,
        pair: (i8, f32, char, bool),
        three: [u64; 3],
        map: BTreeMap<String, Even>,
        addr: IpAddr,
        maybe: Option<Box<All>>,
        any: Value,
        unit: (),
        tree: Tree,
    }

    #[test]
    fn any_shape_has_a_sample() {
        let all: All = sample().unwrap();
        assert_eq!((all.text.as_str(), all.some.get(), all.even.0, all.three), ("", 1, 2, [0; 3]));
        assert!(all.list.is_empty() && all.maybe.is_none() && all.any.is_null());
        assert!(!all.id.is_nil() && all.id != all.other, "two of them are two");
        let written = serde_json::to_value(&all).unwrap();
        assert_eq!(serde_json::to_value(serde_json::from_value::<All>(written.clone()).unwrap()).unwrap(), written);
        assert_eq!(sample::<()>(), Ok(()));
        assert_eq!(sample::<Option<u8>>(), Ok(None));
    }

    #[test]
    fn what_has_no_sample_says_where_and_why() {
        #[derive(Debug, Deserialize)]
        #[serde(tag = "kind")]
        enum Tagged {
            #[expect(dead_code, reason = "it is only read")]
            One { n: u32 },
        }
        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "it is only read")]
        struct Order {
            id: Uuid,
            goods: Tagged,
        }
        let error = sample::<Order>().unwrap_err();
        assert_eq!(error.at, ["goods"]);
        assert!(error.to_string().contains("Order` could be made at `goods`: "), "{error}");

        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "it is only read")]
        struct Endless(Box<Endless>);
        assert!(sample::<Endless>().unwrap_err().why.contains("without end"));
        #[derive(Debug, Deserialize)]
        enum Never {}
        assert_eq!(sample::<Never>().unwrap_err().why, "it has no variants");
    }

    #[test]
    fn a_tree_comes_to_an_end() {
        let tree: Tree = sample().unwrap();
        assert_eq!(serde_json::from_value::<Tree>(json!(serde_json::to_value(&tree).unwrap())).unwrap(), tree);
    }
}
