//! The difference of two states, on their top-level JSON fields, and its application.
//!
//! It works on the text of the fields, so that nothing has to be generated per aggregate and serde attributes on
//! fields (`rename`, `with`, `flatten`, …) just work.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// The key under which a difference lists fields that are there no more, such as those with `skip_serializing_if`.
const REMOVED: &str = "$removed";

/// A JSON object whose fields are left unread.
#[derive(Debug, Clone, Default)]
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object<'de>, M::Error> {
                let mut fields = Vec::with_capacity(8);
                while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
                    fields.push((key, map.next_value::<&'de RawValue>()?));
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// A key, borrowed unless it has escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl<'a> Object<'a> {
    pub(super) fn parse(json: &'a str) -> serde_json::Result<Self> {
        serde_json::from_str(json)
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| *value)
    }

    /// Applies a difference.
    pub(super) fn merge(&mut self, change: Object<'a>) -> serde_json::Result<()> {
        for (key, value) in change.0 {
            if key == REMOVED {
                let removed: Vec<String> = serde_json::from_str(value.get())?;
                self.0.retain(|(name, _)| !removed.iter().any(|key| key == name));
            } else if let Some((_, field)) = self.0.iter_mut().find(|(name, _)| *name == key) {
                *field = value;
            } else {
                self.0.push((key, value));
            }
        }
        Ok(())
    }

    pub(super) fn write(&self) -> String {
        let mut json = String::with_capacity(2 + self.0.iter().map(|(key, value)| key.len() + value.get().len() + 4).sum::<usize>());
        json.push('{');
        for (n, (key, value)) in self.0.iter().enumerate() {
            field(&mut json, n, key, value.get());
        }
        json.push('}');
        json
    }
}

fn field(json: &mut String, n: usize, key: &str, value: &str) {
    if n > 0 {
        json.push(',');
    }
    // A string is always JSON.
    json.push_str(&serde_json::to_string(key).unwrap_or_default());
    json.push(':');
    json.push_str(value);
}

/// What changed from one state to another, as JSON: the fields with their new values. None if nothing did.
pub(super) fn difference(before: &str, after: &str) -> serde_json::Result<Option<String>> {
    if before == after {
        return Ok(None);
    }
    let (before, after) = (Object::parse(before)?, Object::parse(after)?);
    let mut changes = Object::default();
    for (key, value) in after.0.iter() {
        if !before.get(key).is_some_and(|old| same(old, value)) {
            changes.0.push((key.clone(), value));
        }
    }
    let removed: Vec<&str> = before.0.iter().map(|(key, _)| &**key).filter(|key| after.get(key).is_none()).collect();
    if removed.is_empty() {
        return Ok((!changes.0.is_empty()).then(|| changes.write()));
    }
    let removed = RawValue::from_string(serde_json::to_string(&removed)?)?;
    changes.0.push((REMOVED.into(), &removed));
    Ok(Some(changes.write()))
}

/// The names of the fields that a difference is about.
pub(super) fn touches(change: &str, field: &str) -> serde_json::Result<bool> {
    let change = Object::parse(change)?;
    if change.get(field).is_some() {
        return Ok(true);
    }
    let Some(removed) = change.get(REMOVED) else { return Ok(false) };
    let removed: Vec<String> = serde_json::from_str(removed.get())?;
    Ok(removed.iter().any(|key| key == field))
}

/// Equal text, or equal values: a hash map writes its entries in any order.
fn same(a: &RawValue, b: &RawValue) -> bool {
    a.get() == b.get()
        || matches!(
            (serde_json::from_str::<serde_json::Value>(a.get()), serde_json::from_str::<serde_json::Value>(b.get())),
            (Ok(a), Ok(b)) if a == b
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roundtrip(before: &str, after: &str) -> Option<String> {
        let change = difference(before, after).unwrap()?;
        let mut state = Object::parse(before).unwrap();
        state.merge(Object::parse(&change).unwrap()).unwrap();
        let value = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
        assert_eq!(value(&state.write()), value(after), "{change}");
        Some(change)
    }

    #[test]
    fn a_difference_holds_what_changed() {
        assert_eq!(roundtrip(r#"{"a":1,"b":"x"}"#, r#"{"a":1,"b":"y"}"#).as_deref(), Some(r#"{"b":"y"}"#));
        assert_eq!(roundtrip(r#"{"a":1}"#, r#"{"a":1}"#), None);
        assert_eq!(roundtrip(r#"{"a":{"x":1,"y":2}}"#, r#"{"a":{"y":2,"x":1}}"#), None);
        assert_eq!(roundtrip(r#"{"a":null}"#, r#"{"a":[1, 2]}"#).as_deref(), Some(r#"{"a":[1, 2]}"#));
    }

    #[test]
    fn a_field_that_is_not_written_any_more_is_removed() {
        assert_eq!(roundtrip(r#"{"a":1,"b":2}"#, r#"{"a":1}"#).as_deref(), Some(r#"{"$removed":["b"]}"#));
        assert_eq!(roundtrip(r#"{"a":1,"b":2}"#, r#"{"c":1}"#).as_deref(), Some(r#"{"c":1,"$removed":["a","b"]}"#));
        assert!(touches(r#"{"$removed":["b"]}"#, "b").unwrap());
        assert!(touches(r#"{"b":null}"#, "b").unwrap());
        assert!(!touches(r#"{"$removed":["a"]}"#, "b").unwrap());
    }

    #[test]
    fn keys_may_have_escapes() {
        assert_eq!(roundtrip(r#"{"a\"é\n":1}"#, r#"{"a\"é\n":2}"#).as_deref(), Some(r#"{"a\"é\n":2}"#));
    }
}
