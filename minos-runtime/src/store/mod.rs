//! The store: where units of work are committed, as one transaction each, and read again.
//!
//! A port with one behaviour suite (`suite`) that every implementation passes. What is written travels as a
//! [`Unit`]; units of many handlers are coalesced into one transaction by the group commit in front
//! (`commit`).

use crate::error::ErrorKind;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use std::{borrow::Cow, sync::Arc};
use tokio::sync::watch;
use uuid::Uuid;

/// The name of an event stream: the aggregate's type and its uuid.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    /// The aggregate's name, such as `Foo`.
    pub aggregate: Cow<'static, str>,
    /// Which one.
    pub uuid: Uuid,
}

impl StreamId {
    /// The stream of one aggregate.
    pub fn new(aggregate: impl Into<Cow<'static, str>>, uuid: Uuid) -> Self {
        StreamId { aggregate: aggregate.into(), uuid }
    }
}

impl std::fmt::Display for StreamId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.aggregate, self.uuid)
    }
}

/// Why something was written: carried from the request to every event and message that follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The same for everything that one request from outside led to.
    pub correlation: Uuid,
    /// The id of the request or message that led to this directly.
    pub causation: Uuid,
    /// Who asked, if known.
    pub user: Option<String>,
}

/// An event to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The event's name, such as `FooCreated`.
    pub name: Cow<'static, str>,
    /// Its content, as JSON.
    pub data: String,
}

/// Events to append to one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The stream.
    pub stream: StreamId,
    /// The version that the stream has before: 0 for a new one. The first event gets the next one.
    pub expected: u64,
    /// The events, in order.
    pub events: Vec<NewEvent>,
}

/// A message to send, once the unit is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Its id, by which receivers know a repetition.
    pub id: Uuid,
    /// The topic.
    pub topic: String,
    /// Messages of one key are delivered in order.
    pub key: Option<String>,
    /// The headers, as a JSON object.
    pub headers: String,
    /// The content, as JSON.
    pub content: String,
}

/// The mark that something was handled: the inbox. A unit whose mark is already there is refused as
/// [`StoreError::Duplicate`], and nothing of it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Who handled it: the handler's stable name.
    pub subscriber: Cow<'static, str>,
    /// What was handled.
    pub handled: Handled,
}

/// What a [`Mark`] is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handled {
    /// An event, or anything else that comes in numbered order: one row per key, which keeps the highest number for ever.
    Version {
        /// The stream, or another name of what is numbered.
        key: String,
        /// Its version; the mark is a duplicate when this is not above the last one.
        version: u64,
    },
    /// A message or request with an id of its own: one row each, with the answer that a repetition gets.
    Message {
        /// The message's id or the client's idempotency key.
        key: String,
        /// The answer, as the caller of the store encodes it.
        answer: String,
    },
}

impl Handled {
    /// The key of what was handled.
    pub fn key(&self) -> &str {
        match self {
            Handled::Version { key, .. } | Handled::Message { key, .. } => key,
        }
    }
}

/// What the inbox knows of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRow {
    /// The last version handled; 0 for a message.
    pub version: u64,
    /// The answer to a message.
    pub answer: Option<String>,
}

/// A statement of the user's own, for read models. It runs in the unit's transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// The SQL, in the dialect of the store.
    pub sql: String,
    /// The parameters, in order: null, booleans, numbers and strings; arrays and objects are bound as JSON text.
    pub parameters: Vec<serde_json::Value>,
}

/// A message that could not be handled, kept for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDeadLetter {
    /// The handler that failed.
    pub subscriber: String,
    /// The key that is parked: later messages of it wait behind this one.
    pub key: String,
    /// Where it came from.
    pub topic: String,
    /// The message's headers, as a JSON object.
    pub headers: String,
    /// The raw content.
    pub content: Vec<u8>,
    /// Why: the error, or the dead letter that blocks this one.
    pub cause: String,
    /// How often it was tried; 0 if it only waits behind another one.
    pub attempts: u32,
}

/// A dead letter as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number; later ones are higher.
    pub id: u64,
    /// When it was put there.
    pub at: Timestamp,
    /// The rest.
    pub letter: NewDeadLetter,
}

/// What one handler did: committed in one transaction, or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// When: the time of all its events.
    pub at: Timestamp,
    /// Why.
    pub cause: Cause,
    /// Events, at most one [`Append`] per stream.
    pub appends: Vec<Append>,
    /// Messages to send.
    pub messages: Vec<NewMessage>,
    /// The inbox mark.
    pub mark: Option<Mark>,
    /// Statements for read models.
    pub statements: Vec<Statement>,
    /// Messages that could not be handled.
    pub dead_letters: Vec<NewDeadLetter>,
    /// Dead letters that are dealt with, to be removed.
    pub resolved: Vec<u64>,
    /// How far readers of the log have come, by name.
    pub checkpoints: Vec<(String, u64)>,
    /// Outbox rows that were sent, to be removed.
    pub sent: Vec<u64>,
}

