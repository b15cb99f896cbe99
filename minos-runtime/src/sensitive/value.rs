//! The type of sensitive fields.

use super::{
    mark::{OF, SEALED, SENSITIVE},
    storing::{Mode, mode},
};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error, IgnoredAny, MapAccess, SeqAccess, Visitor, value::SeqAccessDeserializer},
    ser::SerializeMap,
};
use serde_json::Value;
use std::{any::type_name, fmt, marker::PhantomData};

/// A value that is data of a person: encrypted in the store and in all that is sent, shown nowhere, and gone for ever when the person is
/// [forgotten](crate::Context::forget_subject).
///
/// ```ignore
/// #[aggregate]
/// pub struct Person {
///     pub name: Sensitive<String>,
///     pub city: String,
/// }
///
/// person.name.set("Ada");
/// let name: Option<&String> = person.name.expose();
/// ```
///
/// It is known as long as there is the key of its subject, which is the aggregate itself, or what its `#[subject]` field says. `Debug` never shows it. In an
/// answer, a message or a document it is `null`: who is to see it gets what [`expose`](Sensitive::expose) returns. It is read from a plain value, as in the
/// input of a command, and from `null`, as what is not known.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Sensitive<T>(Kept<T>);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Kept<T> {
    Known(T),
    /// Encrypted with a key that is not here, such as that of another service.
    Sealed(Box<str>),
    Nothing,
}

impl<T> Sensitive<T> {
    /// A value that is known.
    pub const fn new(value: T) -> Self {
        Sensitive(Kept::Known(value))
    }

    /// The value; `None` if its subject was forgotten, or this service has no key for it.
    pub fn expose(&self) -> Option<&T> {
        match &self.0 {
            Kept::Known(value) => Some(value),
            Kept::Sealed(_) | Kept::Nothing => None,
        }
    }

    /// The value itself; `None` as [`expose`](Sensitive::expose) says.
    pub fn into_exposed(self) -> Option<T> {
        match self.0 {
            Kept::Known(value) => Some(value),
            Kept::Sealed(_) | Kept::Nothing => None,
        }
    }

    /// Puts another value in its place.
    pub fn set(&mut self, value: impl Into<T>) {
        self.0 = Kept::Known(value.into());
    }

    /// Whether it was forgotten: nobody can read it any more. What only another service can read is not known either, and not forgotten.
    pub fn is_forgotten(&self) -> bool {
        matches!(self.0, Kept::Nothing)
    }
}

impl<T> From<T> for Sensitive<T> {
    fn from(value: T) -> Self {
        Sensitive::new(value)
    }
}

impl From<&str> for Sensitive<String> {
    fn from(value: &str) -> Self {
        Sensitive::new(value.to_owned())
    }
}

impl<T: Default> Default for Sensitive<T> {
    fn default() -> Self {
        Sensitive::new(T::default())
    }
}

/// Never the value.
impl<T> fmt::Debug for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kept::Known(_) => "Sensitive(…)",
            Kept::Sealed(_) => "Sensitive(sealed)",
            Kept::Nothing => "Sensitive(forgotten)",
        })
    }
}

/// `null`, unless it is written for the store.
impl<T: Serialize> Serialize for Sensitive<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Mode::Storing(subject) = mode() else { return serializer.serialize_unit() };
        match &self.0 {
            Kept::Known(value) => {
                let mut map = serializer.serialize_map(Some(1 + usize::from(subject.is_some())))?;
                // An error could tell the value.
                map.serialize_entry(SENSITIVE, value).map_err(|_| serde::ser::Error::custom(unwritable::<T>()))?;
                if let Some(subject) = subject {
                    map.serialize_entry(OF, &subject)?;
                }
                map.end()
            }
            Kept::Sealed(text) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(SEALED, text)?;
                map.end()
            }
            Kept::Nothing => serializer.serialize_unit(),
        }
    }
}

fn unwritable<T>() -> String {
    format!("a sensitive `{}` cannot be written as JSON", type_name::<T>())
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Sensitive<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if matches!(mode(), Mode::Sampling) {
            return deserializer.deserialize_newtype_struct(SENSITIVE, Sample(PhantomData));
        }
        deserializer.deserialize_any(Any(PhantomData))
    }
}

/// A sample, which says by the name of the type that it is sensitive.
struct Sample<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Sample<T> {
    type Value = Sensitive<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a sensitive `{}`", type_name::<T>())
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Sensitive<T>, D::Error> {
        T::deserialize(deserializer).map(Sensitive::new)
    }
}

