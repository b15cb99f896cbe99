//! The store: where units of work are committed, as one transaction each, and read again.
//!
//! A port with one behaviour suite (`suite`) that every implementation passes. What is written travels as a
//! [`Unit`]; units of many handlers are coalesced into one transaction by the group commit in front
//! (`commit`).

#[cfg(feature = "sqlite")]
mod commit;
mod document;
mod error;
mod find;
mod inspect;
mod lease;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod query;
mod rows;
mod saga;
mod snapshot;
#[cfg(feature = "sqlite")]
mod sqlite;
mod subject;
#[cfg(any(test, feature = "testing"))]
pub mod suite;
mod unique;
mod unit;

pub use document::{CollectionChange, Document, DocumentWrite};
pub use error::{StoreError, StoreResult};
pub use find::{Cursor, Direction, Field, FieldPath, Filter, Find, Kind, Op, Order};
pub use inspect::{Inspected, inspect};
pub use lease::{Lease, Tenure};
pub use memory::MemoryStore;
#[cfg(feature = "postgres")]
pub use postgres::PostgresStore;
pub use rows::{DeadLetter, InboxRow, LogPage, OpenStep, OutboxRow, StoredEvent};
pub use saga::{LiveDefinition, SagaFilter, SagaRow, SagaWrite};
pub use snapshot::{Loaded, NewSnapshot, Snapshot};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;
pub use subject::{NewKey, SubjectKey};
pub use unique::UniqueWrite;
pub use unit::{Append, CLIENT_KEY, Cause, Handled, Mark, NewDeadLetter, NewEvent, NewMessage, OPEN, SETTLED, Statement, StepMark, Unit};

use crate::metrics::Metrics;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use std::{borrow::Cow, sync::Arc, time::Duration};
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

    /// At most `limit` events of all streams with a position above `after`, in order; of these aggregates only, if some are named. An event
    /// that is missing here because it was not yet committed never appears below a position that was handed out.
    fn log(&self, after: u64, limit: usize, aggregates: Option<&[String]>) -> BoxFuture<'_, StoreResult<LogPage>>;

    /// At most `limit` messages that wait to be sent, with a number above `after`, in order.
    fn outbox(&self, after: u64, limit: usize) -> BoxFuture<'_, StoreResult<Vec<OutboxRow>>>;

    /// What the inbox knows of this key.
    fn handled(&self, subscriber: &str, key: &str) -> BoxFuture<'_, StoreResult<Option<InboxRow>>>;

    /// At most `limit` steps that are [open](OPEN), and of which somebody has to ask by this time how their sagas have ended: the earliest first, and those
    /// of one time in order; behind this one, if it is named.
    fn open_steps(&self, ask_by: Timestamp, after: Option<&OpenStep>, limit: usize) -> BoxFuture<'_, StoreResult<Vec<OpenStep>>>;

    /// How far the reader of this name has come; 0 at first.
    fn checkpoint(&self, name: &str) -> BoxFuture<'_, StoreResult<u64>>;

    /// At most `limit` dead letters with a number above `after`, in order; of this subscriber and key only, if they are named.
    fn dead_letters(&self, of: Option<(&str, &str)>, after: u64, limit: usize) -> BoxFuture<'_, StoreResult<Vec<DeadLetter>>>;

    /// The subscribers and keys of all dead letters, each pair once.
    fn parked(&self) -> BoxFuture<'_, StoreResult<Vec<(String, String)>>>;

    /// The execution of this id.
    fn saga(&self, id: Uuid) -> BoxFuture<'_, StoreResult<Option<SagaRow>>>;

    /// The execution of this saga with this key of the user's.
    fn saga_of_key(&self, saga: &str, key: &str) -> BoxFuture<'_, StoreResult<Option<SagaRow>>>;

    /// At most `limit` executions with an id above `after`, in the order of their ids.
    fn sagas(&self, filter: SagaFilter, after: Option<Uuid>, limit: usize) -> BoxFuture<'_, StoreResult<Vec<SagaRow>>>;

    /// When somebody has to look at which execution: at most `limit`, the earliest first.
    fn saga_wakes(&self, limit: usize) -> BoxFuture<'_, StoreResult<Vec<(Timestamp, Uuid)>>>;

    /// When which executions began that have not ended: at most `limit` that began after this time, the earliest first.
    fn live_sagas(&self, after: Timestamp, limit: usize) -> BoxFuture<'_, StoreResult<Vec<(Timestamp, Uuid)>>>;

    /// Puts off when somebody has to look at an execution. Nothing happens if it has another version.
    fn wake_saga(&self, id: Uuid, version: u64, at: Timestamp) -> BoxFuture<'_, StoreResult<()>>;

    /// The definitions of all executions that have not ended, in order.
    fn live_definitions(&self) -> BoxFuture<'_, StoreResult<Vec<LiveDefinition>>>;

    /// Removes executions that have ended and were changed last before this time, some thousands at once; returns how many.
    fn forget_sagas(&self, before: Timestamp) -> BoxFuture<'_, StoreResult<u64>>;

    /// Takes the lease of this name for a while, or renews it, by the store's clock. `None` while somebody else holds it.
    fn acquire(&self, name: &str, owner: Uuid, ttl: Duration) -> BoxFuture<'_, StoreResult<Option<Lease>>>;

    /// Gives a lease back before its time. Nothing happens if it is not held any more.
    fn release(&self, lease: Lease) -> BoxFuture<'_, StoreResult<()>>;

    /// Removes answers ([`Handled::Message`]) that were stored before this time; returns how many. That a message was handled is known for ever;
    /// only keys of clients ([`CLIENT_KEY`]) are forgotten with their answers, and those of steps ([`Handled::Step`]) never.
    fn forget_answers(&self, before: Timestamp) -> BoxFuture<'_, StoreResult<u64>>;

    /// The document of this key.
    fn document(&self, collection: &str, key: &str) -> BoxFuture<'_, StoreResult<Option<Document>>>;

    /// Those documents of these keys that there are, in the order of their keys, each once.
    fn documents_of(&self, collection: &str, keys: &[String]) -> BoxFuture<'_, StoreResult<Vec<Document>>>;

    /// The documents that are looked for, in order.
    fn find(&self, find: Find) -> BoxFuture<'_, StoreResult<Vec<Document>>>;

    /// How many documents of a collection a filter is true of.
    fn count(&self, collection: &str, filter: Filter) -> BoxFuture<'_, StoreResult<u64>>;

    /// Makes an index of a field of a collection's documents, for [`find`](Store::find) and [`count`](Store::count), unless there is one. It may take
    /// long, and cost a connection for as long; others write meanwhile, but for the embedded store. What is indexed must not be longer than some 2,500 bytes
    /// on PostgreSQL, which refuses the unit otherwise.
    fn index(&self, collection: &str, field: Field) -> BoxFuture<'_, StoreResult<()>>;

    /// Which aggregate has a unique value.
    fn owner_of(&self, aggregate: &str, field: &str, value: &str) -> BoxFuture<'_, StoreResult<Option<Uuid>>>;

    /// The snapshot of a stream, and the events behind it: all that its state is made of.
    fn load(&self, stream: StreamId) -> BoxFuture<'_, StoreResult<Loaded>>;

    /// Removes the snapshot of a stream, if there is one: it cannot be read any more.
    fn forget_snapshot(&self, stream: StreamId) -> BoxFuture<'_, StoreResult<()>>;

    /// The keys of those of these subjects that have or had one, each once.
    fn keys_of(&self, subjects: &[Uuid]) -> BoxFuture<'_, StoreResult<Vec<(Uuid, SubjectKey)>>>;

    /// Rows of a query of the user's own over read models, each as a JSON object.
    fn select(&self, statement: Statement) -> BoxFuture<'_, StoreResult<Vec<serde_json::Value>>>;

    /// Proves that the store can be read and written now.
    fn ping(&self) -> BoxFuture<'_, StoreResult<()>>;

    /// Changes whenever a unit with events or messages was committed. A hint for those who wait for more: they must look for themselves.
    fn changes(&self) -> watch::Receiver<u64>;

    /// Finishes what is queued, refuses what comes later, and gives the database back.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// How many bytes of contents go into one transaction, unless a single unit has more.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// A number for a database, which has no higher ones than this.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A store, shared.
