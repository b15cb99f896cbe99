//! The partitions that this process has at the moment, and how far each was handled.

use super::progress::Progress;
use crate::{
    broker::BrokerResult,
    sync::{lock, whole},
};
use futures_util::{
    future::BoxFuture,
    stream::{FuturesUnordered, StreamExt},
};
use rdkafka::TopicPartitionList;
use std::{
    collections::HashMap,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::mpsc;

/// A partition, from when it was assigned, or read again, until it is not any more. What ends later tells nobody.
pub(super) struct Part {
    pub(super) topic: String,
    pub(super) number: i32,
    progress: Mutex<Progress>,
    /// Something was handled.
    moved: Condvar,
    /// Something was not handled, and has to be read again.
    failed: AtomicBool,
    /// The client brings nothing of it, though there is something.
    silent: AtomicBool,
    paused: AtomicBool,
    /// It cannot be read, and the operator was told.
    stopped: AtomicBool,
}

impl Part {
    pub(super) fn new(topic: &str, number: i32, start: Option<i64>) -> Arc<Self> {
        Arc::new(Part {
            topic: topic.to_owned(),
            number,
            progress: Mutex::new(Progress::from(start)),
            moved: Condvar::new(),
            failed: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        })
    }

    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        lock(&self.progress)
    }

    /// What the handler of a message made of it.
    pub(super) fn settle(&self, offset: i64, result: &BrokerResult) {
        match result {
            Ok(()) => {
                self.progress().done(offset);
                self.moved.notify_all();
            }
            Err(_) => self.read_again(),
        }
    }

    /// Takes a record, unless it is read again from further back, or was. Says whether there is no room for more.
    pub(super) fn take(&self, offset: i64, size: usize) -> Option<bool> {
        let mut progress = self.progress();
        if self.has_failed() || progress.expected().is_some_and(|expected| offset < expected) {
            return None;
        }
        progress.take(offset, size);
        Some(progress.is_full())
    }

    /// It has to be read again, from the first message on that was not handled.
    pub(super) fn read_again(&self) {
        self.failed.store(true, Ordering::Release);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// The client brings nothing of it, though there is something: it has to be assigned again.
    pub(super) fn set_silent(&self) {
        self.silent.store(true, Ordering::Release);
    }

    /// Whether that is still so: something may have come since.
    pub(super) fn is_still_silent(&self) -> bool {
        self.silent.load(Ordering::Acquire) && self.progress().is_idle()
    }

    /// Waits until a condition holds, but no longer than this. Returns whether it does.
    pub(super) fn wait(&self, patience: Duration, condition: impl Fn(&Progress) -> bool) -> bool {
        let progress = self.progress();
        let waited = self.moved.wait_timeout_while(progress, patience, |progress| !condition(progress));
        let (progress, _) = whole(waited);
        condition(&progress)
    }

    /// Sets whether it is paused; returns whether it was.
    pub(super) fn set_paused(&self, paused: bool) -> bool {
        self.paused.swap(paused, Ordering::Relaxed)
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// It cannot be read any more.
    pub(super) fn set_stopped(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// What it is called for people: `Foo/3`.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.topic, self.number)
    }

    /// What it is called as the subject of trouble.
    pub(super) fn subject(&self) -> String {
        format!("partition `{}`", self.name())
    }

    pub(super) fn list(&self) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(&self.topic, self.number);
        list
    }
}

/// All partitions that are assigned.
#[derive(Default)]
pub(super) struct Parts(Mutex<HashMap<String, HashMap<i32, Arc<Part>>>>);

impl Parts {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, HashMap<i32, Arc<Part>>>> {
        lock(&self.0)
    }

    pub(super) fn get(&self, topic: &str, number: i32) -> Option<Arc<Part>> {
        self.lock().get(topic)?.get(&number).cloned()
    }

    pub(super) fn put(&self, part: Arc<Part>) {
        self.lock().entry(part.topic.clone()).or_default().insert(part.number, part);
    }

    pub(super) fn remove(&self, topic: &str, number: i32) -> Option<Arc<Part>> {
        self.lock().get_mut(topic)?.remove(&number)
    }

    pub(super) fn all(&self) -> Vec<Arc<Part>> {
        self.lock().values().flat_map(HashMap::values).cloned().collect()
    }
}

/// A message that is being handled.
pub(super) struct Handling {
    pub(super) part: Arc<Part>,
    pub(super) offset: i64,
    pub(super) result: BoxFuture<'static, BrokerResult>,
}

/// Waits for all that is being handled, until nothing more comes.
pub(super) async fn settle_all(mut handled: mpsc::UnboundedReceiver<Handling>) {
    let mut running = FuturesUnordered::new();
    let mut open = true;
    while open || !running.is_empty() {
        tokio::select! {
            next = handled.recv(), if open => match next {
                Some(Handling { part, offset, result }) => running.push(async move { part.settle(offset, &result.await) }),
                None => open = false,
            },
            Some(()) = running.next(), if !running.is_empty() => {}
        }
    }
}
