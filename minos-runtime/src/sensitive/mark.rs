//! Sensitive values in the text of JSON: as marks in memory, `{"$sensitive":…}`, and sealed, `{"$sealed":"<subject>.<text>"}`, everywhere else.
//!
//! Both are found by their text. In JSON a quote within a string has a backslash before it, so `{"$` never stands in one.

use super::seal::Seal;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use std::ops::Range;
use uuid::Uuid;

pub(crate) const SENSITIVE: &str = "$sensitive";
/// Whose data it is, where it is not that of the aggregate itself.
pub(super) const OF: &str = "$of";
pub(super) const SEALED: &str = "$sealed";

const MARK: &str = "{\"$sensitive\":";
const MARK_OF: &str = ",\"$of\":";
const SEAL: &str = "{\"$sealed\":\"";
const SEAL_END: &str = "\"}";
/// The length of a uuid as text.
const UUID: usize = 36;

/// Of which aggregate a content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place<'p> {
    /// Its name.
    pub(crate) aggregate: &'p str,
    /// Which one.
    pub(crate) uuid: Uuid,
}

/// What is known of a subject.
#[derive(Debug, Clone)]
pub(crate) enum Known {
    Key(Seal),
    Forgotten,
    /// There is no key here, and never was.
    Nothing,
}

/// A value that is marked.
struct Mark<'t> {
    /// Where the mark is.
    at: Range<usize>,
    value: &'t str,
    of: Option<Uuid>,
}

/// A value that is sealed.
struct Sealed<'t> {
    at: Range<usize>,
    subject: Uuid,
    text: &'t str,
}

/// Whether there may be marks in it.
pub(crate) fn is_marked(json: &str) -> bool {
    json.contains(SENSITIVE)
}

/// Whether there may be sealed values in it.
pub(crate) fn is_sealed(json: &str) -> bool {
    json.contains(SEALED)
}

/// The marks of a text, the first one first. What is in a mark belongs to it.
fn marks(json: &str) -> impl Iterator<Item = Mark<'_>> {
    all(json, MARK, mark_at, |mark| mark.at.end)
}

/// The sealed values of a text, the first one first.
fn seals(json: &str) -> impl Iterator<Item = Sealed<'_>> {
    all(json, SEAL, seal_at, |sealed| sealed.at.end)
}

/// All that is read at a place that begins so, each behind the end of the one before.
fn all<'t, T>(
    json: &'t str,
    begin: &'static str,
    read: fn(&'t str, usize) -> Option<T>,
    end: fn(&T) -> usize,
) -> impl Iterator<Item = T> + 't
where
    T: 't,
{
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let start = from + json.get(from..)?.find(begin)?;
            from = start + begin.len();
            if let Some(found) = read(json, start) {
                from = end(&found);
                return Some(found);
            }
        }
    })
}

/// A user may have JSON of their own that begins like a mark.
fn mark_at(json: &str, start: usize) -> Option<Mark<'_>> {
    let rest = json.get(start + MARK.len()..)?;
    let mut reader = serde_json::Deserializer::from_str(rest);
    let value = <&RawValue>::deserialize(&mut reader).ok()?.get();
    let behind = rest.get(value.len()..)?;
    let (of, behind) = match behind.strip_prefix(MARK_OF) {
        Some(of) => (Some(of.strip_prefix('"')?.get(..UUID)?.parse().ok()?), of.strip_prefix('"')?.get(UUID..)?.strip_prefix('"')?),
        None => (None, behind),
    };
    let behind = behind.strip_prefix('}')?;
    Some(Mark { at: start..json.len() - behind.len(), value, of })
}

fn seal_at(json: &str, start: usize) -> Option<Sealed<'_>> {
    let rest = json.get(start + SEAL.len()..)?;
    let (subject, rest) = rest.split_once('.').filter(|(subject, _)| subject.len() == UUID)?;
    let (text, _) = rest.split_once(SEAL_END)?;
    let end = start + SEAL.len() + UUID + 1 + text.len() + SEAL_END.len();
    Some(Sealed { at: start..end, subject: subject.parse().ok()?, text })
}

