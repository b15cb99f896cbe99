//! The manager: executes sagas. Whatever happens to an execution is one turn: it is loaded, the transition function says what it becomes, and all of that
//! is committed in one unit of work. The row's version lets one of several at once win; the others look again.

mod age;
mod asked;
#[cfg(test)]
mod kit;
mod local;
mod measured;
mod operate;
#[cfg(any(test, feature = "testing"))]
mod settled;
mod start;
mod timers;
mod traced;
mod turn;
mod wait;

pub use operate::SagaRepaired;
pub use start::{Run, Start};
#[cfg(any(test, feature = "testing"))]
pub(crate) use turn::apply_or_release;
pub use wait::Unfinished;

use super::{Call, Input, Outcome, Plan};
use crate::{
    context::{Coordinator, Environment, NewExecution, store_error},
    error::{Error, Result},
    failpoint,
    health::Health,
    message::{Envelope, saga_topic},
    stop::Stopper,
    store::{Cause, Unit},
};
use futures_util::future::BoxFuture;
use local::Runs;
use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};
use timers::Alarm;
use tokio::sync::Semaphore;
use turn::Loaded;
use uuid::Uuid;
use wait::Waiters;

/// Executes the sagas of one service. Cheap to clone.
#[derive(Clone)]
pub struct Manager(Arc<State>);

struct State {
    /// Itself, for what runs on in the background.
    this: Weak<State>,
    environment: Arc<Environment>,
    plans: BTreeMap<&'static str, Plan>,
    /// Where answers are awaited.
    topic: String,
    waiters: Waiters,
    runs: Runs,
    /// How many local steps run at once.
    permits: Arc<Semaphore>,
    alarm: Alarm,
    /// How long an execution may take before that is told.
    alarm_after: Duration,
    stopping: Stopper,
}

impl Manager {
    /// The name of this part in [`Health`].
    pub const PART: &'static str = "sagas";

    /// A manager of these sagas, of whose local steps so many run at once. One that has not ended after `alarm_after` is told.
    ///
    /// # Errors
    /// If executions have not ended that began under a definition that is not among these: it names them all. Or if the store does not answer.
    pub async fn new(
        environment: Arc<Environment>,
        plans: Vec<Plan>,
        concurrency: usize,
        alarm_after: Duration,
        health: &Health,
    ) -> Result<Self> {
        let plans: BTreeMap<_, _> = plans.into_iter().map(|plan| (plan.name(), plan)).collect();
        let mut wrong = Vec::new();
        for live in environment.store.live_definitions().await.map_err(store_error)? {
            let known = plans.get(live.saga.as_str()).map(Plan::hash);
            if known != Some(live.definition.as_str()) {
                let now = known.map_or_else(|| "is not there any more".to_owned(), |hash| format!("is {hash} now"));
                let how_many =
                    if live.executions == 1 { "1 execution has".to_owned() } else { format!("{} executions have", live.executions) };
                wrong.push(format!("{how_many} begun under the definition {} of the saga `{}`, which {now}", live.definition, live.saga));
            }
        }
        if !wrong.is_empty() {
            let message = format!(
                "{}: put the old definition back until its executions have ended, and give the new one a new name",
                wrong.join("; ")
            );
            return Err(Error::internal(message));
        }
        if !plans.is_empty() {
            timers::expect(health);
        }
        let state = Arc::new_cyclic(|this| State {
            this: this.clone(),
            topic: saga_topic(&environment.service),
            environment: environment.clone(),
            plans,
            waiters: Waiters::default(),
            runs: Runs::default(),
            permits: Arc::new(Semaphore::new(concurrency)),
            alarm: Alarm::default(),
            alarm_after,
            stopping: Stopper::new(),
        });
        let coordinator: Weak<dyn Coordinator> = Arc::downgrade(&(state.clone() as Arc<dyn Coordinator>));
        environment.set_coordinator(coordinator);
        Ok(Manager(state))
    }

    /// Whether it has any sagas.
    pub fn is_empty(&self) -> bool {
        self.0.plans.is_empty()
    }

    /// Its sagas.
    pub fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.0.plans.values()
    }

    /// The topic of the answers to its steps.
    pub fn topic(&self) -> &str {
        &self.0.topic
    }

    /// Begins no local step any more, and waits for those that run.
    pub async fn stop(&self) {
        self.0.stopping.say();
        self.0.runs.idle().await;
    }

    /// Takes the answer to a step. When this ends well the answer is not needed any more.
    ///
    /// # Errors
    /// If the store does not take what follows from it.
    pub async fn answered(&self, reply: Envelope) -> Result<()> {
        let Some(step) = &reply.saga else { return Ok(()) };
        let (id, not_done, holds) = (step.execution, step.not_done, step.holds);
        let call = Call { step: step.step.clone(), direction: step.direction, attempt: step.attempt };
        let input = |_: &mut Loaded<'_>, _: &mut Unit| {
            let result = match not_done {
                true => Ok(Outcome::NotDone),
                false => reply.clone().outcome().map(|content| Outcome::Answer(content.into())),
            };
            Ok(Input::Ended { call: call.clone(), result, holds })
        };
        failpoint::pass(failpoint::SAGA_ANSWER, format_args!("{call}"));
        if self.0.turn(id, input).await?.is_none() {
            tracing::debug!(execution = %id, step = call.step, "an answer to an execution that is not there was dropped");
        }
        Ok(())
    }
}

impl Coordinator for State {
    fn begin(&self, unit: &mut Unit, new: NewExecution) -> Result<()> {
        self.put_new(unit, new).map(|_| ())
    }

    fn began(&self, executions: Vec<Uuid>) {
        let Some(this) = self.this.upgrade() else { return };
        tokio::spawn(async move {
            for id in executions {
                this.take_up(id).await;
            }
        });
    }

    fn run(&self, cause: Cause, new: NewExecution, patience: Duration) -> BoxFuture<'_, Result<serde_json::Value>> {
        Box::pin(self.run_to_end(cause, new, patience))
    }
}
