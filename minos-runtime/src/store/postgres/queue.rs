//! The queue in front of the writers: what waited while the previous batches were under way goes next, as one transaction.
//!
//! There is no timer: an idle service commits at once, and a busy one commits many units with one flush. Units that collide never share a batch, and
//! none is under way while another one that collides with it is: it would only wait in the database, and let its neighbours wait, too.

use crate::{
    metrics::Metrics,
    store::{Append, BATCH_BYTES, Committed, StoreError, StoreResult, StreamId, Unit},
    sync::lock,
};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Mutex, MutexGuard},
};
use tokio::sync::{Notify, Semaphore, oneshot};

/// How many units may queue. Who comes later waits.
const ROOM: usize = 4096;
/// How many units go into one transaction at most.
const BATCH: usize = 256;
/// How many locks a transaction takes at most. All transactions of a server share some thousands.
const LOCKS: usize = 512;

/// The queue.
pub(super) struct Queue {
    state: Mutex<State>,
    /// Something has changed for a writer that waits.
    wake: Notify,
    room: Semaphore,
    metrics: Metrics,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    /// The locks of the batches under way.
    busy: HashSet<i64>,
    closed: bool,
}

struct Job {
    unit: Box<Unit>,
    bytes: usize,
    keys: Vec<i64>,
    answer: oneshot::Sender<StoreResult<Committed>>,
}

/// Units for one transaction, none of which collides with another.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) units: Vec<Unit>,
    pub(super) answers: Vec<oneshot::Sender<StoreResult<Committed>>>,
    /// The locks, unit by unit.
    pub(super) keys: Vec<Vec<i64>>,
}

impl Queue {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Queue { state: Mutex::default(), wake: Notify::new(), room: Semaphore::new(ROOM), metrics: metrics.clone() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Queues a unit, and waits for what becomes of it.
    pub(super) async fn commit(&self, unit: Unit, keys: Vec<i64>) -> StoreResult<Committed> {
        self.room.acquire().await.map_err(|_| StoreError::Closed)?.forget();
        let (answer, wait) = oneshot::channel();
        {
            let mut state = self.state();
            if state.closed {
                return Err(StoreError::Closed);
            }
            state.waiting.push_back(Job { bytes: unit.bytes(), unit: Box::new(unit), keys, answer });
        }
        self.wake.notify_one();
        let _waits = self.metrics.waits_for_store();
        wait.await.unwrap_or_else(|_| Err(StoreError::unanswered()))
    }

    /// Takes nothing more. What is queued is still served.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.room.close();
        self.wake.notify_one();
    }

    /// The next batch; `None` when the queue is closed and all is done.
    pub(super) async fn next(&self) -> Option<Batch> {
        // Those who are about to queue get to do so first: what is ready to run now goes with this batch, and not behind it.
        tokio::task::yield_now().await;
        loop {
            let (next, last) = {
                let mut state = self.state();
                let next = state.pick();
                (next, state.closed && state.waiting.is_empty())
            };
            match next {
                Some(batch) => {
                    self.metrics.batch.observe(batch.units.len() as f64);
                    self.room.add_permits(batch.units.len());
                    return Some(batch);
                }
                None if last => {
                    // The other writer is to see it, too.
                    self.wake.notify_one();
                    return None;
                }
                None => {
                    self.wake.notified().await;
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// A batch is done: what collides with it may go. `heads` are the versions that streams are known to have by now: what waits for an earlier
    /// one has lost, and needs no round trip to be told.
    pub(super) fn done(&self, keys: &[Vec<i64>], heads: &HashMap<&StreamId, u64>) {
        let mut state = self.state();
        for key in keys.iter().flatten() {
            state.busy.remove(key);
        }
        if state.waiting.is_empty() {
            return;
        }
        let (lost, stay): (VecDeque<_>, VecDeque<_>) = state.waiting.drain(..).partition(|job| job.conflict(heads).is_some());
        state.waiting = stay;
        drop(state);
        self.room.add_permits(lost.len());
        for job in lost {
            if let Some(error) = job.conflict(heads) {
                // Nobody may wait for the answer any more.
                let _ = job.answer.send(Err(error));
            }
        }
        self.wake.notify_one();
    }
}

impl Job {
    fn conflict(&self, heads: &HashMap<&StreamId, u64>) -> Option<StoreError> {
        self.unit.appends.iter().find_map(|Append { stream, expected, .. }| {
            let actual = *heads.get(stream)?;
            (actual > *expected).then(|| StoreError::Conflict { stream: stream.clone(), expected: *expected, actual })
        })
    }
}

impl State {
    /// Takes what may go together, in the order in which it came. What collides stays, and what collides with that stays behind it.
    fn pick(&mut self) -> Option<Batch> {
        let (mut batch, mut stay, mut held) = (Batch::default(), VecDeque::new(), HashSet::new());
        let (mut locks, mut bytes) = (0, 0);
        while let Some(job) = self.waiting.pop_front() {
            // Statements of the user run one by one: those units have batches of their own.
            let fits = batch.units.first().is_none_or(|first| first.statements.is_empty() == job.unit.statements.is_empty())
                && (locks + job.keys.len() <= LOCKS && bytes + job.bytes <= BATCH_BYTES || batch.units.is_empty());
            let collides = job.keys.iter().any(|key| self.busy.contains(key) || held.contains(key));
            held.extend(job.keys.iter().copied());
            if !fits || collides {
                stay.push_back(job);
                continue;
            }
            locks += job.keys.len();
            bytes += job.bytes;
            batch.units.push(*job.unit);
            batch.answers.push(job.answer);
            batch.keys.push(job.keys);
            if batch.units.len() == BATCH {
                break;
            }
        }
        stay.append(&mut self.waiting);
        self.waiting = stay;
        self.busy.extend(batch.keys.iter().flatten());
        (!batch.units.is_empty()).then_some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Cause, NewEvent};
    use uuid::Uuid;

    #[test]
    fn a_batch_is_bounded_by_its_bytes() {
        let mut state = State::default();
        for size in [1, BATCH_BYTES / 2, BATCH_BYTES / 2, BATCH_BYTES * 2, 1, 1] {
            let mut unit = Unit::new(jiff::Timestamp::UNIX_EPOCH, Cause { correlation: Uuid::nil(), causation: Uuid::nil(), user: None });
            let events = vec![NewEvent { name: "E".into(), data: "x".repeat(size) }];
            unit.appends.push(Append { stream: StreamId::new("Foo", Uuid::now_v7()), expected: 0, events });
            state.waiting.push_back(Job { bytes: unit.bytes(), unit: Box::new(unit), keys: Vec::new(), answer: oneshot::channel().0 });
        }
        let batches: Vec<usize> = std::iter::from_fn(|| state.pick()).map(|batch| batch.units.iter().map(Unit::bytes).sum()).collect();
        assert_eq!(batches, [BATCH_BYTES / 2 + 3, BATCH_BYTES / 2, BATCH_BYTES * 2]);
    }
}
