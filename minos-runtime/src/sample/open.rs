//! What has parts and is being read: a list, an object, a variant.

use super::{fault::Fault, json::Json, maker::Step, reader::Reader, sampler::Sampler};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Expected, MapAccess, SeqAccess, VariantAccess, Visitor};
use std::borrow::Cow;

/// Something with parts, between its first and its last one.
pub(super) enum Open<'m, 'de> {
    Json {
        json: &'m mut Json<'de>,
        is_first: bool,
        bracket: u8,
    },
    JsonVariant {
        json: &'m mut Json<'de>,
        name: Cow<'de, str>,
        has_content: bool,
    },
    /// A list or a map of a sample, of which so many are left; and how many there are, if each is of a type of its own.
    Items {
        sampler: Sampler<'m>,
        left: usize,
        of: Option<usize>,
    },
    /// The fields of a sample, the next one last.
    Fields {
        sampler: Sampler<'m>,
        names: Vec<&'static str>,
        is_inside: bool,
    },
    SampleVariant {
        sampler: Sampler<'m>,
        name: &'static str,
    },
    /// A variant by its name alone.
    Word(Cow<'m, str>),
    /// JSON as it stands there.
    Raw(Option<Cow<'m, str>>),
}

impl<'m, 'de: 'm> Open<'m, 'de> {
    /// The name by which `serde_json` asks for JSON as it stands there.
    pub(super) const RAW: &'static str = "$serde_json::private::RawValue";

    pub(super) fn json(json: &'m mut Json<'de>, bracket: u8, expected: &dyn Expected) -> Result<Self, Fault> {
        json.open(bracket, expected)?;
        Ok(Open::Json { json, is_first: true, bracket: if bracket == b'[' { b']' } else { b'}' } })
    }

    pub(super) fn variant_of_json(json: &'m mut Json<'de>, expected: &dyn Expected) -> Result<Self, Fault> {
        let has_content = json.first()? == b'{';
        let name = if has_content {
            json.open(b'{', expected)?;
            let name = json.key()?;
            json.colon()?;
            name
        } else {
            json.text(expected)?
        };
        Ok(Open::JsonVariant { json, name, has_content })
    }

    pub(super) fn items((sampler, left): (Sampler<'m>, usize), of: Option<usize>) -> Self {
        Open::Items { sampler, left, of }
    }

    pub(super) fn fields(sampler: Sampler<'m>, names: Vec<&'static str>) -> Self {
        Open::Fields { sampler, names, is_inside: false }
    }

    pub(super) fn variant_of_sample(sampler: Sampler<'m>, name: &'static str) -> Self {
        Open::SampleVariant { sampler, name }
    }

    pub(super) fn word(text: Cow<'m, str>) -> Self {
        Open::Word(text)
    }

    pub(super) fn raw(text: Cow<'m, str>) -> Self {
        Open::Raw(Some(text))
    }

    /// It was read, or it could not be.
    pub(super) fn close(&mut self, is_fine: bool) -> Result<(), Fault> {
        match self {
            Open::Json { json, bracket, .. } => json.close(*bracket, is_fine),
            Open::JsonVariant { json, has_content: true, .. } => json.close(b'}', is_fine),
            Open::Fields { sampler, is_inside: true, .. } if is_fine => {
                sampler.leave();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn next_key(&mut self) -> Result<Option<Reader<'_, 'de>>, Fault> {
        match self {
            Open::Json { json, is_first, bracket } => {
                Ok(if json.goes_on(*bracket, is_first)? { Some(Reader::Text(json.key()?)) } else { None })
            }
            Open::Items { left: 0, .. } => Ok(None),
            Open::Items { sampler, left, .. } => {
                *left -= 1;
                sampler.inside(Step::Key).map(|key| Some(Reader::Sample(key)))
            }
            Open::Fields { sampler, names, is_inside } => {
                if std::mem::take(is_inside) {
                    sampler.leave();
                }
                let Some(name) = names.last() else { return Ok(None) };
                sampler.offer(name);
                *is_inside = true;
                Ok(Some(Reader::Text(Cow::Borrowed(name))))
            }
            Open::Raw(Some(_)) => Ok(Some(Reader::Text(Self::RAW.into()))),
            _ => Ok(None),
        }
    }

    fn next_value(&mut self) -> Result<Reader<'_, 'de>, Fault> {
        match self {
            Open::Json { json, .. } => {
                json.colon()?;
                Ok(Reader::Json(json))
            }
            Open::Items { sampler, .. } => sampler.inside(Step::Item).map(Reader::Sample),
            Open::Fields { sampler, names, .. } => {
                let step = names.pop().map_or(Step::Item, |name| sampler.step_of(name));
                sampler.inside(step).map(Reader::Sample)
            }
            Open::Raw(text) => Ok(Reader::Text(text.take().unwrap_or_default())),
            _ => Err(Fault::data("a variant has no entries")),
        }
    }

    fn next_item(&mut self) -> Result<Option<Reader<'_, 'de>>, Fault> {
        match self {
            Open::Json { json, is_first, bracket } => Ok(if json.goes_on(*bracket, is_first)? { Some(Reader::Json(json)) } else { None }),
            Open::Items { sampler, left, of } if *left > 0 => {
                let step = of.map_or(Step::Item, |of| Step::Nth(of - *left));
                *left -= 1;
                sampler.inside(step).map(|item| Some(Reader::Sample(item)))
            }
            _ => Ok(None),
        }
    }

    fn variant(&mut self) -> Result<Reader<'_, 'de>, Fault> {
        match self {
            Open::JsonVariant { name, .. } => Ok(Reader::Text(Cow::Borrowed(name))),
            Open::SampleVariant { name, .. } => Ok(Reader::Text(Cow::Borrowed(name))),
            Open::Word(text) => Ok(Reader::Text(Cow::Borrowed(text))),
            _ => Err(Fault::data("this is no variant")),
        }
    }

    fn unit(&mut self) -> Result<(), Fault> {
        match self {
            Open::JsonVariant { json, has_content: true, .. } => json.unit(&"unit"),
            Open::SampleVariant { sampler, .. } => {
                sampler.bare();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn content(&mut self) -> Result<Reader<'_, 'de>, Fault> {
        match self {
            Open::JsonVariant { json, has_content: true, .. } => Ok(Reader::Json(json)),
            Open::SampleVariant { sampler, .. } => Ok(Reader::Sample(sampler.again())),
            Open::JsonVariant { name, .. } => Err(Fault::data(format!("invalid type: unit variant, expected the content of `{name}`"))),
            Open::Word(name) => Err(Fault::data(format!("invalid type: unit variant, expected the content of `{name}`"))),
            _ => Err(Fault::data("this is no variant")),
        }
    }
}

/// Hands the parts to a type.
pub(super) struct Access<'a, 'm, 'de>(pub(super) &'a mut Open<'m, 'de>);

impl<'m, 'de: 'm> MapAccess<'de> for Access<'_, 'm, 'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        match self.0.next_key()? {
            Some(key) => seed.deserialize(key).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(self.0.next_value()?)
    }
}

impl<'m, 'de: 'm> SeqAccess<'de> for Access<'_, 'm, 'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        match self.0.next_item()? {
            Some(item) => seed.deserialize(item).map(Some),
            None => Ok(None),
        }
    }
}

impl<'m, 'de: 'm> EnumAccess<'de> for Access<'_, 'm, 'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Fault> {
        let name = seed.deserialize(self.0.variant()?)?;
        Ok((name, self))
    }
}

impl<'m, 'de: 'm> VariantAccess<'de> for Access<'_, 'm, 'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        self.0.unit()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(self.0.content()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, of: usize, visitor: V) -> Result<V::Value, Fault> {
        self.0.content()?.deserialize_tuple(of, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        self.0.content()?.structure(fields, visitor)
    }
}
