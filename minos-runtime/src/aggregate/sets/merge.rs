//! The application of changes to a set. A set to which one was applied stays open until all are, so that many changes of a large set do not cost a
//! reading of it each.

use super::{Note, SETS};
use crate::aggregate::difference::{Object, field, fields};
use serde::de::Error;
use serde_json::value::RawValue;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

/// A set to which changes are being applied.
#[derive(Debug, Clone)]
pub(in crate::aggregate) enum Open<'a> {
    /// Entities by their uuids.
    Entities(BTreeMap<Cow<'a, str>, Entity<'a>>),
    /// Values, as they are written.
    Values(BTreeSet<&'a str>),
}

#[derive(Debug, Clone)]
pub(in crate::aggregate) enum Entity<'a> {
    Whole(&'a RawValue),
    Changed(Object<'a>),
}

/// What a difference says of a set, if it does.
pub(in crate::aggregate) fn note<'a>(change: &Object<'a>, set: &str) -> serde_json::Result<Option<Note<'a>>> {
    let Some(sets) = change.get(SETS) else { return Ok(None) };
    let note = Object::parse(sets.get())?.get(set);
    note.map(|note| serde_json::from_str(note.get())).transpose()
}

impl<'a> Open<'a> {
    /// Reads a set as it is written.
    pub(in crate::aggregate) fn read(set: &'a RawValue) -> serde_json::Result<Self> {
        if set.get().starts_with('[') {
            let values: Vec<&RawValue> = serde_json::from_str(set.get())?;
            return Ok(Open::Values(values.into_iter().map(RawValue::get).collect()));
        }
        Ok(Open::Entities(fields(set.get())?.into_iter().map(|(uuid, entity)| (uuid, Entity::Whole(entity))).collect()))
    }

    /// Applies a change. To apply one twice is to apply it once.
    pub(in crate::aggregate) fn apply(&mut self, change: &Note<'a>) -> serde_json::Result<()> {
        let Note { create, update, delete } = *change;
        match self {
            Open::Entities(entities) => {
                for (uuid, entity) in all(create)? {
                    entities.insert(uuid, Entity::Whole(entity));
                }
                for (uuid, change) in all(update)? {
                    let Some(entity) = entities.get_mut(&uuid) else {
                        return Err(Error::custom(format!("there is no entity {uuid} that could be updated")));
                    };
                    entity.apply(change)?;
                }
                for uuid in delete.map_or(Ok(Vec::new()), |delete| serde_json::from_str::<Vec<Cow<'_, str>>>(delete.get()))? {
                    entities.remove(&*uuid);
                }
            }
            Open::Values(values) => {
                let items =
                    |list: Option<&'a RawValue>| list.map_or(Ok(Vec::new()), |list| serde_json::from_str::<Vec<&'a RawValue>>(list.get()));
                values.extend(items(create)?.into_iter().map(RawValue::get));
                for value in items(delete)? {
                    if !values.remove(value.get()) {
                        return Err(Error::custom(format!("there is no value {value} that could be removed")));
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes it behind what is there.
    pub(in crate::aggregate) fn write(&self, json: &mut String) {
        match self {
            Open::Entities(entities) => {
                json.push('{');
                for (n, (uuid, entity)) in entities.iter().enumerate() {
                    match entity {
                        Entity::Whole(entity) => field(json, n, uuid, entity.get()),
                        Entity::Changed(entity) => field(json, n, uuid, &entity.write()),
                    }
                }
                json.push('}');
            }
            Open::Values(values) => {
                json.push('[');
                for (n, value) in values.iter().enumerate() {
                    if n > 0 {
                        json.push(',');
                    }
                    json.push_str(value);
                }
                json.push(']');
            }
        }
    }
}

impl<'a> Entity<'a> {
    fn apply(&mut self, change: &'a RawValue) -> serde_json::Result<()> {
        if !change.get().starts_with('{') {
            *self = Entity::Whole(change);
            return Ok(());
        }
        if let Entity::Whole(entity) = self {
            if !entity.get().starts_with('{') {
                *self = Entity::Whole(change);
                return Ok(());
            }
            *self = Entity::Changed(Object::parse(entity.get())?);
        }
        if let Entity::Changed(entity) = self {
            entity.merge(change.get())?;
        }
        Ok(())
    }
}

fn all(object: Option<&RawValue>) -> serde_json::Result<Vec<(Cow<'_, str>, &RawValue)>> {
    object.map_or(Ok(Vec::new()), |object| fields(object.get()))
}
