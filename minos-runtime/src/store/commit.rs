//! The group commit in front of a database: what queued while the previous commit was under way goes next, as one transaction.
//!
//! There is no timer: an idle service commits at once, and a busy one commits many units with one flush.

use super::{BATCH_BYTES, Committed, Field, Lease, StoreError, StoreResult, StreamId, Unit};
use crate::metrics::Metrics;
use std::{future::Future, time::Duration};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

/// How many units may queue. Who comes later waits.
const QUEUE: usize = 4096;
/// How many units go into one transaction at most.
const BATCH: usize = 512;

/// Writes units to a database. There is one writer, and it is called by one task.
pub(super) trait Writer {
    /// Commits these units in one transaction. Units that are refused leave nothing behind, and the others are committed.
    ///
    /// # Errors
    /// If nothing at all was committed.
    fn commit(&mut self, units: &[Unit]) -> impl Future<Output = StoreResult<Vec<StoreResult<Committed>>>>;

    /// Proves that a transaction is possible now.
    fn ping(&mut self) -> impl Future<Output = StoreResult<()>>;

    /// Anything else that only the writer can do.
    fn forget_answers(&mut self, before: jiff::Timestamp) -> impl Future<Output = StoreResult<u64>>;

    /// What is no unit, and rare; whether there was something to do.
    fn chore(&mut self, chore: Chore) -> impl Future<Output = StoreResult<bool>>;

    /// As [`Store::wake_saga`](super::Store::wake_saga).
    fn wake_saga(&mut self, id: Uuid, version: u64, at: jiff::Timestamp) -> impl Future<Output = StoreResult<()>>;

    /// As [`Store::forget_sagas`](super::Store::forget_sagas).
    fn forget_sagas(&mut self, before: jiff::Timestamp) -> impl Future<Output = StoreResult<u64>>;

    /// As [`Store::acquire`](super::Store::acquire).
    fn acquire(&mut self, name: &str, owner: Uuid, ttl: Duration) -> impl Future<Output = StoreResult<Option<Lease>>>;

    /// As [`Store::release`](super::Store::release).
    fn release(&mut self, lease: &Lease) -> impl Future<Output = StoreResult<()>>;
}

/// What only the writer can do, beside units, and seldom.
pub(super) enum Chore {
    ForgetSnapshot(StreamId),
    Index(String, Field),
}

/// Work for the writer. Nearly all of it is commits, so a box around them would save nothing.
#[allow(clippy::large_enum_variant)]
enum Job {
    Commit(Unit, oneshot::Sender<StoreResult<Committed>>),
    Ping(oneshot::Sender<StoreResult<()>>),
    Chore(Chore, oneshot::Sender<StoreResult<bool>>),
    Forget(jiff::Timestamp, oneshot::Sender<StoreResult<u64>>),
    Wake(Uuid, u64, jiff::Timestamp, oneshot::Sender<StoreResult<()>>),
    ForgetSagas(jiff::Timestamp, oneshot::Sender<StoreResult<u64>>),
    Acquire(String, Uuid, Duration, oneshot::Sender<StoreResult<Option<Lease>>>),
    Release(Lease, oneshot::Sender<StoreResult<()>>),
    Close(oneshot::Sender<()>),
}

/// The queue before the writer.
#[derive(Clone)]
pub(super) struct Queue {
    jobs: mpsc::Sender<Job>,
    metrics: Metrics,
}

/// The other end of the queue.
pub(super) struct Line {
    jobs: mpsc::Receiver<Job>,
    metrics: Metrics,
}

/// A queue and its other end.
pub(super) fn queue(metrics: &Metrics) -> (Queue, Line) {
    let (send, receive) = mpsc::channel(QUEUE);
    (Queue { jobs: send, metrics: metrics.clone() }, Line { jobs: receive, metrics: metrics.clone() })
}

impl Queue {
    pub(super) async fn commit(&self, unit: Unit) -> StoreResult<Committed> {
        let _waits = self.metrics.waits_for_store();
        self.ask(|answer| Job::Commit(unit, answer)).await?.unwrap_or_else(|| Err(StoreError::unanswered()))
    }

    pub(super) async fn ping(&self) -> StoreResult<()> {
        self.ask(Job::Ping).await?.ok_or(StoreError::Closed)?
    }

    pub(super) async fn chore(&self, chore: Chore) -> StoreResult<bool> {
        self.ask(|answer| Job::Chore(chore, answer)).await?.ok_or(StoreError::Closed)?
    }

    pub(super) async fn forget_answers(&self, before: jiff::Timestamp) -> StoreResult<u64> {
        self.ask(|answer| Job::Forget(before, answer)).await?.ok_or(StoreError::Closed)?
    }

    pub(super) async fn wake_saga(&self, id: Uuid, version: u64, at: jiff::Timestamp) -> StoreResult<()> {
        self.ask(|answer| Job::Wake(id, version, at, answer)).await?.ok_or(StoreError::Closed)?
    }

    pub(super) async fn forget_sagas(&self, before: jiff::Timestamp) -> StoreResult<u64> {
        self.ask(|answer| Job::ForgetSagas(before, answer)).await?.ok_or(StoreError::Closed)?
    }

    pub(super) async fn acquire(&self, name: String, owner: Uuid, ttl: Duration) -> StoreResult<Option<Lease>> {
        self.ask(|answer| Job::Acquire(name, owner, ttl, answer)).await?.ok_or(StoreError::Closed)?
    }

    pub(super) async fn release(&self, lease: Lease) -> StoreResult<()> {
        self.ask(|answer| Job::Release(lease, answer)).await?.ok_or(StoreError::Closed)?
    }

