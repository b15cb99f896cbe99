//! The order of the log without holes: how far readers may read.
//!
//! Numbers are drawn from a sequence before their transactions commit, so a low one may appear behind a high one. Every writer holds a shared lock
//! from before it draws until its commit can be seen. A look notes how far the sequence has come, and then who holds the lock: once these have
//! ended, nothing at or below that number can appear any more. Other transactions, however long, do not matter.

use super::{
    connection::{Backend, Link, Session},
    errors,
};
use crate::{
    store::{StoreError, StoreResult, number},
    sync::lock,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, oneshot, watch},
    time::Instant,
};
use tokio_postgres::Error;

const LOOK: &str = "SELECT drawn, written, flushed, holders, pids FROM {s}.fence_v1()";
const IS_THERE: &str = "SELECT EXISTS (SELECT FROM {s}.events WHERE position = $1)";
/// How often it is looked for commits of other replicas.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How soon it is looked again when somebody's end is waited for, and at the soonest when there is always something new: each look costs the server
/// as much as some commands.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// The same once [`MANY`] numbers have been committed meanwhile: then the server has more to do than to be looked at.
const LOOK_WHEN_BUSY: Duration = Duration::from_millis(20);
/// How many numbers since the last look show that there will be enough to read later, too.
const MANY: u64 = 64;
/// Whoever keeps readers waiting for so long is told to the operator.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many notes are kept. When there are more, the newest takes the place of the one before it.
const NOTES: usize = 64;

/// What was seen at once: how far numbers had been drawn, then who might still commit some.
#[derive(Debug, Clone, Default)]
struct Look {
    drawn: u64,
    /// How far the log of the server was written when `drawn` was read. A crash loses what was not flushed, and then the sequence goes back to
    /// numbers that were drawn already.
    written: u64,
    flushed: u64,
    holders: BTreeMap<String, i32>,
}

/// Nothing new can appear at or below `drawn` once the holders have ended, and the sequence cannot go back behind it once it is flushed.
struct Note {
    drawn: u64,
    written: u64,
    holders: BTreeSet<String>,
}

/// The pure core: looks become the highest number up to which all has ended.
#[derive(Default)]
struct Core {
    reached: u64,
    /// Oldest first.
    notes: Vec<Note>,
}

impl Core {
    /// Takes a look into account. `durable` is a number whose commit is known to be flushed. Returns how far readers may read.
    fn look(&mut self, look: &Look, durable: u64) -> u64 {
        for note in &mut self.notes {
            note.holders.retain(|holder| look.holders.contains_key(holder));
        }
        if look.drawn > self.notes.last().map_or(self.reached, |note| note.drawn) {
            if self.notes.len() == NOTES {
                self.notes.pop();
            }
            self.notes.push(Note { drawn: look.drawn, written: look.written, holders: look.holders.keys().cloned().collect() });
        }
        let has_ended = |note: &Note| note.holders.is_empty() && (note.written <= look.flushed || note.drawn <= durable);
        if let Some(newest) = self.notes.iter().rposition(has_ended) {
            self.reached = self.notes[newest].drawn;
            self.notes.drain(..=newest);
        }
        self.reached
    }

    /// The connection was lost, and the server may have crashed: what was not flushed is gone, and the names of holders are given again.
    fn forget(&mut self) {
        self.notes.clear();
    }

    /// Who keeps readers waiting.
    fn waits_for(&self) -> Option<&BTreeSet<String>> {
        self.notes.first().map(|note| &note.holders)
    }
}

/// How far readers may read, for all tasks of a store.
pub(super) struct Fence {
    reached: AtomicU64,
    /// The highest number that this store has committed.
    committed: AtomicU64,
    /// How far the sequence had come at the last look.
    drawn: AtomicU64,
    /// The last event that is known to be in the log.
    known: AtomicU64,
    /// That the database has lost what was in it. Nothing is read or written any more then: what comes now would take the place of what others have seen.
    lost: OnceLock<StoreError>,
    changes: watch::Sender<u64>,
    kick: Notify,
    /// Who waits for the next look; `None` when there are no more.
    requests: Mutex<Option<Vec<oneshot::Sender<StoreResult<()>>>>>,
}

impl Fence {
    pub(super) fn new(changes: watch::Sender<u64>) -> Self {
        Fence {
            reached: AtomicU64::new(0),
            committed: AtomicU64::new(0),
            drawn: AtomicU64::new(0),
            known: AtomicU64::new(0),
            lost: OnceLock::new(),
            changes,
            kick: Notify::new(),
            requests: Mutex::new(Some(Vec::new())),
        }
    }

    /// Numbers up to this one were committed here.
    pub(super) fn committed(&self, drawn: u64) {
        if drawn > 0 {
            self.committed.fetch_max(drawn, Ordering::AcqRel);
            self.kick.notify_one();
        }
    }

