//! Read models: kept up to date from the events of the log, each with its own progress, and rebuilt beside themselves when that is asked for.
//!
//! A projection is a set of functions that take events (`definition`). What they make of them is collected (`work`) and committed together with how far
//! the projection has come (`state`, `run`), so that no event counts twice and none is missed. One process of a service goes on with each (`projector`);
//! the inline ones are part of the commit of their events (`inline`).

mod definition;
mod inline;
mod projector;
mod run;
mod shards;
mod state;
mod tables;
mod traced;
mod view;
mod work;

pub(crate) use definition::Plan;
pub use definition::{ProjectedEvent, Projection, ProjectionDef, ProjectionHandler, TakenEvent};
pub use state::{Built, Progress};
pub use view::View;
pub use work::Work;

use crate::{
    config::RetryPolicy,
    context::{Environment, store_error},
    error::{Error, ErrorKind, Result},
    health::Health,
    stop::Stop,
    store::{Cause, DeadLetter, Unit},
};
use futures_util::future::BoxFuture;
use projector::{Projector, make};
use run::{Advance, Halt, project};
use serde::Serialize;
use state::{State, is_overtaken};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tables::Generation;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

/// How often what an operator asks for is tried.
const ATTEMPTS: u32 = 100;
/// How often it is asked how far another process has brought a projection.
const ASK: Duration = Duration::from_millis(10);
const ASK_AT_LAST: Duration = Duration::from_millis(200);

/// The projections of one service. Cheap to clone.
#[derive(Clone)]
pub struct Projections(Arc<Shared>);

struct Shared {
    environment: Arc<Environment>,
    kept: Vec<Kept>,
    policy: RetryPolicy,
}

struct Kept {
    plan: Arc<Plan>,
    tell: Tell,
}

/// How far a projection has come, as this process knows it, and the word to look at it.
#[derive(Clone)]
struct Tell(Arc<Told>);

struct Told {
    live: watch::Sender<u64>,
    building: AtomicU64,
    kick: Notify,
}

impl Tell {
    fn new() -> Self {
        Tell(Arc::new(Told { live: watch::Sender::new(0), building: AtomicU64::new(0), kick: Notify::new() }))
    }

    fn live(&self, position: u64) {
        self.0.live.send_if_modified(|known| std::mem::replace(known, position) != position);
    }

    fn building(&self, position: u64) {
        self.0.building.store(position, Ordering::Relaxed);
    }
}

/// How a projection stands.
#[derive(Debug, Clone, Serialize)]
pub struct Standing {
    /// Its name.
    pub name: &'static str,
    /// Whether it is part of the commit of its events.
    pub inline: bool,
    /// The end of the log.
    pub head: u64,
    /// How far it has come, by view.
    #[serde(flatten)]
    pub progress: Progress,
    /// The streams of which nothing is taken until the operator decides.
    pub parked: usize,
}

impl Shared {
    fn find(&self, name: &str) -> Result<&Kept> {
        self.kept.iter().find(|kept| kept.plan.def.name == name).ok_or_else(|| {
            let known: Vec<_> = self.kept.iter().map(|kept| format!("`{}`", kept.plan.def.name)).collect();
            let known = if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
            Error::not_found(format!("the service has no projection `{name}`; {known}"))
        })
    }