/// Replaces parts of a text, which are given in order.
fn replaced(json: &str, parts: impl Iterator<Item = (Range<usize>, Option<String>)>) -> String {
    let (mut text, mut from) = (String::with_capacity(json.len() + 64), 0);
    for (at, part) in parts {
        if let Some(part) = part {
            text.push_str(&json[from..at.start]);
            text.push_str(&part);
            from = at.end;
        }
    }
    text.push_str(&json[from..]);
    text
}

/// Adds whose data stands in a text that is marked: the aggregate's own, unless it says otherwise.
pub(crate) fn subjects_of_marks(json: &str, place: Place<'_>, subjects: &mut Vec<Uuid>) {
    subjects.extend(marks(json).map(|mark| mark.of.unwrap_or(place.uuid)));
}

/// Adds whose data stands in a text that is sealed.
pub(crate) fn subjects_of_seals(json: &str, subjects: &mut Vec<Uuid>) {
    subjects.extend(seals(json).map(|sealed| sealed.subject));
}

/// Why a text cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotSealed {
    /// It holds data of this subject, which was forgotten.
    Forgotten(Uuid),
    /// A value shares its object with other fields, as serde's `tag` and `flatten` write it, so it is not known where it ends.
    Shared,
}

/// Whether something is marked in a text that is not found as a mark, and would be stored as it is.
fn is_left(json: &str) -> bool {
    json.match_indices("\"$sensitive\"").any(|(at, key)| {
        let behind = json[at + key.len()..].trim_start();
        !json[..at].ends_with('\\') && behind.starts_with(':')
    })
}

/// A text with what is marked in it sealed. What is of a subject without a key is refused, or `null` if that is asked for.
pub(crate) fn seal(json: &str, place: Place<'_>, or_null: bool, known: impl Fn(Uuid) -> Known) -> Result<String, NotSealed> {
    let mut refused = None;
    let text = replaced(
        json,
        marks(json).map(|mark| {
            let subject = mark.of.unwrap_or(place.uuid);
            let sealed = match known(subject) {
                Known::Key(key) => key.seal(subject, place, mark.value).map(|text| format!("{SEAL}{subject}.{text}{SEAL_END}")),
                Known::Forgotten | Known::Nothing => None,
            };
            if sealed.is_none() && !or_null {
                refused.get_or_insert(subject);
            }
            (mark.at, Some(sealed.unwrap_or_else(|| "null".to_owned())))
        }),
    );
    match refused {
        Some(subject) => Err(NotSealed::Forgotten(subject)),
        None if is_left(&text) => Err(NotSealed::Shared),
        None => Ok(text),
    }
}

/// A text with what is sealed in it marked, as far as there are keys. What is of a subject that was forgotten is `null`.
pub(crate) fn open(json: &str, place: Place<'_>, known: impl Fn(Uuid) -> Known) -> String {
    replaced(
        json,
        seals(json).map(|sealed| {
            let opened = match known(sealed.subject) {
                Known::Key(key) => key.open(sealed.subject, place, sealed.text).map(|value| format!("{MARK}{}}}", *value)),
                Known::Forgotten => Some("null".to_owned()),
                Known::Nothing => None,
            };
            (sealed.at, opened)
        }),
    )
}

/// Whether a key in this JSON is that of a sealed value. Nobody but Minos writes one.
pub(crate) fn names_seal(json: &[u8]) -> bool {
    fn walk(value: &Value) -> bool {
        match value {
            Value::Array(items) => items.iter().any(walk),
            Value::Object(fields) => fields.iter().any(|(key, field)| key == SEALED || walk(field)),
            _ => false,
        }
    }
    let Ok(text) = std::str::from_utf8(json) else { return false };
    // A key may be written with escapes.
    (is_sealed(text) || text.contains("\\u")) && serde_json::from_str(text).is_ok_and(|value| walk(&value))
}

/// A text that was written as data of one subject, as data of another one.
pub(crate) fn reassigned(json: String, before: Option<Uuid>, after: Option<Uuid>) -> String {
    if before == after || !is_marked(&json) {
        return json;
    }
    let of = after.map_or_else(String::new, |subject| format!("{MARK_OF}\"{subject}\""));
    replaced(&json, marks(&json).map(|mark| (mark.at, Some(format!("{MARK}{}{of}}}", mark.value)))))
}

