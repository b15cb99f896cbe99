//! The difference of two states, on their top-level JSON fields, and its application.
//!
//! It works on the text of the fields, so that nothing has to be generated per aggregate and serde attributes on
//! fields (`rename`, `with`, `flatten`, …) just work. Of a field that is a set, what changed in it is told, and not the whole.

use super::sets::{self, Noted, Open, SETS, note};
use crate::message::SetChange;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// The key under which a difference lists fields that are there no more, such as those with `skip_serializing_if`.
pub(super) const REMOVED: &str = "$removed";

/// A JSON object whose fields are left unread.
#[derive(Debug, Clone, Default)]
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

/// What a field holds.
#[derive(Debug, Clone)]
enum Value<'a> {
    Text(&'a RawValue),
    /// A set to which a change was applied.
    Set(Open<'a>),
}

/// A key and its value, unread.
type Field<'a> = (Cow<'a, str>, &'a RawValue);

/// The fields of an object, unread.
struct Fields<'a>(Vec<Field<'a>>);

/// The fields of an object as they are written.
pub(super) fn fields(json: &str) -> serde_json::Result<Vec<Field<'_>>> {
    serde_json::from_str(json).map(|Fields(fields)| fields)
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields<'de>, M::Error> {
                let mut fields = Vec::with_capacity(8);
                while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
                    fields.push((key, map.next_value::<&'de RawValue>()?));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// A key, borrowed unless it has escapes.
pub(super) struct Key<'a>(pub(super) Cow<'a, str>);

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
        Ok(Object(fields(json)?.into_iter().map(|(key, value)| (key, Value::Text(value))).collect()))
    }

    pub(super) fn of(fields: Vec<Field<'a>>) -> Self {
        Object(fields.into_iter().map(|(key, value)| (key, Value::Text(value))).collect())
    }

    /// The value of a field as it was read; none if a change of a set was applied to it.
    pub(super) fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(name, _)| name == key).and_then(|(_, value)| match value {
            Value::Text(text) => Some(*text),
            Value::Set(_) => None,
        })
    }

    /// Applies a difference, as it is stored. To apply one again that could not be applied as a whole changes nothing that was.
    pub(super) fn merge(&mut self, change: &'a str) -> serde_json::Result<()> {
        let mut json = serde_json::Deserializer::from_str(change);
        let told = Merging(self).deserialize(&mut json)?;
        json.end()?;
        match told {
            Some(sets) => self.merge_sets(sets, change),
            None => Ok(()),
        }
    }

    /// Applies what a difference tells of sets.
    fn merge_sets(&mut self, sets: &'a RawValue, change: &'a str) -> serde_json::Result<()> {
        let mut stored = Vec::new();
        for (key, value) in fields(change)? {
            if key == REMOVED {
                stored.extend(serde_json::from_str::<Vec<String>>(value.get())?.into_iter().map(Cow::Owned));
            } else {
                stored.push(key);
            }
        }
        // Where the set itself is stored, what changed in it is only told.
        for (name, note) in fields(sets.get())?.into_iter().filter(|(name, _)| !stored.contains(name)) {
            let Some((_, field)) = self.0.iter_mut().find(|(key, _)| *key == name) else {
                return Err(serde::de::Error::custom(format!("there is no set `{name}` that could be changed")));
            };
            if let Value::Text(set) = field {
                *field = Value::Set(Open::read(set)?);
            }
            if let Value::Set(set) = field {
                set.apply(&serde_json::from_str(note.get())?)?;
            }
        }
        Ok(())
    }

    fn put(&mut self, key: Cow<'a, str>, value: &'a RawValue) {
        match self.0.iter_mut().find(|(name, _)| *name == key) {
            Some((_, field)) => *field = Value::Text(value),
            None => self.0.push((key, Value::Text(value))),
        }
    }

    pub(super) fn write(&self) -> String {
        let length = |(key, value): &(Cow<'_, str>, Value<'_>)| match value {
            Value::Text(value) => key.len() + value.get().len() + 4,
            Value::Set(_) => key.len() + 4,
        };
        let mut json = String::with_capacity(2 + self.0.iter().map(length).sum::<usize>());
        json.push('{');
        for (n, (key, value)) in self.0.iter().enumerate() {
            match value {
                Value::Text(value) => field(&mut json, n, key, value.get()),
                Value::Set(set) => {
                    field(&mut json, n, key, "");
                    set.write(&mut json);
                }
            }
        }
        json.push('}');
        json
    }

    /// What changed from one state to another, as JSON: the fields with their new values, and what changed in these sets. None if nothing did.
    pub(super) fn difference(before: &str, after: &str, sets: &[&str]) -> serde_json::Result<Option<String>> {
        if before == after {
            return Ok(None);
        }
        difference_of(&fields(before)?, &fields(after)?, sets)
    }
}

/// Puts the fields of a difference over those of an object as they are read. Gives what it tells of sets.
struct Merging<'o, 'a>(&'o mut Object<'a>);

impl<'de: 'a, 'a> DeserializeSeed<'de> for Merging<'_, 'a> {
    type Value = Option<&'a RawValue>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de: 'a, 'a> Visitor<'de> for Merging<'_, 'a> {
    type Value = Option<&'a RawValue>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let (Merging(object), mut sets) = (self, None);
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            let value = map.next_value::<&'de RawValue>()?;
            if !key.starts_with('$') {
                object.put(key, value);
            } else if key == REMOVED {
                let removed: Vec<String> = serde_json::from_str(value.get()).map_err(serde::de::Error::custom)?;
                object.0.retain(|(name, _)| !removed.iter().any(|key| key == name));
            } else if key == SETS {
                sets = Some(value);
            } else {
                object.put(key, value);
            }
        }
        Ok(sets)
    }
}

