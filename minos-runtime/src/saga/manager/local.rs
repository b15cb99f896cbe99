//! Local steps: the user's own work, in one unit with the saga's progress.

use super::{
    State,
    turn::{Loaded, Turned},
};
use crate::{
    aggregate::{Prepared, prepare},
    context::{Context, Coordinator, HotGuard, Permit, Reads, SagaStep, is_outage},
    error::{Error, ErrorKind, Result},
    failpoint,
    saga::{Call, Direction, Input, LocalWork, Outcome, Unfinished, Work},
    store::{Cause, SagaRow, StoreError, Unit},
    sync::lock,
    telemetry::Span,
    trace::Trace,
};
use futures_util::FutureExt;
use serde_json::Value;
use std::{
    collections::{HashMap, HashSet},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};
use tracing::Instrument;
use uuid::Uuid;

/// How often the work is done again because others had written what it had read.
const ATTEMPTS: u32 = 16;
/// The pause while the store does not answer.
const PAUSE: Duration = Duration::from_millis(500);

/// The local steps that run in this process.
#[derive(Default, Clone)]
pub(super) struct Runs(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Each with whether it still waits for room.
    running: Mutex<HashMap<(Uuid, Call), bool>>,
    ended: Notify,
}

/// Takes a run off the list, however it ends.
struct Place {
    runs: Runs,
    id: Uuid,
    call: Call,
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.runs.0.running).remove(&(self.id, self.call.clone()));
        self.runs.0.ended.notify_waiters();
    }
}

impl Runs {
    /// A place for it, unless it has one.
    fn enter(&self, id: Uuid, call: &Call) -> Option<Place> {
        let mut running = lock(&self.0.running);
        if running.contains_key(&(id, call.clone())) {
            return None;
        }
        running.insert((id, call.clone()), true);
        Some(Place { runs: self.clone(), id, call: call.clone() })
    }

    /// It waits for nothing any more.
    fn begin(&self, id: Uuid, call: &Call) {
        if let Some(waits) = lock(&self.0.running).get_mut(&(id, call.clone())) {
            *waits = false;
        }
    }

    /// The executions of which something runs here. What waits for room may as well be begun by another process, after a while.
    pub(super) fn executions(&self) -> HashSet<Uuid> {
        lock(&self.0.running).iter().filter(|(_, waits)| !**waits).map(|((id, _), _)| *id).collect()
    }

    /// Whether this runs here.
    pub(super) fn has(&self, id: Uuid, call: Call) -> bool {
        lock(&self.0.running).get(&(id, call)).is_some_and(|waits| !waits)
    }

    /// Ends when nothing runs.
    pub(super) async fn idle(&self) {
        loop {
            let ended = self.0.ended.notified();
            if lock(&self.0.running).is_empty() {
                return;
            }
            ended.await;
        }
    }
}

impl State {
    /// Begins an attempt at a local step in the background, unless it runs already.
    pub(super) fn begin_run(&self, id: Uuid, call: Call) {
        let Some(this) = self.this.upgrade().filter(|_| !self.stopping.was_said()) else { return };
        let Some(place) = self.runs.enter(id, &call) else { return };
        tokio::spawn(async move {
            let permit = Permit::take(&this.permits).await;
            this.runs.begin(id, &call);
            this.run_local(id, &call, &permit).await;
            drop(place);
        });
    }

