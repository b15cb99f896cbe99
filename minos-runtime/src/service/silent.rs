//! A store that never answers, as one whose server stands still: for tests.

use crate::store::{
    Committed, DeadLetter, Document, Field, Filter, Find, InboxRow, Lease, LiveDefinition, Loaded, LogPage, OpenStep, OutboxRow,
    SagaFilter, SagaRow, Statement, Store, StoreResult, StoredEvent, StreamId, SubjectKey, Unit,
};
use futures_util::future::{BoxFuture, FutureExt, pending};
use jiff::Timestamp;
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

pub(super) struct SilentStore;

fn never<'a, T: Send + 'a>() -> BoxFuture<'a, T> {
    pending().boxed()
}

impl Store for SilentStore {
    fn describe(&self) -> String {
        "silent".to_owned()
    }

    fn commit(&self, _: Unit) -> BoxFuture<'_, StoreResult<Committed>> {
        never()
    }

    fn stream(&self, _: StreamId, _: u64) -> BoxFuture<'_, StoreResult<Vec<StoredEvent>>> {
        never()
    }

    fn log(&self, _: u64, _: usize, _: Option<&[String]>) -> BoxFuture<'_, StoreResult<LogPage>> {
        never()
    }

    fn outbox(&self, _: u64, _: usize) -> BoxFuture<'_, StoreResult<Vec<OutboxRow>>> {
        never()
    }

    fn handled(&self, _: &str, _: &str) -> BoxFuture<'_, StoreResult<Option<InboxRow>>> {
        never()
    }

    fn open_steps(&self, _: Timestamp, _: Option<&OpenStep>, _: usize) -> BoxFuture<'_, StoreResult<Vec<OpenStep>>> {
        never()
    }

    fn checkpoint(&self, _: &str) -> BoxFuture<'_, StoreResult<u64>> {
        never()
    }

    fn dead_letters(&self, _: Option<(&str, &str)>, _: u64, _: usize) -> BoxFuture<'_, StoreResult<Vec<DeadLetter>>> {
        never()
    }

    fn parked(&self) -> BoxFuture<'_, StoreResult<Vec<(String, String)>>> {
        never()
    }

    fn saga(&self, _: Uuid) -> BoxFuture<'_, StoreResult<Option<SagaRow>>> {
        never()
    }

    fn saga_of_key(&self, _: &str, _: &str) -> BoxFuture<'_, StoreResult<Option<SagaRow>>> {
        never()
    }

    fn sagas(&self, _: SagaFilter, _: Option<Uuid>, _: usize) -> BoxFuture<'_, StoreResult<Vec<SagaRow>>> {
        never()
    }

    fn live_sagas(&self, _: Timestamp, _: usize) -> BoxFuture<'_, StoreResult<Vec<(Timestamp, Uuid)>>> {
        never()
    }

    fn saga_wakes(&self, _: usize) -> BoxFuture<'_, StoreResult<Vec<(Timestamp, Uuid)>>> {
        never()
    }

    fn wake_saga(&self, _: Uuid, _: u64, _: Timestamp) -> BoxFuture<'_, StoreResult<()>> {
        never()
    }

    fn live_definitions(&self) -> BoxFuture<'_, StoreResult<Vec<LiveDefinition>>> {
        never()
    }

    fn forget_sagas(&self, _: Timestamp) -> BoxFuture<'_, StoreResult<u64>> {
        never()
    }

    fn acquire(&self, _: &str, _: Uuid, _: Duration) -> BoxFuture<'_, StoreResult<Option<Lease>>> {
        never()
    }

    fn release(&self, _: Lease) -> BoxFuture<'_, StoreResult<()>> {
        never()
    }

    fn forget_answers(&self, _: Timestamp) -> BoxFuture<'_, StoreResult<u64>> {
        never()
    }

    fn document(&self, _: &str, _: &str) -> BoxFuture<'_, StoreResult<Option<Document>>> {
        never()
    }

    fn documents_of(&self, _: &str, _: &[String]) -> BoxFuture<'_, StoreResult<Vec<Document>>> {
        never()
    }

    fn find(&self, _: Find) -> BoxFuture<'_, StoreResult<Vec<Document>>> {
        never()
    }

    fn count(&self, _: &str, _: Filter) -> BoxFuture<'_, StoreResult<u64>> {
        never()
    }

    fn index(&self, _: &str, _: Field) -> BoxFuture<'_, StoreResult<()>> {
        never()
    }

    fn owner_of(&self, _: &str, _: &str, _: &str) -> BoxFuture<'_, StoreResult<Option<Uuid>>> {
        never()
    }

    fn load(&self, _: StreamId) -> BoxFuture<'_, StoreResult<Loaded>> {
        never()
    }

    fn forget_snapshot(&self, _: StreamId) -> BoxFuture<'_, StoreResult<()>> {
        never()
    }

    fn keys_of(&self, _: &[Uuid]) -> BoxFuture<'_, StoreResult<Vec<(Uuid, SubjectKey)>>> {
        never()
    }

    fn select(&self, _: Statement) -> BoxFuture<'_, StoreResult<Vec<serde_json::Value>>> {
        never()
    }

    fn ping(&self) -> BoxFuture<'_, StoreResult<()>> {
        never()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        watch::Sender::new(0).subscribe()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        never()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Context, ErrorKind, Result, clock,
        context::{Environment, Resources},
        handler::{HandlerDef, Job, Kind, Parts, Request, Response, Runner},
        metrics::Metrics,
        store::{MemoryStore, SharedStore, StoreError},
    };
    use std::sync::Arc;

    fn hangs<'a>(_: &'a mut Context, _: &'a Request) -> BoxFuture<'a, Result<Response>> {
        never()
    }

    static HANGS: HandlerDef = HandlerDef {
        kind: Kind::Event,
        function: "hangs",
        names: &[],
        routes: &[],
        access: crate::auth::Access::CLOSED,
        handle: hangs,
        about: crate::handler::About::NOTHING,
        module: "m",
        file: "src/m.rs",
        line: 1,
    };

    async fn error(store: SharedStore) -> crate::Error {
        let environment = Environment::new("x", store, clock::system(), Resources::default(), Metrics::new("x"));
        let runner = Runner::new(Arc::new(environment)).limited(Duration::from_secs(60));
        let request = Request::new(Parts::new(Uuid::nil(), Uuid::nil()));
        runner.run(Job::new(&HANGS, request)).await.unwrap_err()
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_takes_too_long_is_to_blame_unless_the_store_is_silent() {
        let own = error(Arc::new(MemoryStore::new())).await;
        assert_eq!(own.kind(), ErrorKind::Timeout);
        assert_eq!(own.to_string(), "the handler `hangs` at src/m.rs:1 took longer than 60s, which is `broker.handler_timeout`");
        let other = error(Arc::new(SilentStore)).await;
        assert!(matches!(other.downcast_ref(), Some(StoreError::Unavailable(_))), "{other:?}");
    }
}
