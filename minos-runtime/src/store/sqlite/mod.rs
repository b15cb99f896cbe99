//! The embedded store: one SQLite file, one writer that commits in groups, and readers beside it.

mod append;
mod errors;
mod read;
mod rows;
mod saga;
mod schema;
mod statement;

use super::{
    Committed, DeadLetter, Document, Field, Filter, Find, InboxRow, Inspected, Lease, LiveDefinition, Loaded, LogPage, OpenStep, OutboxRow,
    SagaFilter, SagaRow, Statement, Store, StoreError, StoreResult, StoredEvent, StreamId, SubjectKey, Unit,
    commit::{self, Chore, Queue},
    find,
};
use crate::metrics::Metrics;
use append::Appender;
use errors::Place;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use read::Readers;
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;
use uuid::Uuid;

/// How long someone else's lock on the database is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The embedded store. Units that were committed survive a crash of the process and of the machine.
pub struct SqliteStore {
    place: Place,
    queue: Queue,
    readers: Readers,
    changes: watch::Sender<u64>,
    closed: AtomicBool,
    /// Closes when the writer has given the file back.
    ended: watch::Receiver<()>,
}

impl SqliteStore {
    /// Opens the database in this file for this service, or creates it. Blocks.
    ///
    /// # Errors
    /// If the file is in use by another process, another service's, no database of Minos, damaged, or written by a newer version.
    pub fn open(path: PathBuf, service: &str, metrics: &Metrics) -> StoreResult<Self> {
        SqliteStore::open_with(path, service, metrics, |_| Ok(()))
    }

    /// As [`open`](SqliteStore::open), with settings of the writer's connection.
    fn open_with(
        path: PathBuf,
        service: &str,
        metrics: &Metrics,
        set: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> StoreResult<Self> {
        let place = Place::new(path);
        let lock = lock(&place)?;
        let mut connection = connect(&place, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        schema::prepare(&mut connection, service).map_err(|error| error.at(&place))?;
        set(&connection).map_err(|error| place.error(error))?;
        let changes = watch::Sender::new(0);
        let (queue, line) = commit::queue(metrics);
        let appender = Appender::new(connection, place.clone(), changes.clone())?;
        let (ends, ended) = watch::channel(());
        let serve = move || {
            block_on(line.serve(appender));
            // Another process may open the database from here on.
            drop(lock);
            drop(ends);
        };
        std::thread::Builder::new()
            .name("minos-sqlite".to_owned())
            .spawn(serve)
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let readers = Readers::new(place.clone());
        Ok(SqliteStore { place, queue, readers, changes, closed: AtomicBool::new(false), ended })
    }

    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> BoxFuture<'_, StoreResult<T>> {
        Box::pin(async move {
            if self.closed.load(Ordering::Relaxed) {
                return Err(StoreError::Closed);
            }
            self.readers.read(|connection| read(connection)).await?.map_err(|error| self.place.error(error))
        })
    }
}

/// Runs the writer's loop on its own thread.
fn block_on(future: impl Future<Output = ()>) {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut cx = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    while future.as_mut().poll(&mut cx).is_pending() {
        std::thread::park();
    }
}

/// Holds the database for this process: two of them would send each message twice.
fn lock(place: &Place) -> StoreResult<File> {
    let mut path = place.path().as_os_str().to_owned();
    path.push(".lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(|error| place.io(&error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::Locked(format!(
            "{} is in use by another process: stop that one, or give this one a file of its own with MINOS_STORE_URL",
            place.path().display()
        ))),
        Err(std::fs::TryLockError::Error(error)) => Err(place.io(&error)),
    }
}

/// Looks at the database in this file, which may not be there yet. Blocks.
pub(super) fn inspect(path: PathBuf) -> StoreResult<Inspected> {
    let place = Place::new(path);
    let mut inspected = Inspected {
        place: format!("sqlite {}", place.path().display()),
        version: 0,
        latest: schema::latest(),
        owner: None,
        in_use: is_locked(&place),
    };
    if place.path().exists() {
        let connection = connect(&place, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        (inspected.version, inspected.owner) = schema::inspect(&connection).map_err(|error| error.at(&place))?;
    } else {
        // A file can be made there, and goes at once.
        let directory = place.path().parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let probe = directory.join(format!(".minos-{}", Uuid::new_v4()));
        File::create_new(&probe).and_then(|_| std::fs::remove_file(&probe)).map_err(|error| {
            StoreError::Unavailable(format!(
                "{} cannot be made ({error}): is its directory there, and may it be written?",
                place.path().display()
            ))
        })?;
    }
    Ok(inspected)
}

/// Whether another process has the database.
fn is_locked(place: &Place) -> bool {
    let mut path = place.path().as_os_str().to_owned();
    path.push(".lock");
    let file = File::options().write(true).open(&path);
    file.is_ok_and(|file| matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock)))
}

