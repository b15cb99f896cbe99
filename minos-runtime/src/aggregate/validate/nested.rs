//! What holds several values: each of them is looked at, under its index, key or uuid.

use super::{Validate, Violations};
use crate::aggregate::{EntitySet, ValueSet};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Display,
};

impl<T: Validate + ?Sized> Validate for Box<T> {
    fn validate(&self, found: &mut Violations) {
        (**self).validate(found);
    }
}

impl<T: Validate> Validate for Option<T> {
    fn validate(&self, found: &mut Violations) {
        if let Some(value) = self {
            value.validate(found);
        }
    }
}

fn each<'a, T: Validate + 'a>(values: impl IntoIterator<Item = (impl Display, &'a T)>, found: &mut Violations) {
    for (key, value) in values {
        found.within(&key.to_string(), value);
    }
}

impl<T: Validate> Validate for Vec<T> {
    fn validate(&self, found: &mut Violations) {
        each(self.iter().enumerate(), found);
    }
}

impl<T: Validate> Validate for BTreeSet<T> {
    fn validate(&self, found: &mut Violations) {
        each(self.iter().enumerate(), found);
    }
}

impl<K: Display, T: Validate> Validate for BTreeMap<K, T> {
    fn validate(&self, found: &mut Violations) {
        each(self, found);
    }
}

impl<K: Display, T: Validate, S> Validate for HashMap<K, T, S> {
    fn validate(&self, found: &mut Violations) {
        each(self, found);
    }
}

impl<T: Validate> Validate for EntitySet<T> {
    fn validate(&self, found: &mut Violations) {
        each(self.iter(), found);
    }
}

impl<T: Validate> Validate for ValueSet<T> {
    fn validate(&self, found: &mut Violations) {
        each(self.iter().enumerate(), found);
    }
}
