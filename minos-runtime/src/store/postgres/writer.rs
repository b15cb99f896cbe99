//! The writers: each takes batches from the queue, and knows what became of every one of them.
//!
//! They send on one connection, each batch as one message and without waiting for the answer to the one before: the server begins with the next as
//! soon as it has flushed the last. What takes several messages, or may not wait behind a batch that waits for a lock, goes over a connection of the
//! writer's own.

use super::{
    append::{APPEND_EVENTS, Arguments, EVENT_COLUMNS, EVENTS_OUTCOME},
    connection::{Backend, Link, Session, pause},
    errors,
    fence::Fence,
    outcome::{OUTCOME, Outcome},
    queue::{Batch, Queue},
    rows::FORGET_SUBJECT,
    statement,
};
use crate::{
    store::{Committed, StoreError, StoreResult, StreamId, Unit},
    sync::lock,
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;
use tokio_postgres::{Error, Row};
use uuid::Uuid;

/// How long a writer tries to find out what became of a batch whose connection was lost.
const FIND_OUT_WITHIN: Duration = Duration::from_secs(10);
/// How often a batch is tried that is not committed for certain, and may be now.
const ATTEMPTS: u32 = 4;
/// How long streams are locked before they are written to, once a batch has met a version that it did not expect: mostly another process writes the same
/// streams then, and whoever does not lock them has to begin anew with the whole batch.
const CAREFUL: Duration = Duration::from_secs(1);
/// How many outcomes are kept at least, and how many are removed at once.
const KEPT: i64 = 512;

const END: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND extract(epoch FROM backend_start)::text = $2";
const REMOVE: &str = "DELETE FROM {s}.batches WHERE writer = $1 AND batch >= $2 AND batch < $3";

/// A writer.
pub(super) struct Writer {
    id: Uuid,
    /// The connection of this one.
    own: Arc<Link>,
    /// That of all writers, if there are several.
    shared: Option<Arc<Shared>>,
    queue: Arc<Queue>,
    fence: Arc<Fence>,
    /// The number of the last batch.
    batch: i64,
    /// Outcomes below this one are removed.
    removed: i64,
    /// Whether the last batch of any writer failed as a whole: then somebody has to prove that writing works again.
    failed: Arc<AtomicBool>,
}

/// The connection on which all writers send.
pub(super) struct Shared {
    link: Arc<Link>,
    /// When a batch last met what others had written.
    collided: Mutex<Option<Instant>>,
}

impl Shared {
    pub(super) fn new(link: Link) -> Arc<Self> {
        Arc::new(Shared { link: Arc::new(link), collided: Mutex::default() })
    }

    /// Whether nothing has been met lately that others had written.
    fn is_calm(&self) -> bool {
        lock(&self.collided).is_none_or(|at| at.elapsed() >= CAREFUL)
    }

    fn collided(&self) {
        *lock(&self.collided) = Some(Instant::now());
    }
}

/// Why nothing of a batch was committed.
enum Failure {
    /// Something that one of its units brought along.
    OfUnit(StoreError),
    /// Something that concerns all.
    OfAll(StoreError),
}

/// Why an attempt did not end well.
enum Attempt {
    Failed(Failure),
    /// The same may go well now.
    Again,
    /// The connection was lost: it may be committed or not.
    Lost,
}

fn again_and_again() -> StoreError {
    StoreError::Unavailable("it failed again and again; nothing was committed".to_owned())
}

/// The versions that streams are known to have now.
fn heads<'u>(units: &'u [Box<Unit>], results: &'u [StoreResult<Committed>]) -> HashMap<&'u StreamId, u64> {
    let mut heads = HashMap::new();
    for (unit, result) in units.iter().zip(results) {
        match result {
            Ok(_) => heads.extend(unit.appends.iter().map(|append| (&append.stream, append.expected + append.events.len() as u64))),
            Err(StoreError::Conflict { stream, actual, .. }) => drop(heads.insert(stream, *actual)),
            Err(_) => {}
        }
    }
    heads
}

impl Writer {
    pub(super) fn new(own: Arc<Link>, shared: Option<Arc<Shared>>, queue: Arc<Queue>, fence: Arc<Fence>, failed: Arc<AtomicBool>) -> Self {
        Writer { id: Uuid::now_v7(), own, shared, queue, fence, batch: 0, removed: 0, failed }
    }

    /// Serves the queue until it is closed.
    pub(super) async fn run(mut self) {
        let mut before = None;
        while let Some(Batch { taken, aside, units, answers, keys }) = self.queue.next(before).await {
            before = Some(taken);
            let results = match &self.shared {
                // Nothing may come between the messages of a transaction that takes several, and nothing wait behind one that takes long.
                Some(shared) if !aside && units.iter().all(|unit| !unit.has_statements() && unit.collections.is_empty()) => {
                    let link = shared.link.clone();
                    self.commit(&link, &units, &keys).await
                }
                _ => self.commit(&self.own.clone(), &units, &keys).await,
            };
            self.queue.done(&keys, &heads(&units, &results));
            for (answer, result) in answers.into_iter().zip(results) {
                // Nobody may wait for the answer any more.
                let _ = answer.send(result);
            }
            self.remove(self.batch - KEPT, KEPT).await;
        }
        self.remove(self.batch + 1, 1).await;
    }

    async fn commit(&mut self, link: &Arc<Link>, units: &[Box<Unit>], keys: &[Vec<i64>]) -> Vec<StoreResult<Committed>> {
        match self.transaction(link, units, keys).await {
            Ok(outcome) => {
                self.failed.store(false, Ordering::Relaxed);
                self.fence.knows(outcome.last());
                self.fence.committed(outcome.drawn);
                outcome.results(units)
            }
            Err(Failure::OfUnit(error)) if units.len() == 1 => vec![Err(error)],
            // Only the one that brought it along is refused.
            Err(Failure::OfUnit(_)) => {
                let mut results = Vec::with_capacity(units.len());
                for (unit, keys) in units.iter().zip(keys) {
                    results.extend(Box::pin(self.commit(link, std::slice::from_ref(unit), std::slice::from_ref(keys))).await);
                }
                results
            }
            // Others wait behind it: it waits where nobody does.
            Err(Failure::OfAll(StoreError::Locked(_))) if !Arc::ptr_eq(link, &self.own) => {
                Box::pin(self.commit(&self.own.clone(), units, keys)).await
            }
            Err(Failure::OfAll(error)) => {
                self.failed.store(true, Ordering::Relaxed);
                vec![Err(error); units.len()]
            }
        }
    }

    /// Commits a batch, again if it is certain that it was not committed and the reason has gone.
    async fn transaction(&mut self, link: &Arc<Link>, units: &[Box<Unit>], keys: &[Vec<i64>]) -> Result<Outcome, Failure> {
        self.batch += 1;
        let mut session = link.session().await.map_err(Failure::OfAll)?;
        let arguments = Arguments::new(self.id, self.batch, units, keys);
        let shared = self.shared.as_deref().filter(|shared| Arc::ptr_eq(link, &shared.link));
        for attempt in 1..=ATTEMPTS {
            match self.attempt(&session, shared, units, &arguments).await {
                Ok(outcome) => return Ok(outcome),
                Err(Attempt::Failed(failure)) => return Err(failure),
                // One of them may be the reason.
                Err(Attempt::Again) if attempt == ATTEMPTS => return Err(Failure::OfUnit(again_and_again())),
                // It is as likely as not that it goes well at once.
                Err(Attempt::Again) if attempt == 1 => {}
                Err(Attempt::Again) => tokio::time::sleep(pause(attempt - 1)).await,
                Err(Attempt::Lost) => {
                    link.discard(&session);
                    let (found, next) = self.find_out(link, &session.backend, &arguments).await.map_err(Failure::OfAll)?;
                    if let Some(outcome) = found {
                        tracing::info!(units = units.len(), "a commit whose answer was lost is found to have succeeded");
                        return Ok(outcome);
                    }
                    session = next;
                }
            }
        }
        Err(Failure::OfAll(again_and_again()))
    }

    async fn attempt(
        &self,
        session: &Session,
        shared: Option<&Shared>,
        units: &[Box<Unit>],
        arguments: &Arguments<'_>,
    ) -> Result<Outcome, Attempt> {
        if let Some(shared) = shared.filter(|shared| shared.is_calm())
            && let Some(outcome) = self.append_events(session, shared, arguments).await?
        {
            return Ok(outcome);
        }
        let append = async {
            let statement = session.own(arguments.statement()).await?;
            session.client().query_one(&statement, &arguments.parameters()).await
        };
        if !units.iter().any(|unit| unit.has_statements()) {
            let appended = append.await;
            if let Some(shared) = shared
                && appended.as_ref().is_err_and(errors::is_version_conflict)
            {
                shared.collided();
            }
            return self.outcome(appended);
        }
        // Behind the answer of the one that begins, the other one is answered already.
        let (begun, appended) = tokio::join!(session.client().batch_execute("BEGIN"), append);
        let done = async {
            self.checked(begun)?;
            let outcome = self.outcome(appended)?;
            let refused: Vec<_> = outcome.refused().collect();
            let written: Vec<_> = units.iter().enumerate().filter(|(n, _)| !refused.contains(n)).map(|(_, unit)| unit).collect();
            let executed = statement::execute(session, written.iter().flat_map(|unit| &unit.statements)).await;
            executed.map_err(|failure| self.failed(failure))?;
            for subject in written.iter().flat_map(|unit| &unit.forgotten) {
                self.checked(session.query(FORGET_SUBJECT, &[subject]).await)?;
            }
            self.checked(session.client().batch_execute("COMMIT").await)?;
            Ok(outcome)
        };
        let result = done.await;
        if let Err(Attempt::Failed(_) | Attempt::Again) = &result {
            session.forget_prepared();
            if session.client().batch_execute("ROLLBACK").await.is_err() {
                return Err(Attempt::Lost);
            }
        }
        result
    }

    /// Commits a batch of nothing but events without locks. `None` if it is not one, or nothing of it was written: then what is wrong, and with which unit,
    /// is found out behind locks.
    async fn append_events(&self, session: &Session, shared: &Shared, arguments: &Arguments<'_>) -> Result<Option<Outcome>, Attempt> {
        let Some(events) = arguments.of_events() else { return Ok(None) };
        match session.query(APPEND_EVENTS, &events).await {
            Ok(rows) if rows.is_empty() => shared.collided(),
            Ok(rows) => return self.checked(rows.first().map(Outcome::of_events).transpose()),
            Err(error) => {
                if errors::is_contention(&error) {
                    shared.collided();
                }
                if !error.code().is_some_and(errors::is_unique_violation) {
                    return self.checked(Err(error));
                }
            }
        }
        Ok(None)
    }

    /// What the failure of a statement of the user's means for the batch.
    fn failed(&self, failure: statement::Failure) -> Attempt {
        match failure {
            statement::Failure::Refused(error) => Attempt::Failed(Failure::OfUnit(error)),
            statement::Failure::OfAll(error) => Attempt::Failed(Failure::OfAll(self.own.error(&error))),
            statement::Failure::Lost(_) => Attempt::Lost,
        }
    }

    fn outcome(&self, row: Result<Row, Error>) -> Result<Outcome, Attempt> {
        let row = self.checked(row)?;
        self.checked(Outcome::read(&row))
    }

    fn checked<T>(&self, result: Result<T, Error>) -> Result<T, Attempt> {
        result.map_err(|error| {
            if errors::is_loss(&error) {
                Attempt::Lost
            } else if errors::is_collision(&error) {
                Attempt::Again
            } else if errors::is_of_all(&error) {
                Attempt::Failed(Failure::OfAll(self.own.error(&error)))
            } else {
                Attempt::Failed(Failure::OfUnit(self.own.error(&error)))
            }
        })
    }

    /// What became of the last batch, whose connection was lost, and a new connection. `None`: it is not committed, and never will be.
    async fn find_out(&self, link: &Link, lost: &Backend, arguments: &Arguments<'_>) -> StoreResult<(Option<Outcome>, Arc<Session>)> {
        let started = Instant::now();
        let mut failed = 0;
        loop {
            let error = match link.session().await {
                Ok(session) => match self.look_for_batch(&session, lost, arguments).await {
                    Ok(found) => return Ok((found, session)),
                    Err(error) => {
                        link.discard(&session);
                        link.error(&error)
                    }
                },
                Err(error) => error,
            };
            if started.elapsed() >= FIND_OUT_WITHIN {
                return Err(StoreError::Unknown(format!("the connection was lost: {error}")));
            }
            failed += 1;
            tokio::time::sleep(pause(failed)).await;
        }
    }

    async fn look_for_batch(&self, session: &Session, lost: &Backend, arguments: &Arguments<'_>) -> Result<Option<Outcome>, Error> {
        // The other end may not know that the connection is lost: as long as it is there, it may still commit.
        while !session.query(END, &[&lost.pid, &lost.started]).await?.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if let Some(row) = session.query(OUTCOME, &[&self.id, &self.batch]).await?.first() {
            return Outcome::read(row).map(Some);
        }
        match arguments.of_events() {
            Some(events) => session.query(EVENTS_OUTCOME, &events[..EVENT_COLUMNS]).await?.first().map(Outcome::of_events).transpose(),
            None => Ok(None),
        }
    }

    /// Removes outcomes that nobody can ask for any more, many at once.
    async fn remove(&mut self, below: i64, at_least: i64) {
        if below - self.removed < at_least {
            return;
        }
        if let Some(session) = self.shared.as_ref().map_or(&self.own, |shared| &shared.link).connected()
            && let Err(error) = session.query(REMOVE, &[&self.id, &self.removed, &below]).await
        {
            tracing::debug!(%error, "old outcomes could not be removed");
        }
        self.removed = below;
    }
}
