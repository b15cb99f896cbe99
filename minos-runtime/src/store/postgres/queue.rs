//! The queue in front of the writers: what waited while the previous batches were under way goes next, as one transaction, or as two.
//!
//! No unit waits for others to come: an idle service commits at once, and a busy one commits many units with one flush. A few units that come while a
//! batch is under way wait for its writer; more are sent behind it by another one, so that the server never waits for us. Units that collide never share
//! a batch, and none is under way while another one that collides with it is: it would only wait in the database, and let its neighbours wait, too.

use crate::{
    metrics::Metrics,
    store::{Append, BATCH_BYTES, Committed, StoreError, StoreResult, StreamId, Unit},
    sync::lock,
};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Mutex, MutexGuard},
    time::Duration,
};
use tokio::{
    sync::{Notify, Semaphore, oneshot},
    time::Instant,
};

/// How many units may queue. Who comes later waits.
const ROOM: usize = 4096;
/// How many units go into one transaction at most.
const BATCH: usize = 256;
/// How many units have to wait for another writer to take them while a batch is under way. Fewer cost less as a part of the next batch.
pub(super) const WORTH: usize = 12;
/// How long they wait for it, if it takes so long: it may wait for a lock of another process. From then on nothing is sent behind it.
const PATIENCE: Duration = Duration::from_millis(20);
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
    /// When each batch under way was taken.
    under_way: Vec<Instant>,
    /// How many of them the server has not answered yet.
    unanswered: usize,
    closed: bool,
    /// How many writers take batches.
    writers: usize,
}

struct Job {
    unit: Box<Unit>,
    bytes: usize,
    keys: Vec<i64>,
    answer: oneshot::Sender<StoreResult<Committed>>,
}

/// Units for one transaction, none of which collides with another.
pub(super) struct Batch {
    pub(super) taken: Instant,
    /// It may not go behind what is under way, which takes too long.
    pub(super) aside: bool,
    #[expect(clippy::vec_box, reason = "they come in boxes, and are large to move")]
    pub(super) units: Vec<Box<Unit>>,
    pub(super) answers: Vec<oneshot::Sender<StoreResult<Committed>>>,
    /// The locks, unit by unit.
    pub(super) keys: Vec<Vec<i64>>,
}

