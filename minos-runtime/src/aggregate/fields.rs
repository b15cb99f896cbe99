//! What an aggregate stored in an older version, field by field, for the function that brings it up to the next one.

use super::{
    difference::{Object, REMOVED, field, fields},
    sets::SETS,
};
use crate::error::{Error, Result};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// The fields of an aggregate as an event has stored them: all of them for the first state, and those that changed for an update.
///
/// So a function that upcasts asks for each field whether it is there. What it does not touch stays as it is, to the letter:
///
/// ```ignore
/// fn from_v1(fields: &mut Fields) -> Result<()> {
///     if let Some(euros) = fields.take::<u64>("price")? {
///         fields.set("price", &Price { cents: euros * 100 })?;
///     }
///     fields.remove("obsolete");
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Fields {
    fields: Vec<(String, Box<RawValue>)>,
    /// The fields that an update has taken away, such as those with `skip_serializing_if`.
    removed: Vec<String>,
}

impl Fields {
    pub(super) fn parse(json: &str) -> Result<Self> {
        let mut all = Fields { fields: Vec::new(), removed: Vec::new() };
        for (key, value) in fields(json)? {
            if key == REMOVED {
                all.removed = serde_json::from_str(value.get())?;
            } else {
                all.fields.push((key.into_owned(), value.to_owned()));
            }
        }
        Ok(all)
    }

    pub(super) fn write(mut self) -> Result<String> {
        if !self.removed.is_empty() {
            let removed = serde_json::to_string(&self.removed)?;
            self.fields.push((REMOVED.to_owned(), RawValue::from_string(removed)?));
        }
        Ok(Object::of(self.fields.iter().map(|(name, value)| (name.as_str().into(), &**value)).collect()).write())
    }

    /// Whether there is a value for this field.
    pub fn contains(&self, name: &str) -> bool {
        self.fields.iter().any(|(field, _)| field == name)
    }

    /// The value of a field, which is taken out; `None` if there is none.
    ///
    /// # Errors
    /// If the value is not a `T`.
    pub fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>> {
        let Some(place) = self.fields.iter().position(|(field, _)| field == name) else { return Ok(None) };
        let value = serde_json::from_str(self.fields[place].1.get())
            .map_err(|error| Error::from(error).context(format!("the stored field `{name}`")))?;
        self.fields.remove(place);
        Ok(Some(value))
    }

    /// Gives a field a value, in place of the one that it has.
    ///
    /// # Errors
    /// If the value cannot be written as JSON.
    pub fn set<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<()> {
        #[cfg(feature = "sensitive")]
        let _storing = crate::sensitive::storing(None);
        let value = serde_json::value::to_raw_value(value)?;
        self.remove(name);
        self.fields.push((name.to_owned(), value));
        Ok(())
    }

    /// Gives a field another name, also where an update has taken it away. If both are there, the value under the new name stays.
    pub fn rename(&mut self, from: &str, to: &str) {
        if self.contains(to) {
            self.fields.retain(|(field, _)| field != from);
        }
        let names = self.fields.iter_mut().map(|(field, _)| field).chain(&mut self.removed);
        names.filter(|name| *name == from).for_each(|name| to.clone_into(name));
        // What changed in a set stands apart, under the name of the field.
        if let Some((_, notes)) = self.fields.iter_mut().find(|(field, _)| field == SETS)
            && let Some(renamed) = renamed(notes.get(), from, to)
        {
            *notes = renamed;
        }
    }

    /// Takes a field out, and says nothing of it any more.
    pub fn remove(&mut self, name: &str) {
        self.fields.retain(|(field, _)| field != name);
        self.removed.retain(|field| field != name);
    }
}

/// An object in which a field has another name; nothing if it has no such field.
fn renamed(object: &str, from: &str, to: &str) -> Option<Box<RawValue>> {
    let all = fields(object).ok().filter(|all| all.iter().any(|(name, _)| name == from))?;
    let mut json = String::from("{");
    for (n, (name, value)) in all.iter().enumerate() {
        field(&mut json, n, if name == from { to } else { name }, value.get());
    }
    json.push('}');
    RawValue::from_string(json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(json: &str, change: impl FnOnce(&mut Fields)) -> String {
        let mut fields = Fields::parse(json).unwrap();
        change(&mut fields);
        fields.write().unwrap()
    }

    #[test]
    fn what_is_not_touched_stays_to_the_letter() {
        let json = r#"{"a":340282366920938463463374607431768211455,"b":[1, 2],"$removed":["c"]}"#;
        assert_eq!(changed(json, |_| {}), json);
    }

    #[test]
    fn fields_are_taken_set_renamed_and_removed() {
        assert_eq!(
            changed(r#"{"a":1,"b":2}"#, |fields| {
                let a = fields.take::<u8>("a").unwrap().unwrap();
                fields.set("b", &(a + 6)).unwrap();
            }),
            r#"{"b":7}"#
        );
        assert_eq!(changed(r#"{"a":1}"#, |fields| assert!(fields.take::<u8>("b").unwrap().is_none())), r#"{"a":1}"#);
        assert_eq!(changed(r#"{"a":1}"#, |fields| assert!(fields.take::<String>("a").is_err())), r#"{"a":1}"#);
        assert_eq!(changed(r#"{"$removed":["a","b"]}"#, |fields| fields.remove("a")), r#"{"$removed":["b"]}"#);
    }

    #[test]
    fn a_name_changes_also_where_the_field_was_taken_away() {
        let rename = |json| changed(json, |fields| fields.rename("old", "new"));
        assert_eq!(rename(r#"{"old":1,"x":2}"#), r#"{"new":1,"x":2}"#);
        assert_eq!(rename(r#"{"x":2,"$removed":["old"]}"#), r#"{"x":2,"$removed":["new"]}"#);
        assert_eq!(rename(r#"{"old":1,"new":2}"#), r#"{"new":2}"#);
    }
}
