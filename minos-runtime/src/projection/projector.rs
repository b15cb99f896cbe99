//! Keeps the views of one projection: the one that is read, and the one that is built to take its place.

use super::{
    Tell,
    definition::Plan,
    run::{Advance, Halt, Run, subscriber},
    state::{Built, State},
    tables::Generation,
};
use crate::{
    config::RetryPolicy,
    context::{Environment, store_error},
    error::Result,
    health::Health,
    metrics::ProjectionLabels,
    stop::Stop,
    store::{Cause, CollectionChange, StoreError, Tenure, Unit},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// How often a process looks whether it is to go on with a projection, and whether there is something that it was not told of.
const LOOK: Duration = Duration::from_secs(1);

/// What keeps one projection.
pub(super) struct Projector {
    pub(super) environment: Arc<Environment>,
    pub(super) plan: Arc<Plan>,
    pub(super) health: Health,
    pub(super) policy: RetryPolicy,
    pub(super) tell: Tell,
}

impl Projector {
    /// Its name in [`Health`].
    pub(super) fn part(plan: &Plan) -> String {
        format!("projection {}", plan.def.name)
    }

    /// Goes on with the projection, or stands by for the process that does, until `stop` says so.
    pub(super) async fn run(self, stop: Stop) {
        let part = Self::part(&self.plan);
        let (mut tenure, mut failures) = (Tenure::new(self.environment.store.clone(), part.clone()), 0);
        while !stop.was_said() {
            let before = Instant::now();
            let pause = match self.turn(&mut tenure, &stop, &part).await {
                Ok(()) | Err(Halt::Overtaken) => {
                    failures = 0;
                    if before.elapsed() < LOOK { LOOK } else { Duration::ZERO }
                }
                Err(Halt::Failed(error)) => {
                    failures = if before.elapsed() > self.policy.longest_pause * 2 { 1 } else { failures + 1 };
                    if self.health.failed(&part, error.chain()) {
                        tracing::error!(
                            projection = self.plan.def.name,
                            error = error.chain(),
                            "a projection does not go on; will be tried again"
                        );
                    }
                    self.policy.pause(failures)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.said() => {}
            }
        }
        tenure.give_back().await;
    }

    async fn turn(&self, tenure: &mut Tenure, stop: &Stop, part: &str) -> std::result::Result<(), Halt> {
        let store = &self.environment.store;
        if State::read(&**store, self.plan.def.name).await?.is_newer_than(self.plan.def.version) {
            // During a deployment: what the newer one has built is not built back.
            tenure.give_back().await;
            self.health.succeeded(part);
            return Ok(());
        }
        if tenure.hold().await.map_err(fail)?.is_none() {
            self.health.succeeded(part);
            return Ok(());
        }
        let mut changes = store.changes();
        let mut state = State::read(&**store, self.plan.def.name).await?;
        self.begin_if_needed(&mut state).await?;
        let (mut live, mut rebuild) = (self.live(&state).await?, self.rebuild(&state).await?);
        loop {
            if stop.was_said() || tenure.hold().await.map_err(fail)?.is_none() {
                return Ok(());
            }
            changes.mark_unchanged();
            // How long to wait, because an event could not be taken.
            let (mut more, mut wait) = (false, None);
            if let Some(live) = &mut live {
                more |= self.advance(live, &mut state, &mut wait).await?;
                self.tell_progress(live);
            }
            if let Some(building) = &mut rebuild {
                let before = wait;
                more |= self.advance(building, &mut state, &mut wait).await?;
                self.tell.building(building.built().position);
                if !more && wait == before && has_caught_up(building, live.as_ref()) {
                    self.promote(&mut state, building).await?;
                    (live, rebuild) = (self.live(&state).await?, None);
                    continue;
                }
            }
            if wait.is_none() && self.health.succeeded(part) {
                tracing::info!(projection = self.plan.def.name, "the projection goes on again");
            }
            if more && wait.is_none() {
                continue;
            }
            let until = Instant::now() + wait.unwrap_or(LOOK);
            tokio::select! {
                changed = changes.changed(), if wait.is_none() => changed.map_err(|_| Halt::Failed(store_error(StoreError::Closed)))?,
                () = tokio::time::sleep_until(tenure.due().min(until)) => self.look(&state).await?,
                () = self.tell.0.kick.notified() => self.look(&state).await?,
                () = stop.said() => {}
            }
        }
    }

    /// Brings a view further. Whether there may be more.
    async fn advance(&self, view: &mut Run, state: &mut State, wait: &mut Option<Duration>) -> std::result::Result<bool, Halt> {
        match view.advance(state, self.policy.attempts).await {
            Ok(advance) => Ok(advance == Advance::More),
            // It is this event's own fault: the next attempt knows how many there were.
            Err(Halt::Failed(error)) if view.failed() > 0 => {
                if self.health.failed(&Self::part(&self.plan), error.chain()) {
                    tracing::error!(
                        projection = self.plan.def.name,
                        error = error.chain(),
                        "an event could not be taken; will be tried again"
                    );
                }
                let pause = self.policy.pause(view.failed());
                *wait = Some(wait.map_or(pause, |other| other.min(pause)));
                Ok(false)
            }
            Err(halt) => Err(halt),
        }
    }

    /// Whether the operator, or another process, has changed something meanwhile.
    async fn look(&self, state: &State) -> std::result::Result<(), Halt> {
        let now = State::read(&*self.environment.store, state.name).await?;
        if now.is(state) { Ok(()) } else { Err(Halt::Overtaken) }
    }

    /// Without a view of this definition, one is built.
    pub(super) async fn begin_if_needed(&self, state: &mut State) -> Result<()> {
        let definition = self.plan.definition();
        let is_ours = |built: &Option<Built>| built.as_ref().is_some_and(|built| built.definition == definition);
        if is_ours(&state.progress.live) || is_ours(&state.progress.rebuild) {
            return Ok(());
        }
        let mut next = state.clone();
        let abandoned = next.progress.rebuild.take();
        next.begin(definition, self.plan.def.version, self.environment.clock.now())?;
        let mut unit = Unit::new(self.environment.clock.now(), Cause::nobody());
        if let Some(Built { generation, .. }) = abandoned {
            self.drop_view(&mut unit, Generation::Built(generation));
        }
        make(&self.plan, &mut unit, &next)?;
        next.add_to(&mut unit)?;
        self.environment.store.commit(unit).await.map_err(store_error)?;
        next.committed();
        *state = next;
        Ok(())
    }

    async fn live(&self, state: &State) -> Result<Option<Run>> {
        match &state.progress.live {
            // One of another definition is read as it is, until the new one is there.
            Some(built) if built.definition == self.plan.definition() => {
                Run::new(&self.environment, &self.plan, built.clone(), true).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    pub(super) async fn rebuild(&self, state: &State) -> Result<Option<Run>> {
        match &state.progress.rebuild {
            Some(built) => Run::new(&self.environment, &self.plan, built.clone(), false).await.map(Some),
            None => Ok(None),
        }
    }

    /// The view that was built takes the place of the one that was read, in one commit.
    pub(super) async fn promote(&self, state: &mut State, built: &Run) -> std::result::Result<(), Halt> {
        let mut next = state.clone();
        let (old, new) = (next.progress.live.take(), next.progress.rebuild.take());
        next.progress.live = new;
        let mut unit = Unit::new(self.environment.clock.now(), Cause::nobody());
        let generation = Generation::Built(built.built().generation);
        let name = self.plan.def.name;
        if let Some(tables) = &self.plan.tables {
            unit.statements.extend(tables.promote(generation));
        }
        unit.collections.push(CollectionChange::Replace { collection: name.into(), with: generation.name(name).into_owned().into() });
        if let Some(old) = old {
            // What the old view could not take, the new one has taken or put aside itself.
            let by = subscriber(name, old.generation);
            unit.resolved = self.letters(&by).await?;
        }
        next.add_to(&mut unit)?;
        self.environment.store.commit(unit).await.map_err(fail)?;
        next.committed();
        *state = next;
        if built.built().position > 0 {
            tracing::info!(projection = name, position = built.built().position, "the view is built, and is the one that is read now");
        }
        Ok(())
    }

    async fn letters(&self, by: &str) -> Result<Vec<u64>> {
        let parked = self.environment.store.parked().await.map_err(store_error)?;
        let mut ids = Vec::new();
        for (subscriber, key) in parked.iter().filter(|(subscriber, _)| subscriber == by) {
            let letters = self.environment.store.dead_letters(Some((subscriber, key)), 0, usize::MAX).await.map_err(store_error)?;
            ids.extend(letters.into_iter().map(|letter| letter.id));
        }
        Ok(ids)
    }

    fn drop_view(&self, unit: &mut Unit, generation: Generation) {
        if let Some(tables) = &self.plan.tables {
            unit.statements.extend(tables.remove(generation));
        }
        unit.collections.push(CollectionChange::Clear { collection: generation.name(self.plan.def.name).into_owned().into() });
    }

    fn tell_progress(&self, live: &Run) {
        let labels = ProjectionLabels { projection: self.plan.def.name };
        let metrics = &self.environment.metrics;
        metrics.projection_position.get_or_create(&labels).set(i64::try_from(live.built().position).unwrap_or(i64::MAX));
        metrics.projection_parked.get_or_create(&labels).set(live.parked() as i64);
        let lag = live.behind().map_or(0.0, |at| self.environment.clock.now().duration_since(at).as_secs_f64().max(0.0));
        metrics.projection_lag.get_or_create(&labels).set(lag);
        self.tell.live(live.built().position);
    }
}

/// Makes the tables of the view that is begun.
pub(super) fn make(plan: &Plan, unit: &mut Unit, state: &State) -> Result<()> {
    if let (Some(tables), Some(Built { generation, .. })) = (&plan.tables, &state.progress.rebuild) {
        unit.statements.extend(tables.remove(Generation::Built(*generation)));
        unit.statements.extend(tables.make(Generation::Built(*generation))?);
    }
    Ok(())
}

/// Whether a new view may take the place of the old one: it knows all that the old one does.
fn has_caught_up(building: &Run, live: Option<&Run>) -> bool {
    live.is_none_or(|live| building.built().position >= live.built().position)
}

fn fail(error: StoreError) -> Halt {
    if super::state::is_overtaken(&error) { Halt::Overtaken } else { Halt::Failed(store_error(error)) }
}
