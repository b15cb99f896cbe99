//! The keys with which data of persons is encrypted: without the key of a subject its data cannot be read any more, wherever copies of it are.

use super::{StoreError, StoreResult};
use jiff::Timestamp;
use std::collections::HashSet;
use uuid::Uuid;

/// What is known of a subject.
#[derive(Clone, PartialEq, Eq)]
pub enum SubjectKey {
    /// Its key.
    Known(Vec<u8>),
    /// It was forgotten, at this time. It never gets a key again.
    Forgotten(Timestamp),
}

/// Without the key, which belongs into no log.
impl std::fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SubjectKey::Known(_) => f.write_str("Known(…)"),
            SubjectKey::Forgotten(at) => f.debug_tuple("Forgotten").field(at).finish(),
        }
    }
}

/// A key for a subject that has none. If it has one, the unit is refused as [`StoreError::KeyExists`](super::StoreError::KeyExists), and if it was
/// forgotten, as [`StoreError::Forgotten`](super::StoreError::Forgotten).
#[derive(Clone, PartialEq, Eq)]
pub struct NewKey {
    /// The subject.
    pub subject: Uuid,
    /// The key.
    pub key: Vec<u8>,
}

/// Without the key, which belongs into no log.
impl std::fmt::Debug for NewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewKey").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Refuses what no store can keep.
pub(super) fn check(keys: &[NewKey]) -> StoreResult<()> {
    let mut subjects = HashSet::new();
    match keys.iter().find(|key| !subjects.insert(key.subject)) {
        Some(key) => Err(StoreError::Unstorable(format!("the subject {} gets two keys in one unit", key.subject))),
        None => Ok(()),
    }
}
