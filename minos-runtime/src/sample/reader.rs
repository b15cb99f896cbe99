//! What inputs are read from: JSON, or a sample that shows what their type looks like. It is one type, so that reading and looking are compiled
//! together, and once for each type of the user.
//!
//! Each function for a type does no more than ask one that knows no types, and hand the answer to the type.

use super::{
    fault::Fault,
    json::{Json, Number},
    open::{Access, Open},
    sampler::{Drawn, Entries, Sampler},
};
use serde::de::{Deserializer, Expected, Visitor};
use std::{any::type_name, borrow::Cow};

/// What a type is read from.
pub(crate) enum Reader<'m, 'de> {
    /// JSON.
    Json(&'m mut Json<'de>),
    /// A word: a key, or the name of a variant.
    Text(Cow<'m, str>),
    /// A sample that is being made.
    Sample(Sampler<'m>),
}

/// What comes, for a type that does not say what it wants.
enum Any<'m, 'de> {
    Unit,
    Bool(bool),
    Number(Number),
    Text(Cow<'m, str>),
    List(Open<'m, 'de>),
    Map(Open<'m, 'de>),
}

impl<'m, 'de: 'm> Reader<'m, 'de> {
    fn any(self, expected: &dyn Expected, ty: &'static str) -> Result<Any<'m, 'de>, Fault> {
        match self {
            Reader::Json(json) => match json.first()? {
                b'n' => json.unit(expected).map(|()| Any::Unit),
                b't' | b'f' => json.bool(expected).map(Any::Bool),
                b'"' => json.string().map(Any::Text),
                b'[' => Open::json(json, b'[', expected).map(Any::List),
                b'{' => Open::json(json, b'{', expected).map(Any::Map),
                b'-' | b'0'..=b'9' => json.number().map(Any::Number),
                _ => Err(json.wrong(expected)),
            },
            Reader::Text(text) => Ok(Any::Text(text)),
            Reader::Sample(sampler) => Ok(match sampler.any(&expected.to_string(), ty)? {
                Drawn::Unit => Any::Unit,
                Drawn::Bool => Any::Bool(false),
                Drawn::List(sampler, left, of) => Any::List(Open::items((sampler, left), of)),
                Drawn::Number(number) => Any::Number(number),
                Drawn::Text(text) => Any::Text(text),
                Drawn::Map(sampler, names) => Any::Map(Open::fields(sampler, names)),
            }),
        }
    }

    fn bool(self, expected: &dyn Expected) -> Result<bool, Fault> {
        match self {
            Reader::Json(json) => json.bool(expected),
            Reader::Text(text) => text.parse().map_err(|_| not_so(&text, expected)),
            Reader::Sample(sampler) => sampler.bool(),
        }
    }

    fn number(self, ty: &'static str, expected: &dyn Expected) -> Result<Number, Fault> {
        match self {
            Reader::Json(json) => match json.is_number()? {
                false => Err(json.wrong(expected)),
                true if ty.ends_with("128") => json.large(),
                true => json.number(),
            },
            Reader::Text(text) => word_number(&text).ok_or_else(|| not_so(&text, expected)),
            Reader::Sample(sampler) => sampler.number(ty),
        }
    }

    fn text(self, ty: &'static str, expected: &dyn Expected) -> Result<Cow<'m, str>, Fault> {
        match self {
            Reader::Json(json) => json.text(expected),
            Reader::Text(text) => Ok(text),
            Reader::Sample(sampler) => sampler.text(ty),
        }
    }

    fn unit(self, expected: &dyn Expected) -> Result<(), Fault> {
        match self {
            Reader::Json(json) => json.unit(expected),
            Reader::Text(text) => Err(not_so(&text, expected)),
            Reader::Sample(mut sampler) => {
                sampler.nothing();
                Ok(())
            }
        }
    }

    fn ignore(self) -> Result<(), Fault> {
        match self {
            Reader::Json(json) => json.ignore(),
            Reader::Text(_) => Ok(()),
            Reader::Sample(mut sampler) => {
                sampler.ignored();
                Ok(())
            }
        }
    }

    /// What is in it, if there is something.
    fn option(self) -> Result<Option<Self>, Fault> {
        match self {
            Reader::Json(json) => Ok(if json.null()? { None } else { Some(Reader::Json(json)) }),
            Reader::Text(text) => Ok(Some(Reader::Text(text))),
            Reader::Sample(sampler) => Ok(sampler.option()?.map(Reader::Sample)),
        }
    }

    fn newtype(self, name: &'static str, ty: &'static str) -> Result<Self, Fault> {
        match self {
            Reader::Sample(sampler) => sampler.newtype(name, ty).map(Reader::Sample),
            other => Ok(other),
        }
    }

    fn list(self, of: Option<usize>, expected: &dyn Expected) -> Result<Open<'m, 'de>, Fault> {
        match self {
            Reader::Json(json) => Open::json(json, b'[', expected),
            Reader::Text(text) => Err(not_so(&text, expected)),
            Reader::Sample(sampler) => Ok(Open::items(sampler.list(of), of)),
        }
    }

    fn map(self, expected: &dyn Expected) -> Result<Open<'m, 'de>, Fault> {
        match self {
            Reader::Json(json) => Open::json(json, b'{', expected),
            Reader::Text(text) => Err(not_so(&text, expected)),
            Reader::Sample(sampler) => Ok(match sampler.map() {
                Entries::Some(sampler, left) => Open::items((sampler, left), None),
                Entries::Named(sampler, names) => Open::fields(sampler, names),
            }),
        }
    }

    fn fields(self, fields: &'static [&'static str], expected: &dyn Expected) -> Result<Open<'m, 'de>, Fault> {
        match self {
            Reader::Json(json) => {
                json.expect(fields);
                Open::json(json, b'{', expected)
            }
            Reader::Text(text) => Err(not_so(&text, expected)),
            Reader::Sample(sampler) => {
                let (sampler, names) = sampler.fields(fields);
                Ok(Open::fields(sampler, names))
            }
        }
    }

    /// A word that tells what stands beside it, or a name.
    fn identifier(self, expected: &dyn Expected) -> Result<Cow<'m, str>, Fault> {
        match self {
            Reader::Sample(sampler) => sampler.tag(),
            other => other.text("string", expected),
        }
    }

    fn entered(mut self, name: &'static str, ty: &'static str) -> Self {
        if let Reader::Sample(sampler) = &mut self {
            // So serde reads a tag beside which the content stands.
            if ty.contains("AdjacentlyTaggedEnumVariant") {
                sampler.is_tag();
            } else {
                sampler.enter(name, ty);
            }
        }
        self
    }

    fn variant(self, variants: &'static [&'static str], expected: &dyn Expected) -> Result<Open<'m, 'de>, Fault> {
        match self {
            Reader::Json(json) => Open::variant_of_json(json, expected),
            Reader::Text(text) => Ok(Open::word(text)),
            Reader::Sample(sampler) => {
                let (sampler, name) = sampler.variant(variants)?;
                Ok(Open::variant_of_sample(sampler, name))
            }
        }
    }

