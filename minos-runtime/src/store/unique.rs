//! Values that only one aggregate of its type may have.

use super::{StoreError, StoreResult};
use std::{borrow::Cow, collections::HashMap};
use uuid::Uuid;

/// How many bytes a value and its names have at most: an index holds them.
const LONGEST: usize = 2000;

/// A value that an aggregate takes, or releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueWrite {
    /// The aggregate's name.
    pub aggregate: Cow<'static, str>,
    /// The field whose values are unique.
    pub field: Cow<'static, str>,
    /// The value, as JSON that is written in one way only.
    pub value: String,
    /// Which aggregate.
    pub uuid: Uuid,
    /// Whether it takes the value. All of a unit's values are released before any is taken. If another one has it by then, the unit is refused as
    /// [`StoreError::NotUnique`](super::StoreError::NotUnique); that this one has it already is fine, and so is releasing what it does not have.
    pub takes: bool,
}

impl UniqueWrite {
    /// What is unique.
    pub(super) fn place(&self) -> (&str, &str, &str) {
        (&self.aggregate, &self.field, &self.value)
    }

    /// Why it is refused, if this one has the value.
    pub(super) fn refused(&self, owner: Uuid) -> StoreError {
        StoreError::NotUnique { aggregate: self.aggregate.to_string(), field: self.field.to_string(), value: self.value.clone(), owner }
    }
}

/// Refuses what no store can keep.
pub(super) fn check(writes: &[UniqueWrite]) -> StoreResult<()> {
    let mut taken = HashMap::new();
    for write in writes {
        let (aggregate, field, value) = write.place();
        if aggregate.len() + field.len() + value.len() > LONGEST {
            return Err(StoreError::Unstorable(format!(
                "`{field}` of `{aggregate}` is unique, and its value too long for that: with the names it has at most {LONGEST} bytes"
            )));
        }
        if write.takes {
            let owner = *taken.entry(write.place()).or_insert(write.uuid);
            if owner != write.uuid {
                return Err(write.refused(owner));
            }
        }
    }
    Ok(())
}
