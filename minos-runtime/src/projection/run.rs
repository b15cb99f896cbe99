//! Takes events in the order of the log and commits what the functions of a projection make of them, with how far that has come.

use super::{
    definition::{Plan, ProjectedEvent},
    shards::{self, Failed, Shards},
    state::{Built, State, is_overtaken},
    tables::Generation,
    traced::Taken,
    work::Work,
};
use crate::{
    context::{Environment, is_outage, store_error},
    error::{Error, ErrorKind, Result},
    message::Envelope,
    store::{Cause, LogPage, NewDeadLetter, StoreError, StoredEvent, StreamId, Unit},
};
use futures_util::FutureExt;
use jiff::Timestamp;
use std::{collections::HashSet, panic::AssertUnwindSafe, sync::Arc};
use tokio::task::JoinHandle;

/// How many events are read at once.
const PAGE: usize = 4096;
/// How many documents are kept in memory between two commits.
const KEEP: usize = 20_000;
/// The same of a view that is built from the beginning, and how much waits there before it is committed.
const KEEP_BUILDING: usize = 300_000;
const COMMIT_BUILDING: usize = 50_000;

/// One view of a projection, as far as it has been brought here.
pub(super) struct Run {
    environment: Arc<Environment>,
    plan: Arc<Plan>,
    built: Built,
    /// Whether it is the one that is read.
    is_live: bool,
    works: Shards,
    /// Whether one works alone, though several could.
    alone: bool,
    /// Up to this position one works alone.
    alone_up_to: u64,
    /// Up to which position events were taken; what is not committed of it is in `works`.
    taken: u64,
    /// The streams of which nothing is taken, because an earlier event of them could not be.
    parked: HashSet<String>,
    /// The next page, which is read while this one is worked on.
    ahead: Option<(u64, JoinHandle<std::result::Result<LogPage, StoreError>>)>,
    /// The time of the first event that is known and not taken; none if there is none.
    behind: Option<Timestamp>,
    /// How many events were taken and are not committed.
    open: usize,
    /// An event that failed: it is taken and committed alone.
    suspect: Option<u64>,
    /// Up to this position only `step` events are committed at once, because the database refuses what one of them makes.
    careful_up_to: u64,
    step: usize,
    /// How often the event behind `taken` has failed alone.
    failed: u32,
    /// What was taken and is not committed, for those who want to know how long that takes.
    traced: Taken,
}

/// What an advance has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Advance {
    /// There was nothing to take, and all that was taken is committed.
    Done,
    /// There may be more.
    More,
}

/// Why it did not go on.
#[derive(Debug)]
pub(super) enum Halt {
    /// Somebody else goes on with this projection, or has changed it: its state is to be read again.
    Overtaken,
    /// To be tried again later.
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Halt::Failed(error)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Some((_, reading)) = &self.ahead {
            reading.abort();
        }
    }
}

/// Who puts aside what could not be taken, of this view.
pub(super) fn subscriber(name: &str, generation: u64) -> String {
    format!("projection {name} #{generation}")
}

impl Run {
    pub(super) async fn new(environment: &Arc<Environment>, plan: &Arc<Plan>, built: Built, is_live: bool) -> Result<Self> {
        let generation = if is_live { Generation::Live } else { Generation::Built(built.generation) };
        let count = if is_live { 1 } else { shards::count(plan) };
        let works = Shards::new(count, || Work::new(environment.store.clone(), plan.clone(), generation, false));
        if built.position == 0 {
            works.begin_empty();
        }
        let mut run = Run {
            environment: environment.clone(),
            plan: plan.clone(),
            taken: built.position,
            built,
            is_live,
            works,
            alone: false,
            alone_up_to: 0,
            parked: HashSet::new(),
            ahead: None,
            behind: None,
            open: 0,
            suspect: None,
            careful_up_to: 0,
            step: PAGE,
            failed: 0,
            traced: Taken::default(),
        };
        run.load_parked().await?;
        Ok(run)
    }

    pub(super) fn built(&self) -> &Built {
        &self.built
    }

    /// How often the next event has failed, by itself.
    pub(super) fn failed(&self) -> u32 {
        self.failed
    }

    /// The time of the first event that is known and not taken.
    pub(super) fn behind(&self) -> Option<Timestamp> {
        self.behind
    }

    pub(super) fn parked(&self) -> usize {
        self.parked.len()
    }

    async fn load_parked(&mut self) -> Result<()> {
        let name = subscriber(self.plan.def.name, self.built.generation);
        let parked = self.environment.store.parked().await.map_err(store_error)?;
        self.parked = parked.into_iter().filter(|(by, _)| *by == name).map(|(_, key)| key).collect();
        Ok(())
    }