struct Any<T>(PhantomData<T>);

/// The value, of which an error must not tell what it is.
fn known<T, E: Error>(read: Result<T, impl fmt::Display>) -> Result<Sensitive<T>, E> {
    read.map(Sensitive::new).map_err(|_| E::custom(format!("a sensitive value is no `{}`", type_name::<T>())))
}

impl<T: DeserializeOwned> Any<T> {
    fn plain<E: Error>(self, value: Value) -> Result<Sensitive<T>, E> {
        known(serde_json::from_value(value))
    }
}

macro_rules! plain {
    ($($visit:ident $ty:ty,)*) => {$(
        fn $visit<E: Error>(self, value: $ty) -> Result<Sensitive<T>, E> {
            self.plain(value.into())
        }
    )*};
}

impl<'de, T: DeserializeOwned> Visitor<'de> for Any<T> {
    type Value = Sensitive<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a sensitive `{}`", type_name::<T>())
    }

    plain! { visit_bool bool, visit_i64 i64, visit_u64 u64, visit_f64 f64, visit_str &str, visit_string String, }

    fn visit_unit<E: Error>(self) -> Result<Sensitive<T>, E> {
        Ok(Sensitive(Kept::Nothing))
    }

    fn visit_none<E: Error>(self) -> Result<Sensitive<T>, E> {
        Ok(Sensitive(Kept::Nothing))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Sensitive<T>, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Sensitive<T>, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Sensitive<T>, A::Error> {
        let all = Value::deserialize(SeqAccessDeserializer::new(seq))?;
        self.plain(all)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sensitive<T>, A::Error> {
        let Some(first) = map.next_key::<String>()? else { return self.plain(Value::Object(serde_json::Map::new())) };
        let found = match first.as_str() {
            SENSITIVE => known(map.next_value::<T>())?,
            SEALED => Sensitive(Kept::Sealed(map.next_value()?)),
            _ => {
                let mut all = serde_json::Map::from_iter([(first, map.next_value()?)]);
                while let Some((key, value)) = map.next_entry()? {
                    all.insert(key, value);
                }
                return self.plain(Value::Object(all));
            }
        };
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_str, json, to_string, to_value};
    use std::collections::BTreeMap;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Status {
        Ill,
        In(u32),
    }

    #[test]
    fn it_is_shown_nowhere() {
        let name: Sensitive<String> = "Ada".into();
        assert_eq!(format!("{name:?} {:#?}", Some(&name)), "Sensitive(…) Some(\n    Sensitive(…),\n)");
        assert_eq!(to_string(&json!({ "name": to_value(&name).unwrap() })).unwrap(), r#"{"name":null}"#);
        assert_eq!(name.expose().map(String::as_str), Some("Ada"));
    }

    #[test]
    fn it_is_read_from_plain_values() {
        assert_eq!(from_str::<Sensitive<String>>(r#""Ada""#).unwrap(), "Ada".into());
        assert_eq!(from_str::<Sensitive<i64>>("-7").unwrap(), (-7).into());
        assert_eq!(from_str::<Sensitive<f32>>("0.5").unwrap(), 0.5.into());
        assert_eq!(from_str::<Sensitive<bool>>("true").unwrap(), true.into());
        assert_eq!(from_str::<Sensitive<Option<u8>>>("1").unwrap(), Some(1).into());
        assert_eq!(from_str::<Sensitive<Vec<u8>>>("[1,2]").unwrap(), vec![1, 2].into());
        assert_eq!(from_str::<Sensitive<Status>>(r#""Ill""#).unwrap(), Status::Ill.into());
        assert_eq!(from_str::<Sensitive<Status>>(r#"{"In":3}"#).unwrap(), Status::In(3).into());
        assert_eq!(from_str::<Sensitive<BTreeMap<String, u8>>>("{}").unwrap(), BTreeMap::new().into());
        assert!(from_str::<Sensitive<String>>("null").unwrap().is_forgotten());
        assert!(from_str::<Option<Sensitive<String>>>("null").unwrap().is_none());
    }

    #[test]
    fn no_error_tells_it() {
        for wrong in [r#""Ada""#, r#"{"$sensitive":"Ada"}"#, r#"{"a":"Ada"}"#, r#"["Ada"]"#] {
            let error = from_str::<Sensitive<u32>>(wrong).unwrap_err().to_string();
            assert!(error.starts_with("a sensitive value is no `u32`") && !error.contains("Ada"), "{error}");
        }
    }
}
