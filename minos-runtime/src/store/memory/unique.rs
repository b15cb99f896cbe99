//! Unique values in memory.

use crate::store::{StoreResult, UniqueWrite};
use std::collections::HashMap;
use uuid::Uuid;

/// Who has a unique value: of an aggregate's name, a field, and the value.
#[derive(Default)]
pub(super) struct Values(HashMap<(String, String, String), Uuid>);

impl Values {
    /// Whether a value can be taken, once these are released.
    pub(super) fn check(&self, write: &UniqueWrite, all: &[UniqueWrite]) -> StoreResult<()> {
        match self.owner_of(write.place()) {
            Some(owner)
                if owner != write.uuid
                    && !all.iter().any(|other| !other.takes && other.uuid == owner && other.place() == write.place()) =>
            {
                Err(write.refused(owner))
            }
            _ => Ok(()),
        }
    }

    /// Who has a value.
    pub(super) fn owner_of(&self, (aggregate, field, value): (&str, &str, &str)) -> Option<Uuid> {
        self.0.get(&(aggregate.to_owned(), field.to_owned(), value.to_owned())).copied()
    }

    pub(super) fn write(&mut self, writes: &[UniqueWrite]) {
        let place = |write: &UniqueWrite| (write.aggregate.to_string(), write.field.to_string(), write.value.clone());
        for write in writes.iter().filter(|write| !write.takes && self.owner_of(write.place()) == Some(write.uuid)).collect::<Vec<_>>() {
            self.0.remove(&place(write));
        }
        self.0.extend(writes.iter().filter(|write| write.takes).map(|write| (place(write), write.uuid)));
    }
}