fn connect(place: &Place, flags: OpenFlags) -> StoreResult<Connection> {
    let open = |path: &Path| {
        let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(PATIENCE)?;
        // Plans that do not depend on the values: otherwise a statement may be prepared again each time that one is bound.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.set_prepared_statement_cache_capacity(32);
        Ok(connection)
    };
    open(place.path()).map_err(|error| place.error(error))
}

/// Times are stored as text of one length, so that they sort.
fn time(at: Timestamp) -> String {
    format!("{at:.6}")
}

/// An id as text, without an allocation.
struct UuidText([u8; 36]);

impl UuidText {
    fn new(uuid: Uuid) -> Self {
        let mut text = [0; 36];
        uuid.hyphenated().encode_lower(&mut text);
        UuidText(text)
    }

    fn as_str(&self) -> &str {
        // Hexadecimal digits and hyphens.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Store for SqliteStore {
    fn describe(&self) -> String {
        format!("sqlite {}", self.place.path().display())
    }

    fn commit(&self, unit: Unit) -> BoxFuture<'_, StoreResult<Committed>> {
        Box::pin(async move {
            unit.check()?;
            self.queue.commit(unit).await
        })
    }

    fn stream(&self, stream: StreamId, after: u64) -> BoxFuture<'_, StoreResult<Vec<StoredEvent>>> {
        self.read(move |connection| read::stream(connection, stream, after))
    }

    fn log(&self, after: u64, limit: usize, aggregates: Option<&[String]>) -> BoxFuture<'_, StoreResult<LogPage>> {
        let aggregates = aggregates.map(<[_]>::to_vec);
        let page = self.read(move |connection| read::log(connection, after, limit, aggregates.as_deref()));
        Box::pin(async move { page.await? })
    }

    fn outbox(&self, after: u64, limit: usize) -> BoxFuture<'_, StoreResult<Vec<OutboxRow>>> {
        self.read(move |connection| read::outbox(connection, after, limit))
    }

    fn handled(&self, subscriber: &str, key: &str) -> BoxFuture<'_, StoreResult<Option<InboxRow>>> {
        let (subscriber, key) = (subscriber.to_owned(), key.to_owned());
        self.read(move |connection| read::handled(connection, &subscriber, &key))
    }

    fn open_steps(&self, ask_by: Timestamp, after: Option<&OpenStep>, limit: usize) -> BoxFuture<'_, StoreResult<Vec<OpenStep>>> {
        let after = after.cloned();
        self.read(move |connection| read::open_steps(connection, ask_by, after.as_ref(), limit))
    }

    fn checkpoint(&self, name: &str) -> BoxFuture<'_, StoreResult<u64>> {
        let name = name.to_owned();
        self.read(move |connection| read::checkpoint(connection, &name))
    }

    fn dead_letters(&self, of: Option<(&str, &str)>, after: u64, limit: usize) -> BoxFuture<'_, StoreResult<Vec<DeadLetter>>> {
        let of = of.map(|(subscriber, key)| (subscriber.to_owned(), key.to_owned()));
        self.read(move |connection| read::dead_letters(connection, of, after, limit))
    }

    fn parked(&self) -> BoxFuture<'_, StoreResult<Vec<(String, String)>>> {
        self.read(read::parked)
    }

    fn saga(&self, id: Uuid) -> BoxFuture<'_, StoreResult<Option<SagaRow>>> {
        self.read(move |connection| saga::by_id(connection, id))
    }

    fn saga_of_key(&self, saga: &str, key: &str) -> BoxFuture<'_, StoreResult<Option<SagaRow>>> {
        let (saga, key) = (saga.to_owned(), key.to_owned());
        self.read(move |connection| saga::by_key(connection, &saga, &key))
    }

    fn sagas(&self, filter: SagaFilter, after: Option<Uuid>, limit: usize) -> BoxFuture<'_, StoreResult<Vec<SagaRow>>> {
        self.read(move |connection| saga::list(connection, &filter, after, limit))
    }

    fn saga_wakes(&self, limit: usize) -> BoxFuture<'_, StoreResult<Vec<(Timestamp, Uuid)>>> {
        self.read(move |connection| saga::wakes(connection, limit))
    }

    fn live_sagas(&self, after: Timestamp, limit: usize) -> BoxFuture<'_, StoreResult<Vec<(Timestamp, Uuid)>>> {
        self.read(move |connection| saga::live_since(connection, after, limit))
    }

    fn wake_saga(&self, id: Uuid, version: u64, at: Timestamp) -> BoxFuture<'_, StoreResult<()>> {
        Box::pin(self.queue.wake_saga(id, version, at))
    }

    fn live_definitions(&self) -> BoxFuture<'_, StoreResult<Vec<LiveDefinition>>> {
        self.read(saga::live)
    }

    fn forget_sagas(&self, before: Timestamp) -> BoxFuture<'_, StoreResult<u64>> {
        Box::pin(self.queue.forget_sagas(before))
    }

    fn acquire(&self, name: &str, owner: Uuid, ttl: Duration) -> BoxFuture<'_, StoreResult<Option<Lease>>> {
        Box::pin(self.queue.acquire(name.to_owned(), owner, ttl))
    }

    fn release(&self, lease: Lease) -> BoxFuture<'_, StoreResult<()>> {
        Box::pin(self.queue.release(lease))
    }

    fn forget_answers(&self, before: Timestamp) -> BoxFuture<'_, StoreResult<u64>> {
        Box::pin(self.queue.forget_answers(before))
    }

    fn document(&self, collection: &str, key: &str) -> BoxFuture<'_, StoreResult<Option<Document>>> {
        let (collection, key) = (collection.to_owned(), key.to_owned());
        self.read(move |connection| rows::document(connection, &collection, &key))
    }

    fn documents_of(&self, collection: &str, keys: &[String]) -> BoxFuture<'_, StoreResult<Vec<Document>>> {
        let (collection, keys) = (collection.to_owned(), keys.to_vec());
        self.read(move |connection| rows::documents_of(connection, &collection, &keys))
    }

    fn find(&self, find: Find) -> BoxFuture<'_, StoreResult<Vec<Document>>> {
        Box::pin(async move {
            find.check()?;
            self.read(move |connection| rows::find(connection, &find)).await
        })
    }

    fn count(&self, collection: &str, filter: Filter) -> BoxFuture<'_, StoreResult<u64>> {
        let collection = collection.to_owned();
        Box::pin(async move {
            filter.check()?;
            self.read(move |connection| rows::count(connection, &collection, &filter)).await
        })
    }

    fn index(&self, collection: &str, field: Field) -> BoxFuture<'_, StoreResult<()>> {
        let collection = collection.to_owned();
        Box::pin(async move {
            find::check_path(&field.path)?;
            self.queue.chore(Chore::Index(collection, field)).await.map(|_| ())
        })
    }

    fn owner_of(&self, aggregate: &str, field: &str, value: &str) -> BoxFuture<'_, StoreResult<Option<Uuid>>> {
        let (aggregate, field, value) = (aggregate.to_owned(), field.to_owned(), value.to_owned());
        self.read(move |connection| rows::owner_of(connection, &aggregate, &field, &value))
    }

    fn load(&self, stream: StreamId) -> BoxFuture<'_, StoreResult<Loaded>> {
        self.read(move |connection| rows::load(connection, stream))
    }

    fn forget_snapshot(&self, stream: StreamId) -> BoxFuture<'_, StoreResult<()>> {
        Box::pin(async move { self.queue.chore(Chore::ForgetSnapshot(stream)).await.map(|_| ()) })
    }

    fn keys_of(&self, subjects: &[Uuid]) -> BoxFuture<'_, StoreResult<Vec<(Uuid, SubjectKey)>>> {
        let subjects = subjects.to_vec();
        self.read(move |connection| rows::keys_of(connection, &subjects))
    }

    fn select(&self, statement: Statement) -> BoxFuture<'_, StoreResult<Vec<serde_json::Value>>> {
        Box::pin(async move {
            if self.closed.load(Ordering::Relaxed) {
                return Err(StoreError::Closed);
            }
            self.readers.read(move |connection| statement::select(connection, &statement)).await?
        })
    }

    fn ping(&self) -> BoxFuture<'_, StoreResult<()>> {
        Box::pin(self.queue.ping())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.closed.store(true, Ordering::Relaxed);
            // Before the writer, for only who writes can put the write-ahead log back into the file, and only the last one to go does.
            self.readers.close().await;
            self.queue.close().await;
            // Nothing is ever sent: the error says that the writer is gone.
            let _ = self.ended.clone().changed().await;
        })
    }
}

#[cfg(test)]
mod tests;