    /// Runs it to its committed end.
    async fn run_local(&self, id: Uuid, call: &Call, permit: &Arc<Permit>) {
        loop {
            let Err(error) = self.try_local(id, call, permit).await else { return };
            tracing::warn!(execution = %id, step = call.step, error = error.chain(), "a step of a saga will be tried again");
            if self.stopping.was_said() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = self.stopping.hear().said() => return,
            }
        }
    }

    /// Does the work once, or again where it conflicts. An error here is the store's, and says nothing about the step.
    async fn try_local(&self, id: Uuid, call: &Call, permit: &Arc<Permit>) -> Result<()> {
        let (mut held, mut has_conflicted) = (Vec::new(), false);
        let mut attempt = 0;
        let mut span = Span::none(None);
        loop {
            attempt += 1;
            let Some(loaded) = self.load(id).await?.filter(|loaded| loaded.execution.is_under_way(call)) else { return Ok(()) };
            failpoint::pass(failpoint::SAGA_LOCAL_BEFORE, format_args!("{call}"));
            if attempt == 1 {
                span = self.local_span(&loaded.row, call);
            }
            let worked = self.work(&loaded, call, has_conflicted, std::mem::take(&mut held), permit, span.place());
            let worked = worked.instrument(span.entered()).await;
            let (value, mut unit, guards) = match worked {
                Ok(done) => done,
                Err(error) => {
                    span.fail(|| error.chain());
                    return self.step_failed(id, call, error).await;
                }
            };
            let prepared = match loaded.plan.is_isolated().then(|| prepare(&mut unit, &self.step(&loaded.row, call))).transpose() {
                Ok(prepared) => prepared,
                Err(error) => return self.step_failed(id, call, error).await,
            };
            failpoint::pass(failpoint::SAGA_LOCAL_DONE, format_args!("{call}"));
            match self.commit_local(id, call, &value, &unit, prepared).await {
                Ok(()) => return Ok(()),
                Err(error) => match error.downcast_ref() {
                    Some(StoreError::Conflict { stream, .. }) if attempt < ATTEMPTS => {
                        self.environment.metrics.conflicts.inc();
                        drop(guards);
                        has_conflicted = true;
                        held.push(self.environment.hot.queue(stream).await);
                    }
                    // Somebody else has begun the saga that this wants to begin: the next attempt finds it.
                    Some(StoreError::SagaExists { .. } | StoreError::SagaMoved { .. }) if attempt < ATTEMPTS => {
                        self.environment.metrics.conflicts.inc();
                    }
                    Some(StoreError::DocumentConflict { .. } | StoreError::KeyExists(_)) if attempt < ATTEMPTS => {
                        self.environment.metrics.conflicts.inc();
                        has_conflicted = true;
                    }
                    _ => return self.step_failed(id, call, error).await,
                },
            }
        }
    }

    /// The user's work.
    async fn work(
        &self,
        loaded: &Loaded<'_>,
        call: &Call,
        has_conflicted: bool,
        held: Vec<HotGuard>,
        permit: &Arc<Permit>,
        place: Option<Trace>,
    ) -> Result<(Option<Value>, Unit, Vec<HotGuard>)> {
        let row = &loaded.row;
        let step = loaded.plan.step(&call.step).ok_or_else(|| Error::internal("there is no such step"))?;
        // Effects outside, and sagas that the work runs, are known by this id: each attempt is the same work again.
        let id = Call::first(&call.step, call.direction).message_id(row.id);
        let mut cx = Context::new(self.environment.clone(), Cause { causation: id, trace: place, ..row.cause.clone() }, Reads::ToWrite);
        cx.again(has_conflicted, held);
        cx.for_step(Some(self.step(row, call)), loaded.plan.is_isolated());
        cx.until(step.timeout.and_then(|limit| Instant::now().checked_add(limit)), Some(permit.clone()));
        let work: Option<LocalWork> = match (&step.work, call.direction) {
            (Work::Local { execute, .. }, Direction::Execute) => Some(*execute),
            (Work::Local { undo, .. }, Direction::Undo) => *undo,
            // What was not committed has not happened.
            (Work::Local { .. } | Work::Remote { .. }, _) => None,
        };
        let value = match work {
            None => None,
            Some(work) => {
                let doing = AssertUnwindSafe(async { work(&mut cx, &loaded.execution.values).await })
                    .catch_unwind()
                    .map(|done| done.unwrap_or_else(|panic| Err(Error::panicked(format_args!("step `{}`", step.name), &*panic))));
                let done = match step.timeout {
                    None => doing.await,
                    Some(limit) => tokio::time::timeout(limit, doing).await.unwrap_or_else(|_| {
                        Err(Error::new(
                            ErrorKind::Timeout,
                            format!("step `{}` took longer than {limit:?}, which is its `timeout`", step.name),
                        ))
                    }),
                };
                Some(done?)
            }
        };
        let (unit, guards) = cx.finish();
        Ok((value, unit, guards))
    }

    fn step(&self, row: &SagaRow, call: &Call) -> SagaStep {
        SagaStep { saga: row.saga.clone(), execution: row.id, service: self.environment.service.clone(), step: call.step.clone() }
    }

    /// Commits what the work has done with the turn that its end makes. If that does not count any more, all of it is dropped.
    async fn commit_local(&self, id: Uuid, call: &Call, value: &Option<Value>, unit: &Unit, prepared: Option<Prepared>) -> Result<()> {
        let _turn = self.environment.hot.queue(&Self::place(id)).await;
        loop {
            let Some(mut loaded) = self.load(id).await? else { return Ok(()) };
            loaded.execution.prepared.extend(prepared.clone().map(|prepared| (call.step.clone(), prepared)));
            let outcome = value.clone().map_or(Outcome::NotDone, Outcome::Value);
            let input = Input::Ended { call: call.clone(), result: Ok(outcome), holds: false };
            match self.advance(loaded, input, unit.clone()).await {
                Ok(Turned::Committed) => {
                    let began: Vec<_> = unit.sagas.iter().map(|write| write.row.id).collect();
                    if !began.is_empty() {
                        self.began(began);
                    }
                    return Ok(());
                }
                Ok(Turned::Same(_)) => {
                    tracing::info!(execution = %id, step = call.step, "the work of a step was dropped: it came too late");
                    return Ok(());
                }
                // Another step of the saga has ended meanwhile: the work is still good.
                Err(error) if is_this(&error, id) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The step has failed, unless it was the store that did, or a saga that it runs goes on: what that will have done cannot be left behind.
    async fn step_failed(&self, id: Uuid, call: &Call, error: Error) -> Result<()> {
        if is_outage(&error) || error.downcast_ref::<Unfinished>().is_some() {
            return Err(error);
        }
        self.turn(id, |_, _| Ok(Input::Ended { call: call.clone(), result: Err(error.copied()), holds: false })).await.map(|_| ())
    }
}

fn is_this(error: &Error, execution: Uuid) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::SagaMoved { id, .. }) if *id == execution)
}