/// A text with `null` for what is marked: to be shown.
pub(crate) fn masked(json: &str) -> String {
    replaced(json, marks(json).map(|mark| (mark.at, Some("null".to_owned()))))
}

/// A text with the values for what is marked: for tests, which compare them.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn bare(json: &str) -> String {
    replaced(json, marks(json).map(|mark| (mark.at, Some(bare(mark.value)))))
}

/// Changes each text within JSON that is JSON with something sensitive in it itself: such as events that are kept in another one.
pub(crate) fn in_texts(json: &str, change: &mut dyn FnMut(&str) -> String) -> String {
    fn walk(value: &mut Value, change: &mut dyn FnMut(&str) -> String) {
        match value {
            Value::String(text) if is_marked(text) || is_sealed(text) => *text = change(text),
            Value::Array(items) => items.iter_mut().for_each(|item| walk(item, change)),
            Value::Object(fields) => fields.values_mut().for_each(|field| walk(field, change)),
            _ => {}
        }
    }
    match serde_json::from_str::<Value>(json) {
        Ok(mut all) => {
            walk(&mut all, change);
            all.to_string()
        }
        // What is no JSON is for somebody else to say.
        Err(_) => json.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Sensitive,
        sensitive::{Seal, storing},
    };
    use serde::{Deserialize, Serialize};

    const ADA: Uuid = Uuid::from_u128(0xada);
    const BOB: Uuid = Uuid::from_u128(0xb0b);
    const HERE: Place<'_> = Place { aggregate: "Person", uuid: ADA };

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Address {
        street: Sensitive<String>,
        zip: u128,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Person {
        name: Sensitive<String>,
        age: Option<Sensitive<u8>>,
        home: Sensitive<Address>,
        #[serde(flatten)]
        rest: Rest,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Rest {
        city: String,
        tags: Vec<Sensitive<Option<Email>>>,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Email(String);

    fn ada() -> Person {
        Person {
            name: "A\"d}a {\"$sensitive\":".into(),
            age: Some(36.into()),
            home: Address { street: "S".into(), zip: u128::MAX }.into(),
            rest: Rest { city: "London {\"$".to_owned(), tags: vec![Some(Email("a@b".to_owned())).into(), None.into()] },
        }
    }

    fn stored(value: &impl Serialize, subject: Option<Uuid>) -> String {
        let _storing = storing(subject);
        serde_json::to_string(value).unwrap()
    }

    fn key_of(key: &Seal) -> impl Fn(Uuid) -> Known + '_ {
        |subject| if subject == ADA { Known::Key(key.clone()) } else { Known::Nothing }
    }

    #[test]
    fn what_is_sealed_is_read_again_with_its_key() {
        let (key, _) = Seal::random().unwrap();
        let marked = stored(&ada(), None);
        let sealed = seal(&marked, HERE, false, key_of(&key)).unwrap();
        assert!(!is_marked(&sealed) && !sealed.contains("a@b") && !sealed.contains("zip") && sealed.contains("London"), "{sealed}");
        assert_eq!(seal(&sealed, HERE, false, key_of(&key)).unwrap(), sealed, "once");
        let opened = open(&sealed, HERE, key_of(&key));
        assert_eq!(opened, marked);
        assert_eq!(serde_json::from_str::<Person>(&opened).unwrap(), ada());
        // Without the key it stays what it is, and is stored again as that.
        let unknown = open(&sealed, HERE, |_| Known::Nothing);
        assert_eq!(unknown, sealed);
        let unread: Person = serde_json::from_str(&unknown).unwrap();
        assert!(unread.name.expose().is_none() && !unread.name.is_forgotten());
        assert_eq!(stored(&unread, None), sealed);
        // In another place it cannot be opened.
        assert_eq!(open(&sealed, Place { aggregate: "Person", uuid: BOB }, key_of(&key)), sealed);
        let forgotten: Person = serde_json::from_str(&open(&sealed, HERE, |_| Known::Forgotten)).unwrap();
        assert!(forgotten.name.is_forgotten() && forgotten.rest.city.starts_with("London"), "{forgotten:?}");
    }

    #[test]
    fn whose_data_it_is_is_said() {
        let (key, _) = Seal::random().unwrap();
        let elsewhere = Place { aggregate: "Order", uuid: BOB };
        let marked = stored(&ada(), Some(ADA));
        let mut subjects = Vec::new();
        subjects_of_marks(&marked, elsewhere, &mut subjects);
        assert_eq!(subjects, vec![ADA; 5]);
        let sealed = seal(&marked, elsewhere, false, key_of(&key)).unwrap();
        subjects.clear();
        subjects_of_seals(&sealed, &mut subjects);
        assert_eq!(subjects, vec![ADA; 5]);
        assert_eq!(serde_json::from_str::<Person>(&open(&sealed, elsewhere, key_of(&key))).unwrap(), ada());
        assert_eq!(seal(&stored(&ada(), None), elsewhere, false, key_of(&key)), Err(NotSealed::Forgotten(BOB)), "a subject without a key");
        for shared in [r#"{"kind":"Mail","$sensitive":"a"}"#, r#"{"$of":"x","$sensitive":"a"}"#, r#"{"$sensitive":"a","$removed":["b"]}"#] {
            assert_eq!(seal(shared, elsewhere, true, key_of(&key)), Err(NotSealed::Shared), "{shared}");
        }
        assert!(seal(r#"{"text":"say \"$sensitive\": x"}"#, elsewhere, false, key_of(&key)).is_ok(), "within a text it is text");
        assert!(!seal(&stored(&ada(), None), elsewhere, true, key_of(&key)).unwrap().contains('S'));
        let one = stored(&Sensitive::new(1), None);
        assert_eq!(reassigned(one.clone(), None, Some(ADA)), stored(&Sensitive::new(1), Some(ADA)));
        assert_eq!(reassigned(stored(&Sensitive::new(1), Some(ADA)), Some(ADA), None), one);
    }

    #[test]
    fn only_marks_are_taken_for_marks() {
        for text in [
            r#"{"a":"{\"$sensitive\":1}"}"#,
            r#"{"a":{"$sensitive":1,"b":2}}"#,
            r#"{"a":{"$sensitive":1,"$of":"x"}}"#,
            r#"{"a":{"$sensitive":"#,
            r#"{"a":{"$sealed":"x.y"}}"#,
            r#"{"a":{"$sealed":"#,
            "é",
        ] {
            assert_eq!(masked(text), text);
            assert_eq!(open(text, HERE, |_| Known::Forgotten), text);
        }
        assert_eq!(masked(r#"{"é":{"$sensitive":{"b":"}"}},"c":[{"$sensitive":1}]}"#), r#"{"é":null,"c":[null]}"#);
        assert_eq!(bare(&stored(&Sensitive::new(Address { street: "S".into(), zip: 1 }), None)), r#"{"street":"S","zip":1}"#);
    }

    #[test]
    fn texts_within_are_changed_as_texts() {
        let inner = stored(&Sensitive::new("Ada"), None);
        let outer = serde_json::to_string(&serde_json::json!({ "id": u64::MAX, "events": [{ "data": inner }, { "data": "{}" }] })).unwrap();
        let changed: Value = serde_json::from_str(&in_texts(&outer, &mut |text| masked(text))).unwrap();
        assert_eq!(changed, serde_json::json!({ "id": u64::MAX, "events": [{ "data": "null" }, { "data": "{}" }] }));
    }

    #[test]
    fn a_sealed_value_of_a_client_is_seen_however_its_key_is_written() {
        for wrong in [r#"{"$sealed":"x"}"#, r#"{"a":[{"b":{"\u0024sealed":1}}]}"#, r#"{"$s\u0065aled":null}"#] {
            assert!(names_seal(wrong.as_bytes()), "{wrong}");
        }
        for right in [r#"{"a":"$sealed"}"#, r#"{"a":"\u00fc"}"#, "[1]", "no json $sealed"] {
            assert!(!names_seal(right.as_bytes()), "{right}");
        }
    }
}
