//! What changed in a set, on the text of the set before and after.

use crate::aggregate::difference::{Object, canonical, field, fields};
use serde_json::value::RawValue;
use std::{borrow::Cow, cmp::Ordering, collections::BTreeMap};

/// What changed in a set.
pub(in crate::aggregate) struct Noted {
    /// The change, as it is stored under the name of the set.
    pub(in crate::aggregate) note: String,
    /// Whether the change alone does not make the one from the other, so that the new set is stored, too, and the change is only told.
    pub(in crate::aggregate) whole: bool,
}

/// What changed from one set to another; nothing is an empty one that was not there. `None` if nothing did, or this is no set.
pub(in crate::aggregate) fn difference(before: Option<&RawValue>, after: Option<&RawValue>) -> serde_json::Result<Option<Noted>> {
    let text = |value: Option<&RawValue>| value.map(|value| first(value.get())).unwrap_or(b'n');
    let (kinds, there) = ((text(before), text(after)), |value: Option<&RawValue>| value.is_some_and(|value| value.get() != "null"));
    let (note, compound) = match kinds {
        (b'{', b'{' | b'n') | (b'n', b'{') => (entities(before, after)?, false),
        (b'[', b'[' | b'n') | (b'n', b'[') => values(before, after)?,
        _ => return Ok(None),
    };
    let whole = compound || !there(before) || !there(after);
    Ok((!note.is_empty()).then(|| Noted { note: note.write(), whole }))
}

fn first(json: &str) -> u8 {
    json.bytes().next().unwrap_or(b'n')
}

/// The parts of a change, as JSON, each empty if there is nothing of the kind.
#[derive(Default)]
struct Parts {
    create: String,
    update: String,
    delete: String,
}

impl Parts {
    fn is_empty(&self) -> bool {
        self.create.is_empty() && self.update.is_empty() && self.delete.is_empty()
    }

    fn write(&self) -> String {
        let mut json = String::from("{");
        let parts = [("create", &self.create), ("update", &self.update), ("delete", &self.delete)];
        for (n, (name, part)) in parts.into_iter().filter(|(_, part)| !part.is_empty()).enumerate() {
            field(&mut json, n, name, part);
        }
        json.push('}');
        json
    }
}

/// One pass over both, which are sorted by uuid.
fn entities(before: Option<&RawValue>, after: Option<&RawValue>) -> serde_json::Result<Parts> {
    let (before, after) = (sorted(before)?, sorted(after)?);
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    let (mut created, mut updated, mut deleted) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((old, _)), Some((new, _))) => old.cmp(new),
        };
        let old = if order.is_le() { before.next() } else { None };
        let new = if order.is_ge() { after.next() } else { None };
        match (old, new) {
            (Some((uuid, old)), Some((_, new))) => {
                if let Some(change) = changed(old, new)? {
                    updated.push((uuid, change));
                }
            }
            (Some((uuid, _)), None) => deleted.push(serde_json::to_string(uuid)?),
            (None, Some((uuid, new))) => created.push((uuid, Cow::Borrowed(new.get()))),
            (None, None) => break,
        }
    }
    Ok(Parts { create: object(&created), update: object(&updated), delete: list(&deleted) })
}

fn sorted(set: Option<&RawValue>) -> serde_json::Result<Vec<(Cow<'_, str>, &RawValue)>> {
    let Some(set) = set.filter(|set| set.get() != "null") else { return Ok(Vec::new()) };
    let mut entities = fields(set.get())?;
    if !entities.is_sorted_by(|(a, _), (b, _)| a <= b) {
        entities.sort_by(|(a, _), (b, _)| a.cmp(b));
    }
    Ok(entities)
}

/// The changed fields of an entity; the whole of it if it is no object.
fn changed<'a>(old: &RawValue, new: &'a RawValue) -> serde_json::Result<Option<Cow<'a, str>>> {
    if old.get() == new.get() {
        return Ok(None);
    }
    // What is sensitive, in the clear or sealed, is one value, with whose it is.
    let is_whole = |json: &str| json.starts_with("{\"$");
    if first(old.get()) == b'{' && first(new.get()) == b'{' && !is_whole(old.get()) && !is_whole(new.get()) {
        return Ok(Object::difference(old.get(), new.get(), &[])?.map(Cow::Owned));
    }
    Ok((canonical(old.get())? != canonical(new.get())?).then(|| Cow::Borrowed(new.get())))
}

/// The change, and whether there are values of several parts: what is written of those changes with their type, so they cannot be found by their text.
fn values(before: Option<&RawValue>, after: Option<&RawValue>) -> serde_json::Result<(Parts, bool)> {
    let (before, after) = (texts(before)?, texts(after)?);
    let compound = before.values().chain(after.values()).any(|text| matches!(first(text), b'{' | b'['));
    let only = |these: &BTreeMap<String, &str>, others: &BTreeMap<String, &str>| -> Vec<String> {
        these.iter().filter(|(key, _)| !others.contains_key(*key)).map(|(_, text)| (*text).to_owned()).collect()
    };
    let parts = Parts { create: list(&only(&after, &before)), update: String::new(), delete: list(&only(&before, &after)) };
    Ok((parts, compound))
}

/// The values as written, by a text that is the same for the same value.
fn texts(set: Option<&RawValue>) -> serde_json::Result<BTreeMap<String, &str>> {
    let Some(set) = set.filter(|set| set.get() != "null") else { return Ok(BTreeMap::new()) };
    let values: Vec<&RawValue> = serde_json::from_str(set.get())?;
    values.into_iter().map(|value| Ok((canonical(value.get())?, value.get()))).collect()
}

fn object(fields: &[(&Cow<'_, str>, Cow<'_, str>)]) -> String {
    if fields.is_empty() {
        return String::new();
    }
    let mut json = String::from("{");
    for (n, (key, value)) in fields.iter().enumerate() {
        field(&mut json, n, key, value);
    }
    json.push('}');
    json
}

fn list(items: &[String]) -> String {
    if items.is_empty() { String::new() } else { format!("[{}]", items.join(",")) }
}
