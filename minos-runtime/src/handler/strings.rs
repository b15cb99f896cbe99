//! Input that comes as text, and the names of its fields: what the extractors share, compiled once.

use super::{
    Content,
    request::{PathSource, Request},
};
use crate::error::{Error, Result};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, VariantAccess, Visitor,
    value::{Error as ValueError, MapDeserializer, SeqDeserializer},
};
use std::{borrow::Cow, collections::BTreeMap};

/// A deserializer that only looks at which fields the type has, and passes everything on. So unknown fields can be
/// refused without `#[serde(deny_unknown_fields)]`, and without decoding anything twice.
pub(super) struct Watch<'f, D> {
    pub(super) inner: D,
    pub(super) fields: &'f mut Option<&'static [&'static str]>,
}

macro_rules! pass_on {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method(visitor)
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Watch<'_, D> {
    type Error = D::Error;

    pass_on! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option
        deserialize_unit deserialize_seq deserialize_map deserialize_identifier deserialize_ignored_any
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        *self.fields = Some(fields);
        // With its names, and never by their order. It is also half as much to compile, for each input.
        self.inner.deserialize_map(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_unit_struct(name, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_tuple(len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, name: &'static str, len: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_tuple_struct(name, len, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_enum(name, variants, visitor)
    }
}

/// Refuses a key that the type does not know.
fn check_known<'k>(keys: impl Iterator<Item = &'k str>, fields: &'static [&'static str]) -> Result<()> {
    for key in keys {
        if !fields.contains(&key) {
            return Err(unknown(key, fields));
        }
    }
    Ok(())
}

/// That there is no such field.
pub(super) fn unknown(field: &str, fields: &[&str]) -> Error {
    let known = if fields.is_empty() { "there are none".to_owned() } else { format!("there are {}", quoted(fields)) };
    Error::invalid(format!("unknown field `{field}`; {known}"))
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Refuses a parameter of the query string that the type does not know.
pub(super) fn unknown_parameters(query: &str, fields: Option<&'static [&'static str]>) -> Result<()> {
    let Some(fields) = fields else { return Ok(()) };
    let pairs: Vec<(String, String)> =
        serde_html_form::from_str(query).map_err(|error| Error::invalid(format!("the query string cannot be read: {error}")))?;
    check_known(pairs.iter().map(|(key, _)| &**key), fields)
}

type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// The parameters of the path: of the request, or the fields of a message's content by the same names.
pub(super) fn parameters(request: &Request) -> Result<Pairs<'_>> {
    match (&request.parts().path, &request.parts().content) {
        (PathSource::Parameters(parameters), _) => {
            Ok(parameters.0.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect())
        }
        (PathSource::Content(names), Content::Json(json)) => {
            let fields: BTreeMap<String, serde_json::Value> = serde_json::from_slice(json)
                .map_err(|error| Error::invalid(format!("the message has to be an object with {}: {error}", quoted(names))))?;
            let value = |name: &&'static str| match fields.get(*name) {
                Some(serde_json::Value::String(text)) => Ok((Cow::Borrowed(*name), Cow::Owned(text.clone()))),
                Some(other) => Ok((Cow::Borrowed(*name), Cow::Owned(other.to_string()))),
                None => Err(Error::invalid(format!("missing field `{name}`: over HTTP it is a part of the path"))),
            };
            names.iter().map(value).collect()
        }
        (PathSource::Content(names), _) => Err(Error::invalid(format!("the message has no content, and needs {}", quoted(names)))),
    }
}

/// Reads the parameters as one value, a tuple, or a struct.
pub(super) struct ParametersDeserializer<'p> {
    pairs: &'p [(Cow<'p, str>, Cow<'p, str>)],
}

impl<'p> ParametersDeserializer<'p> {
    pub(super) fn new(pairs: &'p [(Cow<'p, str>, Cow<'p, str>)]) -> Self {
        ParametersDeserializer { pairs }
    }

    fn one(&self) -> Result<Part<'p>, ValueError> {
        match self.pairs {
            [(_, value)] => Ok(Part(value)),
            pairs => Err(serde::de::Error::custom(format!("the route has {} parameters, and this takes one", pairs.len()))),
        }
    }

    fn sequence<V: Visitor<'p>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_seq(SeqDeserializer::new(self.pairs.iter().map(|(_, value)| Part(value))))
    }

    fn map<V: Visitor<'p>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_map(MapDeserializer::new(self.pairs.iter().map(|(name, value)| (&**name, Part(value)))))
    }
}

macro_rules! as_one {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'p>>(self, visitor: V) -> Result<V::Value, ValueError> {
            self.one()?.$method(visitor)
        })*
    };
}

impl<'p> Deserializer<'p> for ParametersDeserializer<'p> {
    type Error = ValueError;

    as_one! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option
        deserialize_identifier
    }

    fn deserialize_any<V: Visitor<'p>>(self, visitor: V) -> Result<V::Value, ValueError> {
        if self.pairs.len() == 1 { self.one()?.deserialize_any(visitor) } else { self.map(visitor) }
    }

    fn deserialize_unit<V: Visitor<'p>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'p>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'p>>(self, _: &'static str, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'p>>(self, _: &'static str, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'p>>(self, visitor: V) -> Result<V::Value, ValueError> {
        self.sequence(visitor)
    }

    fn deserialize_tuple<V: Visitor<'p>>(self, _: usize, visitor: V) -> Result<V::Value, ValueError> {
        self.sequence(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'p>>(self, _: &'static str, _: usize, visitor: V) -> Result<V::Value, ValueError> {
        self.sequence(visitor)
    }

    fn deserialize_map<V: Visitor<'p>>(self, visitor: V) -> Result<V::Value, ValueError> {
        self.map(visitor)
    }

    fn deserialize_struct<V: Visitor<'p>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, ValueError> {
        self.map(visitor)
    }

    fn deserialize_enum<V: Visitor<'p>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.one()?.deserialize_enum(name, variants, visitor)
    }
}

