//! The store that many replicas share: PostgreSQL 14 and later.
//!
//! Writers commit batches of units, each in one round trip and with one flush (`append`, `writer`); readers of the log stop where somebody might
//! still commit (`fence`); streams that are asked for at once are read by one query (`load`). The tables are in a schema of their own.

mod append;
mod connection;
mod errors;
mod fence;
mod keys;
mod load;
mod outcome;
mod queue;
mod read;
mod rows;
mod schema;
mod statement;
mod tls;
mod url;
mod writer;

use super::{
    CLIENT_KEY, Committed, DeadLetter, Document, Field, Filter, Find, InboxRow, Inspected, Lease, LiveDefinition, Loaded, LogPage,
    OpenStep, OutboxRow, SagaFilter, SagaRow, Statement, Store, StoreError, StoreResult, StoredEvent, StreamId, SubjectKey, Unit, find,
    number,
};
use crate::{metrics::Metrics, sync::lock};
use connection::{Link, Role, Server};
use errors::Place;
use fence::Fence;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use load::Loads;
use queue::Queue;
use read::Readers;
use std::{
    future::ready,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{sync::watch, task::JoinHandle};
use tokio_postgres::{Error, Row, types::ToSql};
use url::Settings;
use uuid::Uuid;
use writer::{Shared, Writer};

/// How long a server that does not answer is waited for at the start: it may be starting, too.
const PATIENCE: Duration = Duration::from_secs(30);
const CAN_WRITE: &str = "SELECT NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off'";
/// That all tables of the writers can be written: a lock of somebody else on one of them is not waited for.
const PROVE: &str = "DO $$ BEGIN
        LOCK TABLE {s}.events, {s}.outbox, {s}.inbox, {s}.checkpoints, {s}.dead_letters, {s}.batches, {s}.sagas,
            {s}.documents, {s}.unique_values, {s}.snapshots, {s}.subject_keys IN ROW EXCLUSIVE MODE NOWAIT;
        INSERT INTO {s}.checkpoints AS c (name, position) VALUES ('ping', 1) ON CONFLICT (name) DO UPDATE SET position = c.position + 1;
    END $$";
/// Outcomes of batches that a writer which crashed has left behind.
const TIDY: &str = "DELETE FROM {s}.batches WHERE at < now() - interval '1 day'";

/// The store on PostgreSQL.
pub struct PostgresStore {
    place: Place,
    server: Arc<Server>,
    schema: String,
    queue: Arc<Queue>,
    fence: Arc<Fence>,
    /// The connection of the recovery loops: whatever else happens, they have it.
    reserved: Arc<Link>,
    readers: Arc<Readers>,
    loads: Loads,
    changes: watch::Sender<u64>,
    closed: AtomicBool,
    /// Whether the last batch failed as a whole: then a ping has to prove that writing works again.
    failed: Arc<AtomicBool>,
    writers: Mutex<Vec<JoinHandle<()>>>,
    looks: JoinHandle<()>,
}

impl PostgresStore {
    /// Opens the store of a `postgres://` URL for this service, and brings its schema up to date.
    ///
    /// Besides what PostgreSQL's own clients know, the URL may have `schema=` (`minos` if it is missing) and `connections=` (8).
    ///
    /// # Errors
    /// If the URL is wrong, the server refuses it or does not answer for half a minute, or the schema is another service's
    /// or was written by a newer version.
    pub async fn open(url: &str, service: &str, metrics: &Metrics) -> StoreResult<Self> {
        PostgresStore::open_within(url, service, metrics, PATIENCE).await
    }

    async fn open_within(url: &str, service: &str, metrics: &Metrics, patience: Duration) -> StoreResult<Self> {
        let server = Arc::new(Server::new(Settings::parse(url)?));
        let (settings, place) = (&server.settings, server.place.clone());
        let link = |role| Link::new(server.clone(), role);
        let reserved = Arc::new(link(Role::Internal));
        let session = reserved.first_session(patience).await?;
        schema::prepare(&session, &settings.schema, &place).await?;
        schema::claim(&session, service, &place).await?;
        session.query(TIDY, &[]).await.map_err(|error| place.error(&error))?;
        let changes = watch::Sender::new(0);
        // With few connections one writer does it all on one.
        let (writers, users) = if settings.connections >= 7 { (2, 2) } else { (1, 1) };
        let (queue, fence) = (Arc::new(Queue::new(writers, metrics)), Arc::new(Fence::new(changes.clone())));
        let own: Vec<_> = (0..writers).map(|_| Arc::new(link(Role::Writer))).collect();
        let shared = (writers > 1).then(|| Shared::new(link(Role::Pipeline)));
        let taken = own.len() + usize::from(shared.is_some()) + users + 1;
        let readers = Arc::new(Readers::new(&server, settings.connections - taken, users));
        let loads = Loads::new(readers.clone(), place.clone());
        let failed = Arc::new(AtomicBool::new(false));
        let writer = |own| Writer::new(own, shared.clone(), queue.clone(), fence.clone(), failed.clone());
        let writers = Mutex::new(own.into_iter().map(|own| tokio::spawn(writer(own).run())).collect());
        let looks = tokio::spawn(fence.clone().run(reserved.clone()));
        let (schema, closed) = (settings.schema.clone(), AtomicBool::new(false));
        Ok(PostgresStore { place, server, schema, queue, fence, reserved, readers, loads, changes, closed, failed, writers, looks })
    }

    fn writers(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        lock(&self.writers)
    }

    fn check_open(&self) -> StoreResult<()> {
        if self.closed.load(Ordering::Acquire) { Err(StoreError::Closed) } else { Ok(()) }
    }

    /// Whether a unit can be committed. What can be made so is.
    fn check(&self, unit: &mut Unit) -> StoreResult<()> {
        // Errors may quote anything, and what is put aside has to be stored.
        for letter in unit.dead_letters.iter_mut().filter(|letter| letter.cause.contains('\0')) {
            letter.cause = letter.cause.replace('\0', "\u{fffd}");
        }
        unit.check()?;
        self.fence.check()?;
        unit.statements.iter().try_for_each(statement::check)
    }

    fn rows<T>(&self, rows: &[Row], read: fn(&Row) -> Result<T, Error>) -> StoreResult<Vec<T>> {
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| self.place.error(&error))
    }

    fn first<T>(&self, rows: &[Row], read: fn(&Row) -> Result<T, Error>) -> StoreResult<Option<T>> {
        rows.first().map(read).transpose().map_err(|error| self.place.error(&error))
    }
}

