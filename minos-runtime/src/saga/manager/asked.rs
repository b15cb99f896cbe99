//! Who keeps something for a step asks how its execution ends.
//!
//! An execution that has not ended tells that by itself, again and again: being asked it only does so earlier, or once more where it has given up. One that has
//! ended says what it has come to. Of one that is not there nothing is said: it may have ended and been removed, or the store may have been lost, and
//! what others have applied long ago must not be dropped here on a guess.

use super::{
    Manager,
    turn::{end_message, nobody},
};
use crate::{
    context::store_error,
    error::Result,
    message::{Direction, Envelope, StepCall},
    metrics::AlarmLabels,
    saga::{Call, Execution, Input, Plan},
    store::{SagaRow, Unit},
};

impl Manager {
    /// Takes a question. When this ends well it is not needed any more.
    ///
    /// # Errors
    /// If the store does not take the answer.
    pub async fn asked(&self, question: &Envelope) -> Result<()> {
        let Some(step) = question.step() else { return Ok(()) };
        let environment = &self.0.environment;
        match environment.store.saga(step.execution).await.map_err(store_error)? {
            None => self.tell_unknown(step),
            Some(row) if row.ended => self.tell_end(&row, step, &question.name).await?,
            Some(_) => {
                self.0.turn(step.execution, |_, _| Ok(Input::Asked { step: step.step.clone() })).await?;
            }
        }
        Ok(())
    }

    /// Says how an execution has ended. Its definition may have changed since, so the answer goes by what was stored, to the handler that has asked.
    async fn tell_end(&self, row: &SagaRow, step: &StepCall, name: &str) -> Result<()> {
        let (execution, environment) = (serde_json::from_str::<Execution>(&row.state)?, &self.0.environment);
        let commit = execution.applied(&step.step);
        let (direction, attempt) = commit.map_or((step.direction, step.attempt), |attempt| (Direction::Commit, attempt));
        let call = Call { step: step.step.clone(), direction, attempt };
        let mut unit = Unit::new(environment.clock.now(), nobody());
        unit.messages.push(end_message(row, &call, commit.is_none(), name, None, unit.at)?);
        environment.commit(unit).await.map_err(store_error)?;
        tracing::info!(saga = row.saga, execution = %row.id, step = step.step, status = row.status, "a step has asked how its saga has ended, and is told");
        Ok(())
    }

    fn tell_unknown(&self, StepCall { saga, execution, step, .. }: &StepCall) {
        tracing::error!(
            saga, %execution, step,
            "a step asks how an execution has ended that is not there: it was removed, or the store was restored without it. What the step keeps stays as it is \
             until an operator says what becomes of it, at the service that has done it"
        );
        // Only names that this service has: others could be without end.
        let plan = self.0.plans.get(saga.as_str());
        let step = plan.and_then(|plan| plan.step(step)).map_or("", |step| step.name);
        let labels = AlarmLabels { saga: plan.map_or("", Plan::name).to_owned(), step: step.to_owned(), why: "unknown" };
        self.0.environment.metrics.saga_alarms.get_or_create(&labels).inc();
    }
}
