//! What changed in sets, as handlers of events read it.

use super::note;
use crate::{
    aggregate::{
        Aggregate, Changes,
        difference::{self, Object, fields},
        event::shown,
    },
    error::{Error, Result},
    message::SetChange,
};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::fmt;
use uuid::Uuid;

/// What changed of one entity in a set.
#[derive(Clone)]
pub struct EntityChanges {
    uuid: Uuid,
    data: String,
    /// The same to be shown, if something in it must not be.
    shown: Option<String>,
}

impl fmt::Debug for EntityChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntityChanges").field("uuid", &self.uuid).field("data", &self.as_json()).finish()
    }
}

impl EntityChanges {
    /// Whose changes they are.
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// Whether this field changed.
    pub fn changed(&self, field: &str) -> bool {
        difference::touches(&self.data, field, None).unwrap_or(false)
    }

    /// The new value of a field, or `None` if it did not change.
    ///
    /// # Errors
    /// If the value is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, field: &str) -> Result<Option<T>> {
        let value = Object::parse(&self.data)?.get(field);
        value.map(|value| read(value, field)).transpose()
    }

    /// The changes as JSON: an object with the new values, and `null` for those that are sensitive; the entity itself if it is written as something else.
    pub fn as_json(&self) -> &str {
        self.shown.as_deref().unwrap_or(&self.data)
    }
}

/// What changed in an [`EntitySet`](crate::EntitySet) or a [`ValueSet`](crate::ValueSet).
impl<A: Aggregate> Changes<A> {
    /// The entities that were added to a set, with their uuids.
    ///
    /// # Errors
    /// If one is not a `T`, or the aggregate has no such set.
    pub fn created<T: DeserializeOwned>(&self, set: &str) -> Result<Vec<(Uuid, T)>> {
        let added = self.entities(set, SetChange::Create)?;
        added.into_iter().map(|(uuid, entity)| Ok((uuid, read(entity, set)?))).collect()
    }

    /// The entities of a set that were changed, each with the fields that did.
    ///
    /// # Errors
    /// If the aggregate has no such set.
    pub fn updated(&self, set: &str) -> Result<Vec<EntityChanges>> {
        let changed = self.entities(set, SetChange::Update)?;
        Ok(changed.into_iter().map(|(uuid, data)| EntityChanges { uuid, data: data.get().to_owned(), shown: shown(data.get()) }).collect())
    }

    /// The uuids of the entities that were taken out of a set.
    ///
    /// # Errors
    /// If the aggregate has no such set.
    pub fn deleted(&self, set: &str) -> Result<Vec<Uuid>> {
        self.values(set, SetChange::Delete)
    }

    /// The values that were put into a set.
    ///
    /// # Errors
    /// If one is not a `T`, or the aggregate has no such set.
    pub fn inserted<T: DeserializeOwned>(&self, set: &str) -> Result<Vec<T>> {
        self.values(set, SetChange::Create)
    }

    /// The values that were taken out of a set.
    ///
    /// # Errors
    /// If one is not a `T`, or the aggregate has no such set.
    pub fn removed<T: DeserializeOwned>(&self, set: &str) -> Result<Vec<T>> {
        self.values(set, SetChange::Delete)
    }

    fn values<T: DeserializeOwned>(&self, set: &str, kind: SetChange) -> Result<Vec<T>> {
        let change = Object::parse(self.whole())?;
        part_of::<A>(&change, set, kind)?.map_or(Ok(Vec::new()), |values| read(values, set))
    }
}

impl<A: Aggregate> Changes<A> {
    fn entities(&self, set: &str, kind: SetChange) -> Result<Vec<(Uuid, &RawValue)>> {
        let change = Object::parse(self.whole())?;
        let Some(entities) = part_of::<A>(&change, set, kind)? else { return Ok(Vec::new()) };
        fields(entities.get())?.into_iter().map(|(uuid, entity)| Ok((Uuid::parse_str(&uuid)?, entity))).collect()
    }
}

/// One part of what changed in a set. Who asks for what can never be is told.
fn part_of<'a, A: Aggregate>(change: &Object<'a>, set: &str, kind: SetChange) -> Result<Option<&'a RawValue>> {
    if !A::SETS.contains(&set) {
        let known = if A::SETS.is_empty() { "none".to_owned() } else { A::SETS.join(", ") };
        return Err(Error::internal(format!("{} has no set `{set}`; its sets are: {known}", A::NAME)));
    }
    Ok(note(change, set)?.and_then(|note| note.of(kind)))
}

fn read<T: DeserializeOwned>(value: &RawValue, what: &str) -> Result<T> {
    serde_json::from_str(value.get()).map_err(|error| Error::from(error).context(what.to_owned()))
}