impl Queue {
    pub(super) fn new(writers: usize, metrics: &Metrics) -> Self {
        Queue {
            state: Mutex::new(State { writers, ..State::default() }),
            wake: Notify::new(),
            room: Semaphore::new(ROOM),
            metrics: metrics.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Queues a unit, and waits for what becomes of it.
    pub(super) async fn commit(&self, unit: Box<Unit>, keys: Vec<i64>) -> StoreResult<Committed> {
        self.room.acquire().await.map_err(|_| StoreError::Closed)?.forget();
        let (answer, wait) = oneshot::channel();
        let wakes = {
            let mut state = self.state();
            if state.closed {
                return Err(StoreError::Closed);
            }
            state.waiting.push_back(Job { bytes: unit.bytes(), unit, keys, answer });
            state.waiting.len() == 1 || state.due().is_none()
        };
        if wakes {
            // The one that was busy last, whose caches are warm.
            self.wake.notify_last();
        }
        let _waits = self.metrics.waits_for_store();
        wait.await.unwrap_or_else(|_| Err(StoreError::unanswered()))
    }

    /// Takes nothing more. What is queued is still served.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.room.close();
        self.wake.notify_one();
    }

    /// The next batch; `None` when the queue is closed and all is done. `before` is when this writer took its last one: until here it counts as under
    /// way, so that the others leave it those whom it has just answered.
    pub(super) async fn next(&self, before: Option<Instant>) -> Option<Batch> {
        // Those who are about to queue get to do so first: what is ready to run now goes with this batch, and not behind it.
        tokio::task::yield_now().await;
        {
            let mut state = self.state();
            if let Some(place) = state.under_way.iter().position(|other| Some(*other) == before) {
                state.under_way.swap_remove(place);
            }
        }
        loop {
            let (due, next, rest, closed) = {
                let mut state = self.state();
                let due = state.due().filter(|due| *due > Instant::now());
                let next = if due.is_none() { state.pick() } else { None };
                (due, next, !state.waiting.is_empty(), state.closed)
            };
            match next {
                Some(batch) => {
                    self.metrics.batch.observe(batch.units.len() as f64);
                    self.room.add_permits(batch.units.len());
                    if rest {
                        // Another one looks whether it is worth a batch, and if not when it is due.
                        self.wake.notify_last();
                    }
                    return Some(batch);
                }
                None if closed && !rest => {
                    // The other writer is to see it, too.
                    self.wake.notify_one();
                    return None;
                }
                None => {
                    match due {
                        None => self.wake.notified().await,
                        // Whichever it was, it looks again.
                        Some(due) => drop(tokio::time::timeout_at(due, self.wake.notified()).await),
                    }
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// A batch is done: what collides with it may go. `heads` are the versions that streams are known to have by now: what waits for an earlier
    /// one has lost, and needs no round trip to be told.
    pub(super) fn done(&self, keys: &[Vec<i64>], heads: &HashMap<&StreamId, u64>) {
        let mut state = self.state();
        state.unanswered -= 1;
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
    /// When what waits may go, if not at once.
    fn due(&self) -> Option<Instant> {
        (!self.waiting.is_empty() && self.waiting.len() < WORTH).then(|| self.patience())?
    }

    /// Until when what is under way is waited for.
    fn patience(&self) -> Option<Instant> {
        Some(*self.under_way.iter().min()? + PATIENCE)
    }

    /// Takes what may go together, in the order in which it came. What collides stays, and what collides with that stays behind it.
    fn pick(&mut self) -> Option<Batch> {
        let taken = Instant::now();
        let aside = self.patience().is_some_and(|patience| patience <= taken);
        // Half of what is worth two batches, if the server has nothing to do: it is at work on one of them while the other is answered for.
        let all = self.waiting.len();
        let splits = self.writers > 1 && self.unanswered == 0 && all >= 2 * WORTH;
        let room = BATCH.min(if splits { all.div_ceil(2) } else { all });
        let (units, answers, keys) = (Vec::with_capacity(room), Vec::with_capacity(room), Vec::with_capacity(room));
        let mut batch = Batch { taken, aside, units, answers, keys };
        let (mut stay, mut held) = (Vec::new(), HashSet::new());
        let (mut locks, mut bytes) = (0, 0);
        while let Some(job) = self.waiting.pop_front() {
            // Statements of the user run one by one, and what is done to a collection takes long: those units have batches of their own.
            let kind = |unit: &Unit| (unit.has_statements(), unit.collections.is_empty());
            let fits = batch.units.first().is_none_or(|first| kind(first) == kind(&job.unit))
                && (locks + job.keys.len() <= LOCKS && bytes + job.bytes <= BATCH_BYTES || batch.units.is_empty());
            let collides = job.keys.iter().any(|key| self.busy.contains(key) || held.contains(key));
            if !fits || collides {
                held.extend(job.keys.iter().copied());
                stay.push(job);
                continue;
            }
            self.busy.extend(&job.keys);
            locks += job.keys.len();
            bytes += job.bytes;
            batch.units.push(job.unit);
            batch.answers.push(job.answer);
            batch.keys.push(job.keys);
            if batch.units.len() == room {
                break;
            }
        }
        // What stays comes before what was not looked at.
        for job in stay.into_iter().rev() {
            self.waiting.push_front(job);
        }
        if batch.units.is_empty() {
            return None;
        }
        self.under_way.push(batch.taken);
        self.unanswered += 1;
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Cause, NewEvent};
    use futures_util::FutureExt;
    use uuid::Uuid;

    fn creating() -> Unit {
        let mut unit = Unit::new(jiff::Timestamp::UNIX_EPOCH, Cause::nobody());
        unit.appends.push(Append { stream: StreamId::new("Foo", Uuid::now_v7()), expected: 0, events: Vec::new() });
        unit
    }

    /// Queues so many units, each of which nobody waits for.
    fn queue(queue: &Queue, units: usize) {
        for _ in 0..units {
            assert!(queue.commit(Box::new(creating()), vec![fastrand::i64(..)]).now_or_never().is_none());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_units_wait_for_the_writer_that_is_busy_and_not_for_long() {
        let all = Queue::new(2, &Metrics::new("test"));
        queue(&all, 1);
        let first = all.next(None).await.unwrap();
        all.done(&first.keys, &HashMap::new());
        queue(&all, 3);
        let (mut other, started) = (Box::pin(all.next(None)), Instant::now());
        tokio::select! {
            biased;
            _ = &mut other => panic!("they are left to the first writer"),
            () = tokio::time::sleep(PATIENCE / 2) => {}
        }
        let second = all.next(Some(first.taken)).await.unwrap();
        assert_eq!((second.units.len(), started.elapsed()), (3, PATIENCE / 2), "which takes them at once");
        all.done(&second.keys, &HashMap::new());
        queue(&all, 2);
        assert_eq!(other.await.unwrap().units.len(), 2);
        assert_eq!(second.taken.elapsed(), PATIENCE, "it takes too long, and the other one goes");
    }

    #[tokio::test(start_paused = true)]
    async fn many_units_do_not_wait_for_the_writer_that_is_busy() {
        let all = Queue::new(2, &Metrics::new("test"));
        queue(&all, 1);
        let first = all.next(None).await.unwrap();
        all.done(&first.keys, &HashMap::new());
        queue(&all, WORTH);
        assert_eq!(all.next(None).await.unwrap().units.len(), WORTH);
        assert_eq!(first.taken.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_worth_two_batches_is_sent_as_two_if_the_server_has_nothing_to_do() {
        let all = Queue::new(2, &Metrics::new("test"));
        queue(&all, 3 * WORTH);
        let (first, second) = (all.next(None).await.unwrap(), all.next(None).await.unwrap());
        assert_eq!((first.units.len(), second.units.len()), (3 * WORTH / 2, 3 * WORTH / 2));
        all.done(&first.keys, &HashMap::new());
        queue(&all, 3 * WORTH);
        assert_eq!(all.next(Some(first.taken)).await.unwrap().units.len(), 3 * WORTH, "it is at work on the other one");
        let alone = Queue::new(1, &Metrics::new("test"));
        queue(&alone, 3 * WORTH);
        assert_eq!(alone.next(None).await.unwrap().units.len(), 3 * WORTH, "there is nobody to send the other one");
    }

    #[test]
    fn a_batch_is_bounded_by_its_bytes() {
        let mut state = State::default();
        for size in [1, BATCH_BYTES / 2, BATCH_BYTES / 2, BATCH_BYTES * 2, 1, 1] {
            let mut unit = creating();
            unit.appends[0].events.push(NewEvent { name: "E".into(), data: "x".repeat(size) });
            state.waiting.push_back(Job { bytes: unit.bytes(), unit: Box::new(unit), keys: Vec::new(), answer: oneshot::channel().0 });
        }
        let batches: Vec<usize> =
            std::iter::from_fn(|| state.pick()).map(|batch| batch.units.iter().map(|unit| unit.bytes()).sum()).collect();
        assert_eq!(batches, [BATCH_BYTES / 2 + 3, BATCH_BYTES / 2, BATCH_BYTES * 2]);
    }
}