/// How long a server is waited for by whoever only looks.
const GLANCE: Duration = Duration::from_secs(3);

/// Looks at the schema of a `postgres://` URL, which may not be there yet.
pub(super) async fn inspect(url: &str) -> StoreResult<Inspected> {
    let server = Arc::new(Server::new(Settings::parse(url)?));
    let link = Link::new(server.clone(), Role::Reader);
    let session = link.first_session(GLANCE).await?;
    let (version, owner) = schema::inspect(&session, &server.settings.schema, &server.place).await?;
    let place = format!("postgres {}", server.place.name());
    Ok(Inspected { place, version, latest: schema::latest(), owner, in_use: false })
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.looks.abort();
        self.queue.close();
    }
}

impl Store for PostgresStore {
    fn describe(&self) -> String {
        format!("postgres {}", self.place.name())
    }

    fn commit(&self, unit: Unit) -> BoxFuture<'_, StoreResult<Committed>> {
        // In a box from here on: all that a unit may bring along makes it large, and it goes through many hands.
        let mut unit = Box::new(unit);
        if let Err(error) = self.check(&mut unit) {
            return Box::pin(ready(Err(error)));
        }
        if unit.resolved.is_empty() {
            let keys = keys::of_unit(&self.schema, &unit, &[]);
            return Box::pin(self.queue.commit(unit, keys));
        }
        Box::pin(async move {
            // What key a dead letter has never changes: it is needed for the locks.
            let ids: Vec<i64> = unit.resolved.iter().map(|id| number(*id)).collect();
            let resolved = self.rows(&self.readers.query(read::KEYS_OF, &[&ids]).await?, read::pair)?;
            let keys = keys::of_unit(&self.schema, &unit, &resolved);
            self.queue.commit(unit, keys).await
        })
    }

    fn stream(&self, stream: StreamId, after: u64) -> BoxFuture<'_, StoreResult<Vec<StoredEvent>>> {
        Box::pin(async move {
            self.check_open()?;
            self.loads.stream(stream, after).await
        })
    }

    fn log(&self, after: u64, limit: usize, aggregates: Option<&[String]>) -> BoxFuture<'_, StoreResult<LogPage>> {
        let aggregates = aggregates.map(<[_]>::to_vec);
        Box::pin(async move {
            self.check_open()?;
            // First how far may be read, then, later, what is there.
            let end = after.max(self.fence.reached(after).await?);
            let (from, to, limit) = (number(after), number(end), read::limit(limit));
            let rows = match &aggregates {
                _ if end == after => Vec::new(),
                Some(names) if names.is_empty() => Vec::new(),
                Some(names) => self.reserved.query(read::LOG_OF, &[&from, &to, &limit, names]).await?,
                None => self.reserved.query(read::LOG, &[&from, &to, &limit]).await?,
            };
            let events = self.rows(&rows, read::event)?;
            self.fence.knows(events.last().map_or(0, |last: &StoredEvent| last.position));
            let full = events.last().filter(|_| number(events.len() as u64) == limit);
            let read = full.map_or(end, |last| last.position);
            Ok(LogPage { events, read })
        })
    }

    fn outbox(&self, after: u64, limit: usize) -> BoxFuture<'_, StoreResult<Vec<OutboxRow>>> {
        Box::pin(async move {
            self.check_open()?;
            let end = self.fence.reached(0).await?;
            let rows = self.reserved.query(read::OUTBOX, &[&number(after), &number(end), &read::limit(limit)]).await?;
            self.rows(&rows, read::outbox_row)
        })
    }

    fn handled(&self, subscriber: &str, key: &str) -> BoxFuture<'_, StoreResult<Option<InboxRow>>> {
        let (subscriber, key) = (subscriber.to_owned(), key.to_owned());
        Box::pin(async move {
            self.check_open()?;
            self.first(&self.readers.query(read::HANDLED, &[&subscriber, &key]).await?, read::inbox_row)
        })
    }

    fn open_steps(&self, ask_by: Timestamp, after: Option<&OpenStep>, limit: usize) -> BoxFuture<'_, StoreResult<Vec<OpenStep>>> {
        let after = after.cloned();
        Box::pin(async move {
            self.check_open()?;
            let (at, subscriber, key) =
                after.map_or((Timestamp::UNIX_EPOCH, String::new(), String::new()), |step| (step.ask_at, step.subscriber, step.key));
            let rows = self.reserved.query(read::OPEN_STEPS, &[&ask_by, &at, &subscriber, &key, &read::limit(limit)]).await?;
            self.rows(&rows, read::open_step)
        })
    }

    fn checkpoint(&self, name: &str) -> BoxFuture<'_, StoreResult<u64>> {
        let name = name.to_owned();
        Box::pin(async move {
            self.check_open()?;
            let position = self.first(&self.reserved.query(read::CHECKPOINT, &[&name]).await?, |row| row.try_get::<_, i64>(0))?;
            Ok(position.unwrap_or_default() as u64)
        })
    }

    fn dead_letters(&self, of: Option<(&str, &str)>, after: u64, limit: usize) -> BoxFuture<'_, StoreResult<Vec<DeadLetter>>> {
        let of = of.map(|(subscriber, key)| (subscriber.to_owned(), key.to_owned()));
        Box::pin(async move {
            self.check_open()?;
            let (after, limit) = (number(after), read::limit(limit));
            let rows = match &of {
                None => self.readers.query(read::DEAD_LETTERS, &[&after, &limit]).await?,
                Some((subscriber, key)) => self.readers.query(read::DEAD_LETTERS_OF_KEY, &[&after, &limit, subscriber, key]).await?,
            };
            self.rows(&rows, read::dead_letter)
        })
    }

    fn parked(&self) -> BoxFuture<'_, StoreResult<Vec<(String, String)>>> {
        Box::pin(async move {
            self.check_open()?;
            self.rows(&self.readers.query(read::PARKED, &[]).await?, read::pair)
        })
    }

    fn saga(&self, id: Uuid) -> BoxFuture<'_, StoreResult<Option<SagaRow>>> {
        Box::pin(async move {
            self.check_open()?;
            self.first(&self.readers.query(read::SAGA, &[&id]).await?, read::saga)
        })
    }

    fn saga_of_key(&self, saga: &str, key: &str) -> BoxFuture<'_, StoreResult<Option<SagaRow>>> {
        let (saga, key) = (saga.to_owned(), key.to_owned());
        Box::pin(async move {
            self.check_open()?;
            self.first(&self.readers.query(read::SAGA_OF_KEY, &[&saga, &key]).await?, read::saga)
        })
    }

    fn sagas(&self, filter: SagaFilter, after: Option<Uuid>, limit: usize) -> BoxFuture<'_, StoreResult<Vec<SagaRow>>> {
        Box::pin(async move {
            self.check_open()?;
            let Some(from) = after.map_or(Some(0), |after| after.as_u128().checked_add(1)) else { return Ok(Vec::new()) };
            let parameters: [&(dyn ToSql + Sync); 4] = [&Uuid::from_u128(from), &filter.saga, &filter.status, &read::limit(limit)];
            self.rows(&self.readers.query(read::sagas(&filter), &parameters).await?, read::saga)
        })
    }

    fn saga_wakes(&self, limit: usize) -> BoxFuture<'_, StoreResult<Vec<(Timestamp, Uuid)>>> {
        Box::pin(async move {
            self.check_open()?;
            let rows = self.reserved.query(read::SAGA_WAKES, &[&read::limit(limit)]).await?;
            self.rows(&rows, |row| Ok((row.try_get(0)?, row.try_get(1)?)))
        })
    }

    fn live_sagas(&self, after: Timestamp, limit: usize) -> BoxFuture<'_, StoreResult<Vec<(Timestamp, Uuid)>>> {
        Box::pin(async move {
            self.check_open()?;
            let rows = self.reserved.query(read::LIVE_SAGAS, &[&after, &read::limit(limit)]).await?;
            self.rows(&rows, |row| Ok((row.try_get(0)?, row.try_get(1)?)))
        })
    }

    fn wake_saga(&self, id: Uuid, version: u64, at: Timestamp) -> BoxFuture<'_, StoreResult<()>> {
        Box::pin(async move {
            self.check_open()?;
            self.reserved.query(read::WAKE_SAGA, &[&id, &number(version), &at]).await.map(|_| ())
        })
    }

    fn live_definitions(&self) -> BoxFuture<'_, StoreResult<Vec<LiveDefinition>>> {
        Box::pin(async move {
            self.check_open()?;
            self.rows(&self.readers.query(read::LIVE_DEFINITIONS, &[]).await?, read::live)
        })
    }

    fn forget_sagas(&self, before: Timestamp) -> BoxFuture<'_, StoreResult<u64>> {
        Box::pin(async move {
            self.check_open()?;
            let rows = self.reserved.query(read::FORGET_SAGAS, &[&before]).await?;
            Ok(self.first(&rows, |row| row.try_get::<_, i64>(0))?.unwrap_or_default() as u64)
        })
    }

    fn acquire(&self, name: &str, owner: Uuid, ttl: Duration) -> BoxFuture<'_, StoreResult<Option<Lease>>> {
        let name = name.to_owned();
        Box::pin(async move {
            self.check_open()?;
            let rows = self.reserved.query(read::ACQUIRE, &[&keys::lease(&self.schema, &name), &name, &owner, &ttl.as_secs_f64()]).await?;
            let epoch = self.first(&rows, |row| row.try_get::<_, Option<i64>>(0))?.flatten();
            Ok(epoch.map(|epoch| Lease { name, epoch: epoch as u64 }))
        })
    }

    fn release(&self, lease: Lease) -> BoxFuture<'_, StoreResult<()>> {
        Box::pin(async move {
            self.check_open()?;
            self.reserved.query(read::RELEASE, &[&lease.name, &number(lease.epoch)]).await.map(|_| ())
        })
    }

    fn forget_answers(&self, before: Timestamp) -> BoxFuture<'_, StoreResult<u64>> {
        Box::pin(async move {
            let mut all = 0;
            loop {
                self.check_open()?;
                let rows = self.readers.query(read::FORGET, &[&before, &CLIENT_KEY]).await?;
                match self.first(&rows, |row| row.try_get::<_, i64>(0))? {
                    Some(count) if count > 0 => all += count as u64,
                    _ => return Ok(all),
                }
            }
        })
    }

    fn document(&self, collection: &str, key: &str) -> BoxFuture<'_, StoreResult<Option<Document>>> {
        let (collection, key) = (collection.to_owned(), key.to_owned());
        Box::pin(async move {
            self.check_open()?;
            self.read_document(collection, key).await
        })
    }

    fn documents_of(&self, collection: &str, keys: &[String]) -> BoxFuture<'_, StoreResult<Vec<Document>>> {
        let (collection, keys) = (collection.to_owned(), keys.to_vec());
        Box::pin(async move {
            self.check_open()?;
            self.read_documents(collection, keys).await
        })
    }

    fn find(&self, find: Find) -> BoxFuture<'_, StoreResult<Vec<Document>>> {
        Box::pin(async move {
            self.check_open()?;
            self.find_documents(find).await
        })
    }

    fn count(&self, collection: &str, filter: Filter) -> BoxFuture<'_, StoreResult<u64>> {
        let collection = collection.to_owned();
        Box::pin(async move {
            self.check_open()?;
            self.count_documents(collection, filter).await
        })
    }

    fn index(&self, collection: &str, field: Field) -> BoxFuture<'_, StoreResult<()>> {
        let collection = collection.to_owned();
        Box::pin(async move {
            self.check_open()?;
            find::check_path(&field.path)?;
            self.make_index(collection, field).await
        })
    }

    fn owner_of(&self, aggregate: &str, field: &str, value: &str) -> BoxFuture<'_, StoreResult<Option<Uuid>>> {
        let (aggregate, field, value) = (aggregate.to_owned(), field.to_owned(), value.to_owned());
        Box::pin(async move {
            self.check_open()?;
            self.read_owner(aggregate, field, value).await
        })
    }

    fn load(&self, stream: StreamId) -> BoxFuture<'_, StoreResult<Loaded>> {
        Box::pin(async move {
            self.check_open()?;
            self.loads.state(stream).await
        })
    }

    fn forget_snapshot(&self, stream: StreamId) -> BoxFuture<'_, StoreResult<()>> {
        Box::pin(async move {
            self.check_open()?;
            self.remove_snapshot(stream).await
        })
    }

    fn keys_of(&self, subjects: &[Uuid]) -> BoxFuture<'_, StoreResult<Vec<(Uuid, SubjectKey)>>> {
        let subjects = subjects.to_vec();
        Box::pin(async move {
            self.check_open()?;
            self.read_keys(subjects).await
        })
    }

    fn select(&self, statement: Statement) -> BoxFuture<'_, StoreResult<Vec<serde_json::Value>>> {
        Box::pin(async move {
            self.check_open()?;
            statement::check(&statement)?;
            self.readers.select(&statement).await
        })
    }

    fn ping(&self) -> BoxFuture<'_, StoreResult<()>> {
        Box::pin(async move {
            self.check_open()?;
            if self.writers().iter().any(JoinHandle::is_finished) {
                return Err(StoreError::Unavailable("a writer has stopped: restart the service, and report this".to_owned()));
            }
            let rows = self.reserved.query(CAN_WRITE, &[]).await?;
            if self.first(&rows, |row| row.try_get::<_, bool>(0))? != Some(true) {
                return Err(StoreError::Unavailable(format!("{} can only be read: it may be a standby", self.place.name())));
            }
            if self.failed.load(Ordering::Relaxed) {
                self.reserved.query(PROVE, &[]).await?;
                self.failed.store(false, Ordering::Relaxed);
            }
            self.fence.look_now().await
        })
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.queue.close();
            let writers = std::mem::take(&mut *self.writers());
            for writer in writers {
                // A writer that panicked is gone, too.
                let _ = writer.await;
            }
            self.closed.store(true, Ordering::Release);
            self.looks.abort();
            self.fence.close();
            self.readers.close();
            self.reserved.close();
        })
    }
}

#[cfg(test)]
mod tests;