    /// Takes the next events, and commits when there is enough of it. An event that fails `attempts` times by itself is put aside with its stream.
    pub(super) async fn advance(&mut self, state: &mut State, attempts: u32) -> std::result::Result<Advance, Halt> {
        let page = Arc::new(self.page().await?);
        let is_last = page.events.len() < PAGE;
        self.behind = page.events.iter().find(|event| event.position > self.taken).map(|event| event.at);
        let are_several = self.are_several();
        let events = if are_several {
            match self.works.take(&self.environment, &self.plan, &page, self.taken).await {
                Ok(count) => self.open += count,
                Err(Failed) => {
                    // One alone finds out which event it is, unless they were in each other's way.
                    self.alone_up_to = if self.works.overlap() { u64::MAX } else { page.read };
                    self.begin_again();
                    return Ok(Advance::More);
                }
            }
            &[][..]
        } else {
            &page.events[..]
        };
        let taken = self.taken;
        for event in events.iter().filter(|event| event.position > taken) {
            let is_suspect = self.suspect == Some(event.position);
            if is_suspect && self.open > 0 && !self.commit(state, self.taken, Vec::new(), None, attempts).await? {
                return Ok(Advance::More);
            }
            if let Err(error) = self.take(event).await {
                return self.failed_at(state, event, error, attempts).await;
            }
            self.taken = event.position;
            self.open += 1;
            if self.is_live {
                self.traced.add(&self.environment.spans, event);
            }
            let careful = event.position <= self.careful_up_to && self.open >= self.step;
            if (is_suspect || careful) && !self.commit(state, event.position, Vec::new(), Some(event), attempts).await? {
                return Ok(Advance::More);
            }
        }
        self.taken = self.taken.max(page.read);
        let enough = if self.is_live { 1 } else { COMMIT_BUILDING };
        let due = self.taken > self.built.position && (is_last || self.works.pending() >= enough || self.works.kept() > KEEP_BUILDING);
        // Which of them it was is known only of one that works alone.
        let last = page.events.last().filter(|_| !are_several);
        if due && !self.commit(state, self.taken, Vec::new(), last, attempts).await? {
            return Ok(Advance::More);
        }
        if is_last {
            self.behind = None;
        }
        Ok(if is_last { Advance::Done } else { Advance::More })
    }

    /// Whether several take the next events. One works alone where it matters which event it is that cannot be taken.
    fn are_several(&mut self) -> bool {
        let may = self.works.are_several()
            && self.parked.is_empty()
            && self.suspect.is_none()
            && self.taken >= self.alone_up_to.max(self.careful_up_to);
        if may && self.alone {
            if self.open > 0 {
                return false;
            }
            // What one alone has touched would be touched by another one, too.
            self.works.forget();
        }
        self.alone = !may;
        may
    }

    /// The next events; the page behind is asked for at once.
    async fn page(&mut self) -> Result<LogPage> {
        let page = match self.ahead.take() {
            Some((from, reading)) if from == self.taken => {
                reading.await.map_err(|_| Error::unavailable("the store is closed"))?.map_err(store_error)?
            }
            other => {
                if let Some((_, reading)) = other {
                    reading.abort();
                }
                self.environment.store.log(self.taken, PAGE, Some(&self.plan.aggregates)).await.map_err(store_error)?
            }
        };
        #[cfg(feature = "sensitive")]
        self.environment.subjects_of(page.events.iter()).await.map_err(store_error)?;
        if page.events.len() == PAGE {
            let (store, aggregates, from) = (self.environment.store.clone(), self.plan.aggregates.clone(), page.read);
            self.ahead = Some((from, tokio::spawn(async move { store.log(from, PAGE, Some(&aggregates)).await })));
        }
        Ok(page)
    }

    async fn take(&self, event: &StoredEvent) -> Result<()> {
        if event.is_internal() {
            return Ok(());
        }
        // Behind an event that could not be taken, the others of its stream wait.
        if !self.parked.is_empty() && self.parked.contains(&event.stream.to_string()) && self.plan.takers(event).next().is_some() {
            return Err(Waits.into_error());
        }
        project(&self.environment, &self.plan, self.works.alone(), event).await
    }

    /// What the function has done before it failed is not to be committed: what was taken with it is taken again, without it.
    async fn failed_at(
        &mut self,
        state: &mut State,
        event: &StoredEvent,
        error: Error,
        attempts: u32,
    ) -> std::result::Result<Advance, Halt> {
        let is_alone = self.open == 0;
        self.begin_again();
        if is_outage(&error) {
            return Err(error.into());
        }
        if !is_alone {
            self.suspect = Some(event.position);
            return Ok(Advance::More);
        }
        let waits = error.downcast_ref::<Waits>().is_some();
        let attempt = if waits { 0 } else { self.failed.saturating_add(1) };
        if !waits && attempt < attempts && !is_permanent(&error) {
            self.failed = attempt;
            return Err(error.into());
        }
        self.put_aside(state, event, &error, attempt).await?;
        Ok(Advance::More)
    }

    /// Forgets what is not committed.
    fn begin_again(&mut self) {
        self.works.forget();
        self.taken = self.built.position;
        self.open = 0;
        self.traced = Taken::default();
    }