    /// Whether it is JSON as it stands there that is asked for.
    fn raw(&mut self, name: &str) -> Result<Option<Open<'m, 'de>>, Fault> {
        if name != Open::RAW {
            return Ok(None);
        }
        match self {
            Reader::Json(json) => json.raw().map(|text| Some(Open::raw(text.into()))),
            Reader::Text(text) => Ok(Some(Open::raw(serde_json::Value::from(&**text).to_string().into()))),
            Reader::Sample(sampler) => {
                sampler.ignored();
                Ok(Some(Open::raw("null".into())))
            }
        }
    }

    /// Fields of a struct, or of a variant.
    pub(super) fn structure<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        let mut open = self.fields(fields, &visitor)?;
        let value = visitor.visit_map(Access(&mut open));
        open.close(value.is_ok())?;
        value
    }
}

fn not_so(text: &str, expected: &dyn Expected) -> Fault {
    Fault::data(format!("invalid type: string {text:?}, expected {expected}"))
}

fn word_number(text: &str) -> Option<Number> {
    let unsigned = text.parse().map(Number::Unsigned).ok();
    unsigned.or_else(|| text.parse().map(Number::Signed).ok()).or_else(|| text.parse().map(Number::Float).ok())
}

macro_rules! numbers {
    ($($method:ident $ty:literal,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.number($ty, &visitor)?.visit(visitor)
        }
    )*};
}

impl<'m, 'de: 'm> Deserializer<'de> for Reader<'m, 'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.any(&visitor, type_name::<V>())? {
            Any::Unit => visitor.visit_unit(),
            Any::Bool(value) => visitor.visit_bool(value),
            Any::Number(number) => number.visit(visitor),
            Any::Text(text) => visitor.visit_str(&text),
            Any::List(mut open) => {
                let value = visitor.visit_seq(Access(&mut open));
                open.close(value.is_ok())?;
                value
            }
            Any::Map(mut open) => {
                let value = visitor.visit_map(Access(&mut open));
                open.close(value.is_ok())?;
                value
            }
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let value = self.bool(&visitor)?;
        visitor.visit_bool(value)
    }

    numbers! {
        deserialize_i8 "i8", deserialize_i16 "i16", deserialize_i32 "i32", deserialize_i64 "i64", deserialize_i128 "i128",
        deserialize_u8 "u8", deserialize_u16 "u16", deserialize_u32 "u32", deserialize_u64 "u64", deserialize_u128 "u128",
        deserialize_f32 "f32", deserialize_f64 "f64",
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let text = self.text("char", &visitor)?;
        visitor.visit_str(&text)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let text = self.text("string", &visitor)?;
        visitor.visit_str(&text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Fault> {
        if let Reader::Json(json) = &mut self
            && json.first()? == b'['
        {
            return self.deserialize_seq(visitor);
        }
        let text = self.text("bytes", &visitor)?;
        visitor.visit_bytes(text.as_bytes())
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.option()? {
            Some(inside) => visitor.visit_some(inside),
            None => visitor.visit_none(),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.unit(&visitor)?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(mut self, name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        if let Some(mut open) = self.raw(name)? {
            return visitor.visit_map(Access(&mut open));
        }
        visitor.visit_newtype_struct(self.newtype(name, type_name::<V>())?)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let mut open = self.list(None, &visitor)?;
        let value = visitor.visit_seq(Access(&mut open));
        open.close(value.is_ok())?;
        value
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, of: usize, visitor: V) -> Result<V::Value, Fault> {
        let mut open = self.list(Some(of), &visitor)?;
        let value = visitor.visit_seq(Access(&mut open));
        open.close(value.is_ok())?;
        value
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, of: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_tuple(of, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let mut open = self.map(&visitor)?;
        let value = visitor.visit_map(Access(&mut open));
        open.close(value.is_ok())?;
        value
    }

    /// By its names, and never by their order: that is also half as much to compile, for each type.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.entered(name, type_name::<V>()).structure(fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let mut open = self.entered(name, type_name::<V>()).variant(variants, &visitor)?;
        let value = visitor.visit_enum(Access(&mut open));
        open.close(value.is_ok())?;
        value
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let text = self.identifier(&visitor)?;
        visitor.visit_str(&text)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.ignore()?;
        visitor.visit_unit()
    }
}
