//! Aggregates to be looked at: as they were, or as a query finds them.

use super::{Aggregate, Root};
use crate::context::SagaStep;
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use std::{fmt, ops::Deref};
use uuid::Uuid;

/// An aggregate as it was at some time, or as a query has found it. It reads like the aggregate itself, and cannot be changed: to do that,
/// [`get`](Aggregate::get) it as it is now.
///
/// As an answer it is what a [`Root`] is.
pub struct Seen<A>(Root<A>);

impl<A: Aggregate> Seen<A> {
    pub(super) fn new(root: Root<A>) -> Self {
        Seen(root)
    }
}

impl<A> Seen<A> {
    /// The uuid.
    pub fn uuid(&self) -> Uuid {
        self.0.uuid()
    }

    /// The version that it had: how many events made it.
    pub fn version(&self) -> u64 {
        self.0.version()
    }

    /// When it was created, in UTC.
    pub fn created_at(&self) -> Timestamp {
        self.0.created_at()
    }

    /// When it had last changed, in UTC.
    pub fn updated_at(&self) -> Timestamp {
        self.0.updated_at()
    }

    /// The step of a saga that held it, if one did.
    pub fn held_by(&self) -> Option<&SagaStep> {
        self.0.held_by()
    }

    /// The state alone.
    pub fn into_inner(self) -> A {
        self.0.into_inner()
    }
}

impl<A> Deref for Seen<A> {
    type Target = A;
    fn deref(&self) -> &A {
        &self.0
    }
}

impl<A: fmt::Debug> fmt::Debug for Seen<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seen").field("uuid", &self.uuid()).field("version", &self.version()).field("state", &**self).finish_non_exhaustive()
    }
}

impl<A: Serialize> Serialize for Seen<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}
