//! A store that never answers, as one whose server stands still: for tests.

use crate::store::{
    Committed, DeadLetter, InboxRow, Lease, LogPage, OutboxRow, Statement, Store, StoreResult, StoredEvent, StreamId, Unit,
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

    fn checkpoint(&self, _: &str) -> BoxFuture<'_, StoreResult<u64>> {
        never()
    }

    fn dead_letters(&self, _: Option<(&str, &str)>, _: u64, _: usize) -> BoxFuture<'_, StoreResult<Vec<DeadLetter>>> {
        never()
    }

    fn parked(&self) -> BoxFuture<'_, StoreResult<Vec<(String, String)>>> {
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