    /// Puts an event among the dead letters, and goes on behind it.
    async fn put_aside(&mut self, state: &mut State, event: &StoredEvent, error: &Error, attempts: u32) -> std::result::Result<(), Halt> {
        let by = subscriber(self.plan.def.name, self.built.generation);
        let envelope = Envelope::of_event(event.clone());
        let letter = NewDeadLetter {
            subscriber: by.clone(),
            key: event.stream.to_string(),
            topic: envelope.topic.clone(),
            headers: envelope.headers(),
            content: envelope.content.to_vec(),
            cause: error.chain(),
            attempts,
        };
        let told = letter.cause.clone();
        if !self.commit(state, event.position, vec![letter], None, u32::MAX).await? {
            return Ok(());
        }
        if attempts > 0 {
            tracing::error!(projection = self.plan.def.name, event = %event.name, stream = %event.stream, version = event.version, error = told,
                "an event is put aside, with what follows in its stream");
            self.environment.metrics.dead_letters.inc();
        }
        self.parked.insert(event.stream.to_string());
        self.suspect = None;
        Ok(())
    }

    /// Commits what was done, and how far it has come. `last` is the last event of it. False if it has to be taken again, in smaller steps.
    async fn commit(
        &mut self,
        state: &mut State,
        position: u64,
        letters: Vec<NewDeadLetter>,
        last: Option<&StoredEvent>,
        attempts: u32,
    ) -> std::result::Result<bool, Halt> {
        if self.works.overlap() {
            tracing::debug!(
                projection = self.plan.def.name,
                "events of different streams are about the same document: it is rebuilt by one at a time"
            );
            self.begin_again();
            self.alone_up_to = u64::MAX;
            return Ok(false);
        }
        let mut next = state.clone();
        let built = Built { position, ..self.built.clone() };
        *(if self.is_live { &mut next.progress.live } else { &mut next.progress.rebuild }) = Some(built.clone());
        let mut unit = Unit::new(self.environment.clock.now(), Cause::nobody());
        self.works.add_to(&mut unit)?;
        unit.dead_letters = letters;
        next.add_to(&mut unit)?;
        match self.environment.store.commit(unit).await {
            Ok(_) => {
                next.committed();
                self.traced.tell(&self.environment.spans, self.plan.def.name);
                *state = next;
                self.built = built;
                (self.taken, self.open, self.failed) = (position, 0, 0);
                if position > self.careful_up_to {
                    self.step = PAGE;
                }
                self.works.committed(if self.is_live { KEEP } else { KEEP_BUILDING });
                Ok(true)
            }
            Err(error) if is_overtaken(&error) => Err(Halt::Overtaken),
            // The operator has dealt with what this one would wait behind.
            Err(StoreError::NotParked { .. }) => {
                self.load_parked().await?;
                self.begin_again();
                Ok(false)
            }
            Err(error) if error.is_outage() => Err(Halt::Failed(store_error(error))),
            Err(error) => self.refused(state, position, store_error(error), last, attempts).await,
        }
    }

    /// The database refuses what the functions have made of some events: it is found out which one it is, and that one is put aside in the end.
    async fn refused(
        &mut self,
        state: &mut State,
        position: u64,
        error: Error,
        last: Option<&StoredEvent>,
        attempts: u32,
    ) -> std::result::Result<bool, Halt> {
        let open = self.open;
        self.begin_again();
        match last {
            Some(event) if open == 1 => {
                self.failed = self.failed.saturating_add(1);
                if self.failed < attempts {
                    return Err(error.into());
                }
                let attempt = self.failed;
                Box::pin(self.put_aside(state, event, &error, attempt)).await?;
                Ok(true)
            }
            _ => {
                self.careful_up_to = position;
                self.step = (open / 16).max(1);
                Ok(false)
            }
        }
    }
}

/// That an event waits behind another one of its stream.
#[derive(Debug, thiserror::Error)]
#[error("an earlier event of this stream was put aside")]
struct Waits;

impl Waits {
    fn into_error(self) -> Error {
        Error::internal(self.to_string()).caused_by(self)
    }
}

/// Whether trying again cannot help: the event cannot be read.
fn is_permanent(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Malformed | ErrorKind::Invalid)
}

/// Lets all functions of a projection that take it take an event.
pub(super) async fn project(environment: &Environment, plan: &Plan, work: &Work, event: &StoredEvent) -> Result<()> {
    #[cfg(feature = "sensitive")]
    let opened = environment.opened(event).await.map_err(store_error)?;
    #[cfg(feature = "sensitive")]
    let event = &*opened;
    #[cfg(not(feature = "sensitive"))]
    let _ = environment;
    for taker in plan.takers(event) {
        work.at(event.at);
        let event = ProjectedEvent(event);
        let taken = AssertUnwindSafe(async { (taker.handle)(work, &event).await }).catch_unwind().await;
        taken
            .unwrap_or_else(|_| Err(Error::internal("it panicked")))
            .map_err(|error| error.context(format!("`{}` of `{}`", taker.function, plan.def.name)))?;
    }
    Ok(())
}

/// The stream that a dead letter's key names.
pub(super) fn stream_of(key: &str) -> Option<StreamId> {
    let (aggregate, uuid) = key.rsplit_once('/')?;
    Some(StreamId::new(aggregate.to_owned(), uuid.parse().ok()?))
}
