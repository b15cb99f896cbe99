//! Updates of a state that is read already, field by field: for aggregates that say `#[aggregate(in_place)]`.

use super::{Aggregate, difference::Key};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::fmt;

/// An aggregate whose fields can be set one by one. Written by `#[aggregate(in_place)]`.
#[doc(hidden)]
pub trait InPlace: Aggregate {
    /// Reads the next value into the field that is stored under this name; false if there is no such field.
    ///
    /// # Errors
    /// If it is no value of the field.
    fn set<'de, M: MapAccess<'de>>(&mut self, field: &str, values: &mut M) -> Result<bool, M::Error>;
}

/// Applies an update, as it is stored, to a state. False if it is about more than whole fields, so that it has to be applied to the text.
#[doc(hidden)]
pub type Apply<A> = fn(&mut A, &str) -> serde_json::Result<bool>;

/// Sets the fields that an update has stored. As everywhere, those that there are no more are left aside. False if it tells of fields that are not written any
/// more, or of what changed within sets.
#[doc(hidden)]
pub fn in_place<A: InPlace>(state: &mut A, change: &str) -> serde_json::Result<bool> {
    let mut json = serde_json::Deserializer::from_str(change);
    let done = Setting(state).deserialize(&mut json)?;
    json.end()?;
    Ok(done)
}

struct Setting<'s, A>(&'s mut A);

impl<'de, A: InPlace> DeserializeSeed<'de> for Setting<'_, A> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, A: InPlace> Visitor<'de> for Setting<'_, A> {
    type Value = bool;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<bool, M::Error> {
        let mut done = true;
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            if !self.0.set(&key, &mut map)? {
                done &= !key.starts_with('$');
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(done)
    }
}
