//! Values without identity.

use serde::{Deserialize, Serialize};
use std::{
    borrow::Borrow,
    collections::{BTreeSet, btree_set},
};

/// Values inside an aggregate, each once, in their own order.
///
/// It is written as a list. As the type of a field of an aggregate, what is stored of it are its changes.
///
/// ```
/// use minos_runtime::ValueSet;
///
/// let mut tags = ValueSet::new();
/// assert!(tags.insert("new".to_owned()));
/// assert!(!tags.insert("new".to_owned()), "it is there");
/// assert!(tags.contains("new"));
/// assert!(tags.remove("new"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent, bound(deserialize = "T: Deserialize<'de> + Ord"))]
pub struct ValueSet<T>(BTreeSet<T>);

impl<T> ValueSet<T> {
    /// An empty one.
    pub const fn new() -> Self {
        ValueSet(BTreeSet::new())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in their order.
    pub fn iter(&self) -> btree_set::Iter<'_, T> {
        self.0.iter()
    }
}

impl<T: Ord> ValueSet<T> {
    /// Puts a value in. Whether it was not there before.
    pub fn insert(&mut self, value: T) -> bool {
        self.0.insert(value)
    }

    /// Takes a value out. Whether it was there.
    pub fn remove<Q: Ord + ?Sized>(&mut self, value: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.0.remove(value)
    }

    /// Whether it is there.
    pub fn contains<Q: Ord + ?Sized>(&self, value: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.0.contains(value)
    }
}

impl<T> Default for ValueSet<T> {
    fn default() -> Self {
        ValueSet::new()
    }
}

impl<T: Ord> FromIterator<T> for ValueSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        ValueSet(values.into_iter().collect())
    }
}

impl<T> IntoIterator for ValueSet<T> {
    type Item = T;
    type IntoIter = btree_set::IntoIter<T>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a ValueSet<T> {
    type Item = &'a T;
    type IntoIter = btree_set::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
