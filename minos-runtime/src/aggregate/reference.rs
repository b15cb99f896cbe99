//! References to aggregates of other services.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, hash::Hash, marker::PhantomData};
use uuid::Uuid;

/// The part of another service's aggregate that this one cares about. Written by `#[aggregate_ref]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a reference to an aggregate",
    label = "cannot be referred to",
    note = "put `#[aggregate_ref]` on the definition of `{Self}`, or `#[aggregate]` if it is this service's own"
)]
pub trait AggregateRef {
    /// The aggregate's name in the service that owns it.
    const NAME: &'static str;
}

/// An aggregate of which this process knows that it is another service's; registered by `#[aggregate_ref]`, and by `import_contract!`.
#[doc(hidden)]
pub struct AggregateRefDef {
    pub name: &'static str,
}

inventory::collect!(AggregateRefDef);

/// Whether this aggregate is said to be another service's.
pub(crate) fn is_elsewhere(aggregate: &str) -> bool {
    inventory::iter::<AggregateRefDef>.into_iter().any(|def| def.name == aggregate)
}

/// A reference to an aggregate by its uuid. It is stored as the uuid.
pub struct Ref<T> {
    uuid: Uuid,
    to: PhantomData<fn() -> T>,
}

impl<T> Ref<T> {
    /// Refers to the aggregate of this uuid.
    pub fn new(uuid: Uuid) -> Self {
        Ref { uuid, to: PhantomData }
    }

    /// The uuid that it refers to.
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }
}

// Derives would ask the same of `T`, which is only a name here.
impl<T> Clone for Ref<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Ref<T> {}
impl<T> PartialEq for Ref<T> {
    fn eq(&self, other: &Self) -> bool {
        self.uuid == other.uuid
    }
}
impl<T> Eq for Ref<T> {}
impl<T> PartialOrd for Ref<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Ref<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.uuid.cmp(&other.uuid)
    }
}
impl<T> Hash for Ref<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.uuid.hash(state);
    }
}
impl<T> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ref({})", self.uuid)
    }
}
impl<T> From<Uuid> for Ref<T> {
    fn from(uuid: Uuid) -> Self {
        Ref::new(uuid)
    }
}
impl<T> Serialize for Ref<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.uuid.serialize(serializer)
    }
}
impl<'de, T> Deserialize<'de> for Ref<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Uuid::deserialize(deserializer).map(Ref::new)
    }
}
