//! Entities with an identity of their own.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, btree_map};
use uuid::Uuid;

/// Entities inside an aggregate, each with a uuid of its own, in the order in which they were added.
///
/// It is written as an object, `{"<uuid>": {…}}`. As the type of a field of an aggregate, what is stored of it are its changes: to change one entity of
/// ten thousand is a small event.
///
/// ```
/// use minos_runtime::EntitySet;
///
/// let mut entries = EntitySet::new();
/// let uuid = entries.add("three apples".to_owned());
/// entries.update(uuid, |entry| entry.push_str(", washed")).unwrap();
/// assert_eq!(entries.get(uuid).map(String::as_str), Some("three apples, washed"));
/// assert_eq!(entries.remove(uuid).as_deref(), Some("three apples, washed"));
/// assert!(entries.is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntitySet<T>(BTreeMap<Uuid, T>);

impl<T> EntitySet<T> {
    /// An empty one.
    pub const fn new() -> Self {
        EntitySet(BTreeMap::new())
    }

    /// Adds an entity under a new uuid, which comes after those of all that were added before.
    pub fn add(&mut self, entity: T) -> Uuid {
        let uuid = Uuid::now_v7();
        self.0.insert(uuid, entity);
        uuid
    }

    /// Adds an entity under a uuid that the caller chose, in place of the one that has it. The order is that of the uuids.
    pub fn add_as(&mut self, uuid: Uuid, entity: T) -> Option<T> {
        self.0.insert(uuid, entity)
    }

    /// The entity of this uuid.
    pub fn get(&self, uuid: Uuid) -> Option<&T> {
        self.0.get(&uuid)
    }

    /// The entity of this uuid, to be changed.
    pub fn get_mut(&mut self, uuid: Uuid) -> Option<&mut T> {
        self.0.get_mut(&uuid)
    }

    /// Changes the entity of this uuid.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is none.
    pub fn update<R>(&mut self, uuid: Uuid, change: impl FnOnce(&mut T) -> R) -> Result<R> {
        self.get_mut(uuid).map(change).ok_or_else(|| absent(uuid))
    }

    /// Takes the entity of this uuid out.
    pub fn remove(&mut self, uuid: Uuid) -> Option<T> {
        self.0.remove(&uuid)
    }

    /// Takes all out for which this does not hold.
    pub fn retain(&mut self, mut keep: impl FnMut(Uuid, &mut T) -> bool) {
        self.0.retain(|uuid, entity| keep(*uuid, entity));
    }

    /// Whether there is one of this uuid.
    pub fn contains(&self, uuid: Uuid) -> bool {
        self.0.contains_key(&uuid)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them with their uuids, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Uuid, &T)> + ExactSizeIterator {
        self.0.iter().map(|(uuid, entity)| (*uuid, entity))
    }

    /// All of them with their uuids, to be changed.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (Uuid, &mut T)> + ExactSizeIterator {
        self.0.iter_mut().map(|(uuid, entity)| (*uuid, entity))
    }
}

fn absent(uuid: Uuid) -> Error {
    Error::not_found(format!("there is no entity {uuid} in this set"))
}

impl<T> Default for EntitySet<T> {
    fn default() -> Self {
        EntitySet::new()
    }
}

/// Each under a new uuid.
impl<T> FromIterator<T> for EntitySet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(entities: I) -> Self {
        let mut set = EntitySet::new();
        for entity in entities {
            set.add(entity);
        }
        set
    }
}

impl<T> IntoIterator for EntitySet<T> {
    type Item = (Uuid, T);
    type IntoIter = btree_map::IntoIter<Uuid, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