    /// This event is in the log.
    pub(super) fn knows(&self, position: u64) {
        self.known.fetch_max(position, Ordering::AcqRel);
    }

    /// Refuses when the database has lost something.
    pub(super) fn check(&self) -> StoreResult<()> {
        self.lost.get().map_or(Ok(()), |lost| Err(lost.clone()))
    }

    /// How far may be read by somebody who has read so far. Who has just committed here may read that, unless somebody else is not done below it.
    pub(super) async fn reached(&self, reader: u64) -> StoreResult<u64> {
        if reader > self.drawn.load(Ordering::Acquire) {
            self.look_now().await?;
            let log = self.drawn.load(Ordering::Acquire);
            if reader > log {
                return Err(StoreError::Behind { log, reader });
            }
        }
        if self.committed.load(Ordering::Acquire) > self.reached.load(Ordering::Acquire) {
            // If it fails, what is asked for next does, too, and says why.
            let _ = self.look_now().await;
        }
        self.check()?;
        Ok(self.reached.load(Ordering::Acquire))
    }

    /// Waits for a look that begins from here on.
    pub(super) async fn look_now(&self) -> StoreResult<()> {
        let (answer, wait) = oneshot::channel();
        lock(&self.requests).as_mut().ok_or(StoreError::Closed)?.push(answer);
        self.kick.notify_one();
        wait.await.map_err(|_| StoreError::Closed)?
    }

    /// Whether [`MANY`] numbers have been committed here since the last look.
    fn is_busy(&self) -> bool {
        self.committed.load(Ordering::Acquire).saturating_sub(self.drawn.load(Ordering::Acquire)) >= MANY
    }

    /// The task has been ended: nobody waits for it any more.
    pub(super) fn close(&self) {
        *lock(&self.requests) = None;
    }

    /// Looks until this task is ended.
    pub(super) async fn run(self: Arc<Self>, link: Arc<Link>) {
        let mut watch = Watch::default();
        loop {
            let looked = Instant::now();
            // Who asks from here on gets a look that begins later.
            let requests = lock(&self.requests).as_mut().map(std::mem::take).unwrap_or_default();
            let (pause, result) = match self.look(&link, watch.backend.as_ref()).await {
                Ok((look, backend)) => {
                    self.drawn.store(look.drawn, Ordering::Release);
                    let reached = watch.see(&look, backend, self.committed.load(Ordering::Acquire));
                    if reached > self.reached.swap(reached, Ordering::AcqRel) {
                        self.changes.send_modify(|count| *count += 1);
                    }
                    (if watch.core.notes.is_empty() { LOOK_EVERY } else { LOOK_AGAIN }, self.check())
                }
                Err(error) => (LOOK_EVERY, Err(error)),
            };
            for request in requests {
                let _ = request.send(result.clone());
            }
            tokio::select! {
                () = self.kick.notified() => tokio::time::sleep_until(looked + LOOK_AGAIN).await,
                () = tokio::time::sleep(pause) => {}
            }
            if self.is_busy() {
                tokio::time::sleep_until(looked + LOOK_WHEN_BUSY).await;
            }
        }
    }
}

impl Fence {
    /// Looks, and on a new connection also whether all is still there: another server may answer now.
    async fn look(&self, link: &Link, before: Option<&Backend>) -> StoreResult<(Look, Backend)> {
        let (reached, known) = (self.reached.load(Ordering::Acquire), self.known.load(Ordering::Acquire));
        let session = link.session().await?;
        let looked = async {
            let look = look(&session).await?;
            let is_new = before.is_some_and(|before| *before != session.backend);
            let is_there = !is_new || known == 0 || session.query(IS_THERE, &[&number(known)]).await?[0].try_get(0)?;
            Ok((look, is_there))
        };
        let (look, is_there) = looked.await.map_err(|error| {
            if errors::is_loss(&error) {
                link.discard(&session);
            }
            link.error(&error)
        })?;
        if look.drawn < reached || !is_there {
            let lost = StoreError::Behind { log: look.drawn, reader: if is_there { reached } else { known } };
            if self.lost.set(lost.clone()).is_ok() {
                tracing::error!(error = %lost, "the service stops to read and write");
            }
        }
        Ok((look, session.backend.clone()))
    }
}

async fn look(session: &Session) -> Result<Look, Error> {
    let statement = session.own(LOOK).await?;
    let row = session.client().query_one(&statement, &[]).await?;
    let (holders, pids): (Vec<String>, Vec<i32>) = (row.try_get(3)?, row.try_get(4)?);
    Ok(Look {
        drawn: row.try_get::<_, i64>(0)? as u64,
        written: row.try_get::<_, i64>(1)? as u64,
        flushed: row.try_get::<_, i64>(2)? as u64,
        holders: holders.into_iter().zip(pids).collect(),
    })
}