macro_rules! as_text {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'p>>(self, visitor: V) -> Result<V::Value, ValueError> {
            self.deserialize_any(visitor)
        })*
    };
}

/// One parameter: text that is read as what the type asks for.
#[derive(Clone, Copy)]
struct Part<'p>(&'p str);

impl<'p> IntoDeserializer<'p, ValueError> for Part<'p> {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident $type:ty, $words:literal;)*) => {
        $(fn $method<V: Visitor<'p>>(self, visitor: V) -> Result<V::Value, ValueError> {
            let value: $type = self.0.parse().map_err(|_| serde::de::Error::custom(format!("`{}` is not {}", self.0, $words)))?;
            visitor.$visit(value)
        })*
    };
}

impl<'p> Deserializer<'p> for Part<'p> {
    type Error = ValueError;

    parsed! {
        deserialize_bool visit_bool bool, "`true` or `false`";
        deserialize_i8 visit_i8 i8, "a whole number from -128 to 127";
        deserialize_i16 visit_i16 i16, "a whole number of 16 bits";
        deserialize_i32 visit_i32 i32, "a whole number of 32 bits";
        deserialize_i64 visit_i64 i64, "a whole number of 64 bits";
        deserialize_i128 visit_i128 i128, "a whole number of 128 bits";
        deserialize_u8 visit_u8 u8, "a whole number from 0 to 255";
        deserialize_u16 visit_u16 u16, "a whole number from 0 to 65535";
        deserialize_u32 visit_u32 u32, "a whole number of 32 bits, from 0";
        deserialize_u64 visit_u64 u64, "a whole number of 64 bits, from 0";
        deserialize_u128 visit_u128 u128, "a whole number of 128 bits, from 0";
        deserialize_f32 visit_f32 f32, "a number";
        deserialize_f64 visit_f64 f64, "a number";
        deserialize_char visit_char char, "one character";
    }

    fn deserialize_any<V: Visitor<'p>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_option<V: Visitor<'p>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'p>>(self, _: &'static str, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'p>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_enum(self)
    }

    as_text! {
        deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_unit deserialize_seq deserialize_map
        deserialize_identifier deserialize_ignored_any
    }

    fn deserialize_unit_struct<V: Visitor<'p>>(self, _: &'static str, visitor: V) -> Result<V::Value, ValueError> {
        self.deserialize_any(visitor)
    }

    fn deserialize_tuple<V: Visitor<'p>>(self, _: usize, visitor: V) -> Result<V::Value, ValueError> {
        self.deserialize_any(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'p>>(self, _: &'static str, _: usize, visitor: V) -> Result<V::Value, ValueError> {
        self.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'p>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, ValueError> {
        self.deserialize_any(visitor)
    }
}

impl<'p> EnumAccess<'p> for Part<'p> {
    type Error = ValueError;
    type Variant = Self;
    fn variant_seed<S: DeserializeSeed<'p>>(self, seed: S) -> Result<(S::Value, Self), ValueError> {
        seed.deserialize(self).map(|value| (value, self))
    }
}

impl<'p> VariantAccess<'p> for Part<'p> {
    type Error = ValueError;
    fn unit_variant(self) -> Result<(), ValueError> {
        Ok(())
    }
    fn newtype_variant_seed<S: DeserializeSeed<'p>>(self, _: S) -> Result<S::Value, ValueError> {
        Err(serde::de::Error::custom("a part of a path is one word"))
    }
    fn tuple_variant<V: Visitor<'p>>(self, _: usize, _: V) -> Result<V::Value, ValueError> {
        Err(serde::de::Error::custom("a part of a path is one word"))
    }
    fn struct_variant<V: Visitor<'p>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, ValueError> {
        Err(serde::de::Error::custom("a part of a path is one word"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use uuid::Uuid;

    fn read<'p, T: Deserialize<'p>>(pairs: &'p [(Cow<'p, str>, Cow<'p, str>)]) -> Result<T, String> {
        T::deserialize(ParametersDeserializer::new(pairs)).map_err(|error| error.to_string())
    }

    #[test]
    fn parameters_are_read_as_what_is_asked_for() {
        let uuid = Uuid::now_v7();
        let one = [("uuid".into(), Cow::Owned(uuid.to_string()))];
        assert_eq!(read(&one), Ok(uuid));
        assert_eq!(read(&one), Ok((uuid,)));
        let two = [("name".into(), "x".into()), ("n".into(), "7".into())];
        assert_eq!(read(&two), Ok(("x".to_owned(), 7_u8)));
        #[derive(Deserialize, PartialEq, Debug)]
        struct Both {
            n: i64,
            name: String,
        }
        assert_eq!(read(&two), Ok(Both { n: 7, name: "x".into() }));
        #[derive(Deserialize, PartialEq, Debug)]
        #[serde(rename_all = "lowercase")]
        enum Color {
            Red,
        }
        assert_eq!(read(&[("color".into(), "red".into())]), Ok(Color::Red));
    }

    #[test]
    fn a_parameter_of_the_wrong_type_is_told() {
        let error = read::<u8>(&[("n".into(), "300".into())]).unwrap_err();
        assert_eq!(error, "`300` is not a whole number from 0 to 255");
        assert!(read::<Uuid>(&[("uuid".into(), "nope".into())]).is_err());
        assert!(read::<u8>(&[]).is_err());
    }
}