impl Unit {
    /// A unit in which nothing has happened yet.
    pub fn new(at: Timestamp, cause: Cause) -> Self {
        Unit {
            at,
            cause,
            appends: Vec::new(),
            messages: Vec::new(),
            mark: None,
            statements: Vec::new(),
            dead_letters: Vec::new(),
            resolved: Vec::new(),
            checkpoints: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.appends.is_empty()
            && self.messages.is_empty()
            && self.mark.is_none()
            && self.statements.is_empty()
            && self.dead_letters.is_empty()
            && self.resolved.is_empty()
            && self.checkpoints.is_empty()
            && self.sent.is_empty()
    }
}

/// An event as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place in the order of all events of the store; there may be gaps, but a reader never sees a lower one later.
    pub position: u64,
    /// The stream.
    pub stream: StreamId,
    /// Its place in the stream, from 1, without gaps.
    pub version: u64,
    /// The event's name.
    pub name: String,
    /// Its content, as JSON.
    pub data: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub cause: Cause,
}

/// A message that waits to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its number; later ones are higher.
    pub id: u64,
    /// The message.
    pub message: NewMessage,
}

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
    /// A statement of the user's failed: nothing of the unit was written.
    #[error("the statement `{sql}` failed: {reason}")]
    Statement {
        /// The SQL.
        sql: String,
        /// What the database says.
        reason: String,
    },
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
    /// The store does not answer.
    #[error("the store does not answer: {0}")]
    Unavailable(String),
    /// The service is stopping.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// The kind of [`Error`](crate::Error) that a client or a retry sees.
    pub fn kind(&self) -> ErrorKind {
        match self {
            StoreError::Conflict { .. } | StoreError::Duplicate { .. } => ErrorKind::Conflict,
            StoreError::Statement { .. } | StoreError::Unsupported(_) | StoreError::Corrupt(_) | StoreError::Migration(_) => {
                ErrorKind::Internal
            }
            StoreError::Full(_) | StoreError::Locked(_) | StoreError::Unavailable(_) | StoreError::Closed => ErrorKind::Unavailable,
        }
    }
}

/// The result of a store's operations.
pub type StoreResult<T> = Result<T, StoreError>;

/// What a unit became.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Committed {
    /// The position of its last event; 0 if it had none.
    pub position: u64,
}

/// A store.
///
/// Every method may be called at once from many tasks. When [`commit`](Store::commit) answers `Ok`, the unit survives
/// any crash.
pub trait Store: Send + Sync + 'static {
    /// What this is and where, for the operator: `sqlite foo.db`. Never holds a password.
    fn describe(&self) -> String;

    /// Commits a unit: all of it, or nothing and an error.
    fn commit(&self, unit: Unit) -> BoxFuture<'_, StoreResult<Committed>>;

    /// The events of one stream with a version above `after`, in order.
    fn stream(&self, stream: StreamId, after: u64) -> BoxFuture<'_, StoreResult<Vec<StoredEvent>>>;

    /// At most `limit` events of all streams with a position above `after`, in order. An event that is missing here because it was
    /// not yet committed never appears below a position that was handed out.
    fn log(&self, after: u64, limit: usize) -> BoxFuture<'_, StoreResult<Vec<StoredEvent>>>;

    /// At most `limit` messages that wait to be sent, with a number above `after`, in order.
    fn outbox(&self, after: u64, limit: usize) -> BoxFuture<'_, StoreResult<Vec<OutboxRow>>>;

    /// What the inbox knows of this key.
    fn handled(&self, subscriber: &str, key: &str) -> BoxFuture<'_, StoreResult<Option<InboxRow>>>;

    /// How far the reader of this name has come; 0 at first.
    fn checkpoint(&self, name: &str) -> BoxFuture<'_, StoreResult<u64>>;

    /// At most `limit` dead letters with a number above `after`, in order.
    fn dead_letters(&self, after: u64, limit: usize) -> BoxFuture<'_, StoreResult<Vec<DeadLetter>>>;

    /// Removes answers to messages ([`Handled::Message`]) that were stored before this time; returns how many.
    fn forget_answers(&self, before: Timestamp) -> BoxFuture<'_, StoreResult<u64>>;

    /// Rows of a query of the user's own over read models, each as a JSON object.
    fn select(&self, statement: Statement) -> BoxFuture<'_, StoreResult<Vec<serde_json::Value>>>;

    /// Proves that the store can be read and written now.
    fn ping(&self) -> BoxFuture<'_, StoreResult<()>>;

    /// Changes whenever a unit with events or messages was committed. A hint for those who wait for more: they must look for themselves.
    fn changes(&self) -> watch::Receiver<u64>;

    /// Finishes what is queued, refuses what comes later, and gives the database back.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// A store, shared.
pub type SharedStore = Arc<dyn Store>;