pub type SharedStore = Arc<dyn Store>;

/// Opens the store of this URL for this service: `memory:`, `sqlite://foo.db`, or `postgres://user:password@host/database`. It is that service's
/// own from then on.
///
/// # Errors
/// If this build knows no such store, or it cannot be opened: the error says what to do.
pub async fn open(url: &str, service: &str, metrics: &Metrics) -> StoreResult<SharedStore> {
    if url == "memory:" {
        return Ok(Arc::new(MemoryStore::new()));
    }
    if let Some(path) = url.strip_prefix("sqlite://") {
        return open_sqlite(path, service, metrics).await;
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return open_postgres(url, service, metrics).await;
    }
    let scheme = url.split_once(':').map_or(url, |(scheme, _)| scheme);
    // The URL itself is not told: it may hold a password.
    Err(StoreError::Unsupported(format!(
        "there is no store for `{scheme}:` URLs: write `sqlite://file.db`, `postgres://user:password@host/database` or `memory:`"
    )))
}

#[cfg(feature = "sqlite")]
async fn open_sqlite(path: &str, service: &str, metrics: &Metrics) -> StoreResult<SharedStore> {
    let (path, service, metrics) = (std::path::PathBuf::from(path), service.to_owned(), metrics.clone());
    let opened = tokio::task::spawn_blocking(move || SqliteStore::open(path, &service, &metrics)).await;
    opened.map_err(|error| StoreError::Unavailable(error.to_string()))?.map(|store| Arc::new(store) as SharedStore)
}

#[cfg(not(feature = "sqlite"))]
async fn open_sqlite(_: &str, _: &str, _: &Metrics) -> StoreResult<SharedStore> {
    Err(StoreError::Unsupported("this build has no SQLite store: switch on the feature `sqlite` of `minos`".to_owned()))
}

#[cfg(feature = "postgres")]
async fn open_postgres(url: &str, service: &str, metrics: &Metrics) -> StoreResult<SharedStore> {
    Ok(Arc::new(PostgresStore::open(url, service, metrics).await?))
}

#[cfg(not(feature = "postgres"))]
async fn open_postgres(_: &str, _: &str, _: &Metrics) -> StoreResult<SharedStore> {
    Err(StoreError::Unsupported("this build has no PostgreSQL store: switch on the feature `postgres` of `minos`".to_owned()))
}
