//! Snapshots: states of aggregates as they were at some version. They are a cache, and may be missing or old.

use super::{StoredEvent, StreamId};

/// A snapshot to write. It replaces one of an earlier version, and one of the same version with another schema; otherwise nothing happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSnapshot {
    /// The aggregate.
    pub stream: StreamId,
    /// The version of its stream.
    pub version: u64,
    /// Which states can be read: one with another schema cannot.
    pub schema: String,
    /// The state, as JSON.
    pub state: String,
}

/// A snapshot as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The version of the stream.
    pub version: u64,
    /// Which states can be read.
    pub schema: String,
    /// The state, as JSON.
    pub state: String,
}

/// What a state is made of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loaded {
    /// The snapshot, if there is one.
    pub snapshot: Option<Snapshot>,
    /// The events behind its version, or all.
    pub events: Vec<StoredEvent>,
}
