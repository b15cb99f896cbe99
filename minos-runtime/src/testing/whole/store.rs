//! A store of which a test hears each commit.

use crate::store::{
    Committed, DeadLetter, Document, Field, Filter, Find, InboxRow, Lease, LiveDefinition, Loaded, LogPage, OpenStep, OutboxRow,
    SagaFilter, SagaRow, SharedStore, Statement, Store, StoreResult, StoredEvent, StreamId, SubjectKey, Unit,
};
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

pub(super) struct Watched {
    store: SharedStore,
    commits: watch::Sender<u64>,
}

impl Watched {
    pub(super) fn new(store: SharedStore, commits: watch::Sender<u64>) -> Self {
        Watched { store, commits }
    }

    /// Does it, and tells that something may have changed.
    fn telling<'a, T: Send + 'a>(&'a self, work: BoxFuture<'a, StoreResult<T>>) -> BoxFuture<'a, StoreResult<T>> {
        Box::pin(async move {
            let done = work.await;
            self.commits.send_modify(|count| *count += 1);
            done
        })
    }
}

/// What is only passed on.
macro_rules! pass_on {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*) => {
        $(fn $name(&self, $($argument: $kind),*) -> BoxFuture<'_, $answer> {
            self.store.$name($($argument),*)
        })*
    };
}

impl Store for Watched {
    fn describe(&self) -> String {
        self.store.describe()
    }

    fn commit(&self, unit: Unit) -> BoxFuture<'_, StoreResult<Committed>> {
        self.telling(self.store.commit(unit))
    }

    fn wake_saga(&self, id: Uuid, version: u64, at: Timestamp) -> BoxFuture<'_, StoreResult<()>> {
        self.telling(self.store.wake_saga(id, version, at))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.store.changes()
    }

    pass_on! {
        stream(stream: StreamId, after: u64) -> StoreResult<Vec<StoredEvent>>;
        log(after: u64, limit: usize, aggregates: Option<&[String]>) -> StoreResult<LogPage>;
        outbox(after: u64, limit: usize) -> StoreResult<Vec<OutboxRow>>;
        handled(subscriber: &str, key: &str) -> StoreResult<Option<InboxRow>>;
        open_steps(ask_by: Timestamp, after: Option<&OpenStep>, limit: usize) -> StoreResult<Vec<OpenStep>>;
        checkpoint(name: &str) -> StoreResult<u64>;
        dead_letters(of: Option<(&str, &str)>, after: u64, limit: usize) -> StoreResult<Vec<DeadLetter>>;
        parked() -> StoreResult<Vec<(String, String)>>;
        saga(id: Uuid) -> StoreResult<Option<SagaRow>>;
        saga_of_key(saga: &str, key: &str) -> StoreResult<Option<SagaRow>>;
        sagas(filter: SagaFilter, after: Option<Uuid>, limit: usize) -> StoreResult<Vec<SagaRow>>;
        saga_wakes(limit: usize) -> StoreResult<Vec<(Timestamp, Uuid)>>;
        live_sagas(after: Timestamp, limit: usize) -> StoreResult<Vec<(Timestamp, Uuid)>>;
        live_definitions() -> StoreResult<Vec<LiveDefinition>>;
        forget_sagas(before: Timestamp) -> StoreResult<u64>;
        acquire(name: &str, owner: Uuid, ttl: Duration) -> StoreResult<Option<Lease>>;
        release(lease: Lease) -> StoreResult<()>;
        forget_answers(before: Timestamp) -> StoreResult<u64>;
        document(collection: &str, key: &str) -> StoreResult<Option<Document>>;
        documents_of(collection: &str, keys: &[String]) -> StoreResult<Vec<Document>>;
        find(find: Find) -> StoreResult<Vec<Document>>;
        count(collection: &str, filter: Filter) -> StoreResult<u64>;
        index(collection: &str, field: Field) -> StoreResult<()>;
        owner_of(aggregate: &str, field: &str, value: &str) -> StoreResult<Option<Uuid>>;
        load(stream: StreamId) -> StoreResult<Loaded>;
        forget_snapshot(stream: StreamId) -> StoreResult<()>;
        keys_of(subjects: &[Uuid]) -> StoreResult<Vec<(Uuid, SubjectKey)>>;
        select(statement: Statement) -> StoreResult<Vec<serde_json::Value>>;
        ping() -> StoreResult<()>;
        close() -> ();
    }
}
