//! Sets within an aggregate whose changes are stored one by one, and not the whole set.

mod difference;
mod entities;
mod merge;
mod read;
mod values;

pub(super) use difference::{Noted, difference};
pub use entities::EntitySet;
pub(super) use merge::{Open, note};
pub use read::EntityChanges;
pub use values::ValueSet;

use crate::message::SetChange;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The key under which a difference lists what changed in sets, by their names.
pub(super) const SETS: &str = "$sets";

/// What changed in one set, as stored. What is created and updated is an object by uuid for entities; what is created a list for values; what is
/// deleted a list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Note<'a> {
    #[serde(borrow)]
    pub(super) create: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) update: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) delete: Option<&'a RawValue>,
}

impl<'a> Note<'a> {
    /// What happened of this kind.
    pub(super) fn of(&self, kind: SetChange) -> Option<&'a RawValue> {
        match kind {
            SetChange::Create => self.create,
            SetChange::Update => self.update,
            SetChange::Delete => self.delete,
        }
    }
}

/// The sets of an aggregate that this process knows; registered by `#[aggregate]` if it has any.
#[doc(hidden)]
pub struct SetsDef {
    pub aggregate: &'static str,
    pub sets: &'static [&'static str],
}

inventory::collect!(SetsDef);

/// The names of the sets of an aggregate.
pub(crate) fn sets_of(aggregate: &str) -> &'static [&'static str] {
    inventory::iter::<SetsDef>.into_iter().find(|def| def.aggregate == aggregate).map_or(&[], |def| def.sets)
}

#[cfg(test)]
mod tests;