/// The core, and what is known of the connection and of those that keep it waiting.
#[derive(Default)]
struct Watch {
    core: Core,
    backend: Option<Backend>,
    waits: Option<(BTreeSet<String>, Instant)>,
}

impl Watch {
    fn see(&mut self, look: &Look, backend: Backend, durable: u64) -> u64 {
        if self.backend.replace(backend.clone()).is_some_and(|before| before != backend) {
            self.core.forget();
        }
        let reached = self.core.look(look, durable);
        if let Some(pids) = self.stuck(look, Instant::now()) {
            tracing::warn!(
                ?pids,
                reached,
                "readers of the log wait for writers that do not end: see these processes in `pg_stat_activity`, and end them with `pg_terminate_backend` if they are stuck"
            );
        }
        reached
    }

    /// The processes that have kept readers waiting for too long, each time that this is so again.
    fn stuck(&mut self, look: &Look, now: Instant) -> Option<BTreeSet<i32>> {
        let holders = self.core.waits_for().filter(|holders| !holders.is_empty());
        match (holders, &mut self.waits) {
            (None, waits) => *waits = None,
            (Some(holders), Some((before, since))) if holders == before => {
                if now.duration_since(*since) >= PATIENCE {
                    *since = now;
                    return Some(holders.iter().filter_map(|holder| look.holders.get(holder).copied()).collect());
                }
            }
            (Some(holders), waits) => *waits = Some((holders.clone(), now)),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(drawn: u64, holders: &[&str]) -> Look {
        Look { drawn, written: drawn, flushed: u64::MAX, holders: holders.iter().map(|holder| ((*holder).to_owned(), 1)).collect() }
    }

    #[test]
    fn without_holders_all_that_was_drawn_has_ended() {
        let mut core = Core::default();
        assert_eq!(core.look(&look(0, &[]), 0), 0);
        assert_eq!(core.look(&look(7, &[]), 0), 7);
        assert!(core.notes.is_empty());
    }

    #[test]
    fn a_holder_keeps_what_was_drawn_before_and_nothing_later() {
        let mut core = Core::default();
        core.look(&look(5, &[]), 0);
        assert_eq!(core.look(&look(8, &["a"]), 0), 5);
        assert_eq!(core.look(&look(9, &["a", "b"]), 0), 5);
        assert_eq!(core.look(&look(10, &["b", "c"]), 0), 8, "`a` has ended, and `b` may hold 9");
        assert_eq!(core.look(&look(10, &["c"]), 0), 9);
        assert_eq!(core.look(&look(12, &["d"]), 0), 10, "who came later holds nothing back");
    }

    #[test]
    fn what_is_not_flushed_may_be_drawn_again_after_a_crash() {
        let mut core = Core::default();
        let unflushed = Look { written: 100, flushed: 99, ..look(5, &[]) };
        assert_eq!(core.look(&unflushed, 0), 0);
        assert_eq!(core.look(&unflushed, 5), 5, "who has committed 5 has flushed it");
        let unflushed = Look { written: 200, flushed: 199, ..look(6, &[]) };
        assert_eq!(core.look(&unflushed, 5), 5);
        core.forget();
        assert_eq!(core.look(&Look { written: 150, flushed: 250, ..look(5, &[]) }, 5), 5, "after the crash, 6 is not known any more");
    }

    #[test]
    fn who_is_stuck_is_told_again_and_again() {
        let (mut watch, start) = (Watch::default(), Instant::now());
        let mut told = |drawn, holders: &[&str], seconds| {
            let look = look(drawn, holders);
            watch.core.look(&look, 0);
            watch.stuck(&look, start + Duration::from_secs(seconds)).is_some()
        };
        assert!(!told(1, &["a", "b"], 0) && !told(2, &["a"], 9), "another one has ended");
        assert!(!told(3, &["a", "c"], 18), "and who came later holds nothing back");
        assert!(told(3, &["a"], 19) && !told(3, &["a"], 20) && told(3, &["a"], 29));
        assert!(!told(4, &[], 30) && !told(5, &["d"], 50));
    }

    #[test]
    fn it_is_bounded_and_still_advances() {
        let mut core = Core::default();
        for n in 1..1000 {
            core.look(&look(n, &["stuck"]), 0);
        }
        assert_eq!((core.notes.len(), core.reached), (NOTES, 0));
        assert_eq!(core.look(&look(1000, &[]), 0), 1000);
        // Writers without a pause, each ended two looks later.
        for n in 1..1000 {
            let holders = [n, n + 1].map(|n| n.to_string());
            let reached = core.look(&look(1000 + n, &[&holders[0], &holders[1]]), 0);
            assert!(reached + 3 >= 1000 + n, "{n}: {reached}");
        }
    }
}