/// Writes a field behind those that are there.
pub(super) fn field(json: &mut String, n: usize, key: &str, value: &str) {
    if n > 0 {
        json.push(',');
    }
    if key.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        json.push('"');
        json.push_str(key);
        json.push('"');
    } else {
        // A string is always JSON.
        json.push_str(&serde_json::to_string(key).unwrap_or_default());
    }
    json.push(':');
    json.push_str(value);
}

/// As [`Object::difference`], of fields that were read.
fn difference_of(before: &[Field<'_>], after: &[Field<'_>], sets: &[&str]) -> serde_json::Result<Option<String>> {
    let (mut json, mut n) = (String::from("{"), 0);
    let mut put = |key: &str, value: &str| {
        field(&mut json, n, key, value);
        n += 1;
    };
    let (mut removed, mut notes) = (Vec::new(), Vec::new());
    for (key, value) in after {
        let old = find(before, key);
        if old.is_some_and(|old| old.get() == value.get()) {
            continue;
        }
        if sets.contains(&&**key)
            && let Some(Noted { note, whole }) = sets::difference(old, Some(value))?
        {
            notes.push((key, note));
            if !whole {
                continue;
            }
        } else if old.is_some_and(|old| same(old, value)) {
            continue;
        }
        put(key, value.get());
    }
    for (key, value) in before.iter().filter(|(key, _)| find(after, key).is_none()) {
        removed.push(key);
        if sets.contains(&&**key)
            && let Some(Noted { note, .. }) = sets::difference(Some(value), None)?
        {
            notes.push((key, note));
        }
    }
    if !removed.is_empty() {
        put(REMOVED, &serde_json::to_string(&removed)?);
    }
    if !notes.is_empty() {
        let mut told = String::from("{");
        for (n, (key, note)) in notes.iter().enumerate() {
            field(&mut told, n, key, note);
        }
        told.push('}');
        put(SETS, &told);
    }
    json.push('}');
    Ok((n > 0).then_some(json))
}

fn find<'a>(fields: &[Field<'a>], key: &str) -> Option<&'a RawValue> {
    fields.iter().find(|(name, _)| name == key).map(|(_, value)| *value)
}

/// Whether a difference is about this field; with a kind of change, whether something of the kind happened to the set that the field is.
pub(super) fn touches(change: &str, field: &str, kind: Option<SetChange>) -> serde_json::Result<bool> {
    let change = Object::parse(change)?;
    let told = note(&change, field)?;
    if let Some(kind) = kind {
        return Ok(told.is_some_and(|note| note.of(kind).is_some()));
    }
    if told.is_some() || change.get(field).is_some() {
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
        let (Ok(mut a), Ok(mut b)) = (fields(a), fields(b)) else { return false };
        for object in [&mut a, &mut b] {
            object.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        let same_field = |((a, x), (b, y)): (&Field<'_>, &Field<'_>)| a == b && same_within(depth, x.get(), y.get());
        a.len() == b.len() && a.iter().zip(&b).all(same_field)
    } else if a.starts_with('[') {
        let items = |json| serde_json::from_str::<Vec<&RawValue>>(json);
        let (Ok(a), Ok(b)) = (items(a), items(b)) else { return false };
        a.len() == b.len() && a.iter().zip(&b).all(|(x, y)| same_within(depth, x.get(), y.get()))
    } else {
        false
    }
}

/// A text that is the same for values that are: without space, and with the keys of objects in order.
pub(super) fn canonical(json: &str) -> serde_json::Result<String> {
    canonical_within(DEPTH, json)
}

fn canonical_within(depth: usize, json: &str) -> serde_json::Result<String> {
    let Some(depth) = depth.checked_sub(1) else { return Ok(json.to_owned()) };
    if json.starts_with('{') {
        let mut all = fields(json)?;
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut text = String::from("{");
        for (n, (key, value)) in all.iter().enumerate() {
            field(&mut text, n, key, &canonical_within(depth, value.get())?);
        }
        text.push('}');
        return Ok(text);
    }
    if json.starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(json)?;
        let items = items.iter().map(|item| canonical_within(depth, item.get())).collect::<serde_json::Result<Vec<_>>>()?;
        return Ok(format!("[{}]", items.join(",")));
    }
    Ok(json.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(before: &str, after: &str) -> serde_json::Result<Option<String>> {
        Object::difference(before, after, &[])
    }

    fn roundtrip(before: &str, after: &str) -> Option<String> {
        let change = difference(before, after).unwrap()?;
        let mut state = Object::parse(before).unwrap();
        state.merge(&change).unwrap();
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
        assert!(touches(r#"{"$removed":["b"]}"#, "b", None).unwrap());
        assert!(touches(r#"{"b":null}"#, "b", None).unwrap());
        assert!(!touches(r#"{"$removed":["a"]}"#, "b", None).unwrap());
    }

    #[test]
    fn keys_may_have_escapes() {
        assert_eq!(roundtrip(r#"{"a\"é\n":1}"#, r#"{"a\"é\n":2}"#).as_deref(), Some(r#"{"a\"é\n":2}"#));
    }
}