    /// Waits until all that was queued before is done, and the writer is gone.
    pub(super) async fn close(&self) {
        // If the writer is gone already, there is nothing to wait for.
        let _ = self.ask(Job::Close).await;
        self.jobs.closed().await;
    }

    /// `None`: it was queued, and the writer has gone without an answer.
    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> StoreResult<Option<T>> {
        let (answer, wait) = oneshot::channel();
        self.jobs.send(job(answer)).await.map_err(|_| StoreError::Closed)?;
        Ok(wait.await.ok())
    }
}

impl Line {
    /// Serves the queue until it is closed.
    pub(super) async fn serve(mut self, mut writer: impl Writer) {
        let (mut jobs, mut units, mut answers) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        while self.jobs.recv_many(&mut jobs, BATCH).await > 0 {
            let (mut closing, mut bytes) = (Vec::new(), 0);
            for job in jobs.drain(..) {
                match job {
                    Job::Commit(unit, answer) => {
                        let more = unit.bytes();
                        if bytes + more > BATCH_BYTES {
                            self.commit(&mut writer, &mut units, &mut answers).await;
                            bytes = 0;
                        }
                        bytes += more;
                        units.push(unit);
                        answers.push(answer);
                    }
                    // Nobody may wait for the answer any more, here and below.
                    Job::Ping(answer) => drop(answer.send(writer.ping().await)),
                    Job::Chore(chore, answer) => drop(answer.send(writer.chore(chore).await)),
                    Job::Forget(before, answer) => drop(answer.send(writer.forget_answers(before).await)),
                    Job::Wake(id, version, at, answer) => drop(answer.send(writer.wake_saga(id, version, at).await)),
                    Job::ForgetSagas(before, answer) => drop(answer.send(writer.forget_sagas(before).await)),
                    Job::Acquire(name, owner, ttl, answer) => drop(answer.send(writer.acquire(&name, owner, ttl).await)),
                    Job::Release(lease, answer) => drop(answer.send(writer.release(&lease).await)),
                    Job::Close(done) => closing.push(done),
                }
            }
            self.commit(&mut writer, &mut units, &mut answers).await;
            if !closing.is_empty() {
                // What is queued already is served; nothing more is taken.
                self.jobs.close();
                for done in closing {
                    let _ = done.send(());
                }
            }
        }
    }

    async fn commit(&self, writer: &mut impl Writer, units: &mut Vec<Unit>, answers: &mut Vec<oneshot::Sender<StoreResult<Committed>>>) {
        if units.is_empty() {
            return;
        }
        self.metrics.batch.observe(units.len() as f64);
        match writer.commit(units).await {
            Ok(results) => {
                for (answer, result) in answers.drain(..).zip(results) {
                    let _ = answer.send(result);
                }
            }
            Err(error) => {
                for answer in answers.drain(..) {
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
        units.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Cause, Statement};
    use jiff::Timestamp;

    fn unit() -> Unit {
        Unit::new(Timestamp::UNIX_EPOCH, Cause::nobody())
    }

    #[tokio::test]
    async fn a_writer_that_ends_without_an_answer_leaves_it_open() {
        let (queue, mut line) = queue(&Metrics::new("test"));
        let commit = tokio::spawn({
            let queue = queue.clone();
            async move { queue.commit(unit()).await }
        });
        let taken = line.jobs.recv().await;
        drop((taken, line));
        assert!(matches!(commit.await.unwrap(), Err(StoreError::Unknown(_))));
        assert_eq!(queue.commit(unit()).await, Err(StoreError::Closed), "this one was never taken");
    }

    /// A writer that says how many bytes it was given at once.
    struct Counting(std::sync::Arc<std::sync::Mutex<Vec<usize>>>);

    impl Writer for Counting {
        async fn commit(&mut self, units: &[Unit]) -> StoreResult<Vec<StoreResult<Committed>>> {
            self.0.lock().unwrap().push(units.iter().map(Unit::bytes).sum());
            Ok(units.iter().map(|_| Ok(Committed::default())).collect())
        }
        async fn ping(&mut self) -> StoreResult<()> {
            Ok(())
        }
        async fn chore(&mut self, _: Chore) -> StoreResult<bool> {
            Ok(false)
        }

        async fn wake_saga(&mut self, _: Uuid, _: u64, _: Timestamp) -> StoreResult<()> {
            Ok(())
        }

        async fn forget_sagas(&mut self, _: Timestamp) -> StoreResult<u64> {
            Ok(0)
        }

        async fn forget_answers(&mut self, _: Timestamp) -> StoreResult<u64> {
            Ok(0)
        }
        async fn acquire(&mut self, _: &str, _: Uuid, _: Duration) -> StoreResult<Option<Lease>> {
            Ok(None)
        }
        async fn release(&mut self, _: &Lease) -> StoreResult<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_batch_is_bounded_by_its_bytes() {
        let (queue, line) = queue(&Metrics::new("test"));
        let sizes = [1, BATCH_BYTES / 2, BATCH_BYTES / 2, BATCH_BYTES * 2, 1, 1];
        let commits = sizes.map(|size| {
            let statement = Statement { sql: "x".repeat(size), parameters: Vec::new() };
            queue.commit(Unit { statements: vec![statement], ..unit() })
        });
        let batches = std::sync::Arc::<std::sync::Mutex<Vec<usize>>>::default();
        let all = async {
            futures_util::future::join_all(commits).await.into_iter().for_each(|result| assert!(result.is_ok()));
            queue.close().await;
        };
        tokio::join!(all, line.serve(Counting(batches.clone())));
        assert_eq!(*batches.lock().unwrap(), [BATCH_BYTES / 2 + 1, BATCH_BYTES / 2, BATCH_BYTES * 2, 2]);
    }
}
