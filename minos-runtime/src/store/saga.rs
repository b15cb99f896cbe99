//! Executions of sagas, as they are stored.

use super::Cause;
use jiff::Timestamp;
use uuid::Uuid;

/// An execution of a saga as stored. What is looked for stands beside its state, which only the saga room reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SagaRow {
    /// Which one.
    pub id: Uuid,
    /// The saga's name.
    pub saga: String,
    /// The user's own name for it, unique among the executions of its saga.
    pub key: Option<String>,
    /// The hash of the definition that it began with.
    pub definition: String,
    /// How it stands, by its stored name.
    pub status: String,
    /// Whether nothing happens any more.
    pub ended: bool,
    /// When somebody has to look at it again; never if it waits for nothing that ends by itself.
    pub wake: Option<Timestamp>,
    /// Counts its changes, from 1.
    pub version: u64,
    /// All of it, as JSON.
    pub state: String,
    /// Why it was started.
    pub cause: Cause,
    /// When.
    pub started_at: Timestamp,
    /// When it changed last.
    pub changed_at: Timestamp,
}

/// An execution to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SagaWrite {
    /// The version that is stored before: 0 for a new one. If it is another one, the unit is refused as
    /// [`StoreError::SagaMoved`](super::StoreError::SagaMoved); if a new one has the key of one that is stored, as
    /// [`StoreError::SagaExists`](super::StoreError::SagaExists).
    pub expected: u64,
    /// What is stored from then on. The saga, the key, the cause and the start of an execution never change: they are only written with a new one.
    pub row: SagaRow,
}

/// Which executions are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SagaFilter {
    /// Those of this saga.
    pub saga: Option<String>,
    /// Those with this status.
    pub status: Option<String>,
}

/// A definition under which executions go on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LiveDefinition {
    /// The saga's name.
    pub saga: String,
    /// The definition's hash.
    pub definition: String,
    /// How many executions have not ended.
    pub executions: u64,
}