    /// Waits until a projection has taken all up to this position of the log; false if that does not happen within this time.
    async fn wait_for(&self, name: &str, position: u64, patience: Duration) -> Result<bool> {
        let Kept { plan, tell } = self.find(name)?;
        let (began, mut pause, mut told) = (Instant::now(), ASK, tell.0.live.subscribe());
        while !plan.def.inline && *told.borrow_and_update() < position {
            let Some(left) = patience.checked_sub(began.elapsed()) else { return Ok(false) };
            tokio::select! {
                _ = told.changed() => {}
                // Another process may be the one that goes on with it.
                () = tokio::time::sleep(pause.min(left)) => {
                    pause = (pause * 2).min(ASK_AT_LAST);
                    let state = State::read(&*self.environment.store, plan.def.name).await?;
                    if state.progress.live.is_some_and(|live| live.position >= position) {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(true)
    }
}

impl Projections {
    pub(crate) fn new(environment: Arc<Environment>, plans: Vec<Plan>, policy: RetryPolicy) -> Self {
        let kept = plans.into_iter().map(|plan| Kept { plan: Arc::new(plan), tell: Tell::new() }).collect();
        Projections(Arc::new(Shared { environment, kept, policy }))
    }

    /// The names of all of them.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.kept.iter().map(|kept| kept.plan.def.name)
    }

    /// Makes what new projections need, before the service takes its first command: views of what has not happened yet are there at once, and inline ones
    /// are built.
    pub(crate) async fn prepare(&self) -> Result<()> {
        for Kept { plan, .. } in &self.0.kept {
            self.prepare_one(plan)
                .await
                .map_err(|error| error.context(format!("the projection `{}` at {}", plan.def.name, plan.def.place())))?;
        }
        Ok(())
    }

    async fn prepare_one(&self, plan: &Arc<Plan>) -> Result<()> {
        loop {
            let mut state = State::read(&*self.0.environment.store, plan.def.name).await?;
            if state.progress.live.as_ref().is_some_and(|live| live.definition == plan.definition()) {
                return Ok(());
            }
            let projector = self.projector(plan, Health::new(self.0.environment.clock.clone()));
            let is_new = state.progress.live.is_none() && self.happened(plan).await?.is_none();
            if !is_new && !plan.def.inline {
                return Ok(());
            }
            match projector.build_now(&mut state).await {
                Ok(()) => return Ok(()),
                // Another process builds it, too.
                Err(Halt::Overtaken) => {}
                Err(Halt::Failed(error)) => return Err(error),
            }
        }
    }

    /// The position of the first event that a projection would take.
    async fn happened(&self, plan: &Plan) -> Result<Option<u64>> {
        let page = self.0.environment.store.log(0, 1, Some(&plan.aggregates)).await.map_err(store_error)?;
        Ok(page.events.first().map(|event| event.position))
    }

    fn projector(&self, plan: &Arc<Plan>, health: Health) -> Projector {
        let tell = self.0.kept.iter().find(|kept| Arc::ptr_eq(&kept.plan, plan)).map_or_else(Tell::new, |kept| kept.tell.clone());
        Projector { environment: self.0.environment.clone(), plan: plan.clone(), health, policy: self.0.policy, tell }
    }

    /// What keeps each of those that are not inline, by the name of its part in [`Health`].
    pub(crate) fn loops(&self, health: &Health) -> Vec<(String, impl FnOnce(Stop) -> BoxFuture<'static, ()> + use<>)> {
        let asynchronous = self.0.kept.iter().filter(|kept| !kept.plan.def.inline);
        asynchronous
            .map(|kept| {
                let (part, projector) = (Projector::part(&kept.plan), self.projector(&kept.plan, health.clone()));
                health.expect(&part, false);
                let run = move |stop: Stop| -> BoxFuture<'static, ()> { Box::pin(projector.run(stop)) };
                (part, run)
            })
            .collect()
    }

    /// How all of them stand.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn list(&self) -> Result<Vec<Standing>> {
        let store = &self.0.environment.store;
        let head = store.log(0, 1, Some(&[])).await.map_err(store_error)?.read;
        let parked = store.parked().await.map_err(store_error)?;
        let mut all = Vec::new();
        for Kept { plan, tell } in &self.0.kept {
            let mut progress = State::read(&**store, plan.def.name).await?.progress;
            if let Some(rebuild) = &mut progress.rebuild {
                // What is taken and not yet committed counts for who watches.
                rebuild.position = rebuild.position.max(tell.0.building.load(Ordering::Relaxed));
            }
            let by = progress.live.as_ref().map(|live| run::subscriber(plan.def.name, live.generation));
            let parked = parked.iter().filter(|(subscriber, _)| Some(subscriber) == by.as_ref()).count();
            all.push(Standing { name: plan.def.name, inline: plan.def.inline, head, progress, parked });
        }
        Ok(all)
    }

    /// Begins to rebuild a projection from the first event. The view that is read stays as it is until the new one is there, and takes its place then.
    ///
    /// # Errors
    /// If there is none of this name, it is being rebuilt already, or it is inline: that one is rebuilt when its `version` is raised and the service starts.
    pub async fn rebuild(&self, name: &str) -> Result<()> {
        let Kept { plan, tell } = self.0.find(name)?;
        if plan.def.inline {
            let message = format!(
                "`{name}` is part of each commit, so it is rebuilt only while there are none: raise its `version`, and start the service again"
            );
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        while_it_goes_on(|| self.begin(plan, tell)).await
    }

    async fn begin(&self, plan: &Plan, tell: &Tell) -> Result<()> {
        let (name, mut state) = (plan.def.name, State::read(&*self.0.environment.store, plan.def.name).await?);
        if state.is_newer_than(plan.def.version) {
            let message = format!("a newer deployment of the service goes on with `{name}`: ask that one");
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        state.begin(plan.definition(), plan.def.version, self.0.environment.clock.now())?;
        let mut unit = Unit::new(self.0.environment.clock.now(), Cause::nobody());
        make(plan, &mut unit, &state)?;
        state.add_to(&mut unit)?;
        self.0.environment.store.commit(unit).await.map_err(store_error)?;
        tell.building(0);
        tell.0.kick.notify_one();
        Ok(())
    }

    /// Takes an event that was put aside, and with it the dead letter.
    pub(crate) async fn replay(&self, letter: &DeadLetter) -> Result<()> {
        while_it_goes_on(|| self.take_again(letter)).await
    }

    async fn take_again(&self, letter: &DeadLetter) -> Result<()> {
        let (kept, generation) = self.whose(&letter.letter.subscriber)?;
        let Kept { plan, tell } = kept;
        let store = &self.0.environment.store;
        let state = State::read(&**store, plan.def.name).await?;
        let view = match &state.progress {
            Progress { live: Some(live), .. } if live.generation == generation => Generation::Live,
            Progress { rebuild: Some(rebuild), .. } if rebuild.generation == generation => Generation::Built(generation),
            _ => return Err(Error::not_found(format!("this view of `{}` is not there any more: discard the dead letter", plan.def.name))),
        };
        let envelope = crate::message::Envelope::of_parts(
            &letter.letter.headers,
            letter.letter.topic.clone(),
            None,
            letter.letter.content.clone().into(),
        )?;
        let stream = run::stream_of(&letter.letter.key);
        let (Some(stream), Some(version)) = (stream, envelope.version) else {
            return Err(Error::internal("this dead letter does not say which event it is"));
        };
        let events = store.stream(stream, version.saturating_sub(1)).await.map_err(store_error)?;
        let event = events.first().filter(|event| event.version == version);
        let event = event.ok_or_else(|| Error::not_found("the event of this dead letter is not in the log"))?;
        let work = Work::new(store.clone(), plan.clone(), view, false);
        project(&self.0.environment, plan, &work, event).await?;
        let mut unit = Unit::new(self.0.environment.clock.now(), Cause::nobody());
        work.add_to(&mut unit)?;
        unit.resolved.push(letter.id);
        // Whoever goes on with it has to read again what this writes.
        state.add_to(&mut unit)?;
        store.commit(unit).await.map_err(store_error)?;
        tell.0.kick.notify_one();
        Ok(())
    }

    /// Whether dead letters of this subscriber are those of a projection.
    pub(crate) fn is_theirs(subscriber: &str) -> bool {
        subscriber.starts_with("projection ")
    }

    fn whose(&self, subscriber: &str) -> Result<(&Kept, u64)> {
        let parts = subscriber.strip_prefix("projection ").and_then(|rest| rest.split_once(" #"));
        let (name, generation) = parts.ok_or_else(|| Error::not_found(format!("there is no projection `{subscriber}`")))?;
        Ok((self.0.find(name)?, generation.parse().unwrap_or_default()))
    }
}

/// Does what an operator asks for, again if the projection has gone on meanwhile: its progress moves with each of its commits.
async fn while_it_goes_on<F: Future<Output = Result<()>>>(attempt: impl Fn() -> F) -> Result<()> {
    for _ in 1..ATTEMPTS {
        match attempt().await {
            Err(error) if error.downcast_ref().is_some_and(is_overtaken) => tokio::time::sleep(ASK.mul_f64(fastrand::f64())).await,
            result => return result,
        }
    }
    attempt().await
}

/// Reads the event that a function of a projection takes.
#[doc(hidden)]
pub fn projected<E: TakenEvent>(event: &ProjectedEvent<'_>) -> Result<E> {
    E::take(event)
}

impl Projector {
    /// Builds a view to the end of the log, and lets it be read, before anything else happens.
    async fn build_now(&self, state: &mut State) -> std::result::Result<(), Halt> {
        self.begin_if_needed(state).await?;
        let Some(mut building) = self.rebuild(state).await? else { return Ok(()) };
        while building.advance(state, self.policy.attempts).await? == Advance::More {}
        self.promote(state, &building).await
    }
}
