//! The difference of two states, on their top-level JSON fields, and its application.
//!
//! It works on the text of the fields, so that nothing has to be generated per aggregate and serde attributes on
//! fields (`rename`, `with`, `flatten`, …) just work.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// The key under which a difference lists fields that are there no more, such as those with `skip_serializing_if`.
pub(super) const REMOVED: &str = "$removed";

/// A JSON object whose fields are left unread.
#[derive(Debug, Clone, Default)]
pub(super) struct Object<'a>(Vec<Field<'a>>);

/// A key and its value.
type Field<'a> = (Cow<'a, str>, &'a RawValue);

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

    pub(super) fn of(fields: Vec<(Cow<'a, str>, &'a RawValue)>) -> Self {
        Object(fields)
    }

    pub(super) fn into_fields(self) -> impl Iterator<Item = (Cow<'a, str>, &'a RawValue)> {
        self.0.into_iter()
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

/// How deep values are compared; what differs further down counts as changed. Nothing that serde_json reads into a type is deeper.
const DEPTH: usize = 128;

/// Whether two values are the same. Keys of an object may stand in any order, as a hash map writes them; what is no object or list is compared as it
/// is written, since no type that a number could be read into holds them all.
fn same(a: &RawValue, b: &RawValue) -> bool {
    same_within(DEPTH, a.get(), b.get())
}

fn same_within(depth: usize, a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let Some(depth) = depth.checked_sub(1) else { return false };
    if a.starts_with('{') {
        let (Ok(mut a), Ok(mut b)) = (Object::parse(a), Object::parse(b)) else { return false };
        for object in [&mut a, &mut b] {
            object.0.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        let same_field = |((a, x), (b, y)): (&Field<'_>, &Field<'_>)| a == b && same_within(depth, x.get(), y.get());
        a.0.len() == b.0.len() && a.0.iter().zip(&b.0).all(same_field)
    } else if a.starts_with('[') {
        let items = |json| serde_json::from_str::<Vec<&RawValue>>(json);
        let (Ok(a), Ok(b)) = (items(a), items(b)) else { return false };
        a.len() == b.len() && a.iter().zip(&b).all(|(x, y)| same_within(depth, x.get(), y.get()))
    } else {
        false
    }
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
    fn numbers_of_any_size_are_told_apart() {
        for (a, b) in [
            (u128::MAX.to_string(), (u128::MAX - 1).to_string()),
            (i128::MIN.to_string(), (i128::MIN + 1).to_string()),
            ("9007199254740993.0".to_owned(), "9007199254740992.0".to_owned()),
        ] {
            for shape in [r#"{"a":?}"#, r#"{"a":[{"b":?}]}"#] {
                let (before, after) = (shape.replace('?', &a), shape.replace('?', &b));
                assert_eq!(difference(&before, &after).unwrap(), Some(after.clone()), "{before}");
            }
        }
    }

    #[test]
    fn only_the_order_of_keys_and_the_space_between_are_no_change() {
        for (before, after) in [
            (r#"{"a":{"x":{"p":1,"q":[1,2]},"y":2}}"#, r#"{"a":{"y":2,"x":{"q":[1, 2],"p":1}}}"#),
            (r#"{"a":{"\u0078":1}}"#, r#"{"a":{ "x" : 1 }}"#),
        ] {
            assert_eq!(difference(before, after).unwrap(), None, "{before} {after}");
        }
        for (before, after) in [
            (r#"{"a":{"x":1}}"#, r#"{"a":{"x":1,"y":1}}"#),
            (r#"{"a":{"x":1,"y":1}}"#, r#"{"a":{"x":1}}"#),
            (r#"{"a":{"x":1,"x":1}}"#, r#"{"a":{"x":1,"y":1}}"#),
            (r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#),
            (r#"{"a":[1,2]}"#, r#"{"a":[1]}"#),
            (r#"{"a":[]}"#, r#"{"a":{}}"#),
            (r#"{"a":"1"}"#, r#"{"a":1}"#),
            (r#"{"a":true}"#, r#"{"a":null}"#),
        ] {
            assert_eq!(difference(before, after).unwrap().as_deref(), Some(after), "{before}");
        }
    }

    #[test]
    fn what_is_nested_without_end_costs_no_stack() {
        let deep = |n: usize, inner: &str| format!(r#"{{"a":{}{inner}{}}}"#, "[".repeat(n), "]".repeat(n));
        assert_eq!(difference(&deep(100, "1"), &deep(100, " 1")).unwrap(), None);
        assert!(difference(&deep(20_000, "1"), &deep(20_000, "2")).unwrap().is_some());
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
