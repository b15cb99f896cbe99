//! Why a store refuses or fails.

use super::StreamId;
use crate::error::ErrorKind;
use uuid::Uuid;

/// Why the store refused or failed. Refusals concern one unit, failures all of a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The stream has moved on: nothing of the unit was written. The handler is to be run again on fresh state.
    #[error("{stream} is at version {actual}, not {expected}")]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// The version that the unit was made for.
        expected: u64,
        /// The version that the stream has.
        actual: u64,
    },
    /// What the unit's mark says was already handled: nothing of the unit was written.
    #[error("{subscriber} has already handled {key}")]
    Duplicate {
        /// The subscriber.
        subscriber: String,
        /// The key.
        key: String,
    },
    /// An earlier message of this key is among the dead letters: nothing of the unit was written. Its message has to wait behind that one.
    #[error("{key} is parked for {subscriber}")]
    Parked {
        /// The subscriber.
        subscriber: String,
        /// The key.
        key: String,
    },
    /// There is no dead letter of this key behind which a message could wait: nothing of the unit was written.
    #[error("{key} is not parked for {subscriber} any more")]
    NotParked {
        /// The subscriber.
        subscriber: String,
        /// The key.
        key: String,
    },
    /// The dead letter was dealt with already: nothing of the unit was written.
    #[error("there is no dead letter {0} any more")]
    Resolved(u64),
    /// The execution of a saga has moved on: nothing of the unit was written.
    #[error("the execution {id} is at version {actual}, not {expected}")]
    SagaMoved {
        /// The execution.
        id: Uuid,
        /// The version that the unit was made for.
        expected: u64,
        /// The version that it has; 0 if there is none.
        actual: u64,
    },
    /// There is an execution with this key: nothing of the unit was written.
    #[error("there is an execution of the saga `{saga}` with the key `{key}` already")]
    SagaExists {
        /// The saga.
        saga: String,
        /// The key.
        key: String,
    },
    /// The document has another version than the unit was made for: nothing of the unit was written. The handler is to be run again on fresh state.
    #[error("the document `{key}` of `{collection}` has moved on to version {actual}")]
    DocumentConflict {
        /// The collection.
        collection: String,
        /// The key.
        key: String,
        /// The version that it has; 0 if it is not there.
        actual: u64,
    },
    /// Another aggregate has a value that only one may have: nothing of the unit was written.
    #[error("there is a `{aggregate}` already whose `{field}` is {value}")]
    NotUnique {
        /// The aggregate's name.
        aggregate: String,
        /// The field.
        field: String,
        /// The value, as JSON.
        value: String,
        /// Which aggregate has it.
        owner: Uuid,
    },
    /// The subject has a key already: nothing of the unit was written. The handler is to be run again, and reads it.
    #[error("the subject {0} has a key already")]
    KeyExists(Uuid),
    /// The subject was forgotten, and gets no key any more: nothing of the unit was written.
    #[error("the subject {0} was forgotten: nothing can be stored of it any more")]
    Forgotten(Uuid),
    /// The lease was lost to somebody else, who does now what the unit was about: nothing of it was written.
    #[error("the lease `{0}` is not held any more")]
    Fenced(String),
    /// A statement of the user's failed: nothing of the unit was written.
    #[error("the statement `{sql}` failed: {reason}")]
    Statement {
        /// The SQL.
        sql: String,
        /// What the database says.
        reason: String,
    },
    /// Something in the unit can never be stored, however often it is tried: nothing of the unit was written.
    #[error("this cannot be stored: {0}")]
    Unstorable(String),
    /// This store cannot do that.
    #[error("{0}")]
    Unsupported(String),
    /// There is no space left. Nothing was written; it goes on by itself when there is space again.
    #[error("the store is full: {0}")]
    Full(String),
    /// The database is in use by someone else.
    #[error("the store is locked: {0}")]
    Locked(String),
    /// The database is damaged, or no database of Minos.
    #[error("the store cannot be read: {0}")]
    Corrupt(String),
    /// The schema could not be brought up to date.
    #[error("the store's schema could not be migrated: {0}")]
    Migration(String),
    /// The store belongs to another service.
    #[error("the store is taken: {0}")]
    Taken(String),
    /// The log ends before a place up to which it was read or committed: what was there is gone, as after a failover to a standby that lagged.
    #[error(
        "the log is behind the checkpoint: something was read or committed at {reader}, and it ends at {log}, so the database has lost commits: \
         restore what has them; to go on without them, set `checkpoints` back to at most {log} and restart all processes of the service"
    )]
    Behind {
        /// Where the log ends, or how far it was numbered.
        log: u64,
        /// What is not there.
        reader: u64,
    },
    /// Whether the unit was committed could not be found out.
    #[error("it is not known whether this was committed: {0}")]
    Unknown(String),
    /// The store does not answer.
    #[error("the store does not answer: {0}")]
    Unavailable(String),
    /// The service is stopping.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// The writer has gone without saying what became of the unit.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(super) fn unanswered() -> Self {
        StoreError::Unknown("the writer ended before it said so: restart the service, and report this".to_owned())
    }

    /// Whether it is the store that failed, and not what was to be stored: trying again helps in the end.
    pub fn is_outage(&self) -> bool {
        matches!(
            self,
            StoreError::Full(_)
                | StoreError::Locked(_)
                | StoreError::Behind { .. }
                | StoreError::Unknown(_)
                | StoreError::Unavailable(_)
                | StoreError::Closed
        )
    }

    /// The kind of [`Error`](crate::Error) that a client or a retry sees.
    pub fn kind(&self) -> ErrorKind {
        match self {
            StoreError::Conflict { .. }
            | StoreError::Duplicate { .. }
            | StoreError::Parked { .. }
            | StoreError::NotParked { .. }
            | StoreError::Resolved(_)
            | StoreError::SagaMoved { .. }
            | StoreError::SagaExists { .. }
            | StoreError::DocumentConflict { .. }
            | StoreError::KeyExists(_)
            | StoreError::Fenced(_) => ErrorKind::Conflict,
            StoreError::NotUnique { .. } | StoreError::Forgotten(_) => ErrorKind::Rejected,
            StoreError::Unstorable(_) => ErrorKind::Invalid,
            StoreError::Statement { .. }
            | StoreError::Unsupported(_)
            | StoreError::Corrupt(_)
            | StoreError::Taken(_)
            | StoreError::Migration(_) => ErrorKind::Internal,
            StoreError::Full(_)
            | StoreError::Locked(_)
            | StoreError::Behind { .. }
            | StoreError::Unknown(_)
            | StoreError::Unavailable(_)
            | StoreError::Closed => ErrorKind::Unavailable,
        }
    }
}

/// The result of a store's operations.
pub type StoreResult<T> = Result<T, StoreError>;
