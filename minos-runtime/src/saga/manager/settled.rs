//! Whether anything goes on, for tests that wait until nothing does.

use super::{Manager, turn::local_calls};
use crate::{
    context::store_error,
    error::Result,
    saga::{Execution, Status},
    store::{SagaFilter, SagaRow},
};
use jiff::Timestamp;

/// How many executions are looked at.
const MOST: usize = 10_000;

impl Manager {
    /// Has it looked at once what is due.
    pub(crate) fn ring(&self) {
        self.0.alarm.ring.notify_one();
    }

    /// The first time after this one at which an execution is to be looked at.
    pub(crate) async fn due_after(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        let wakes = self.0.environment.store.saga_wakes(MOST).await.map_err(store_error)?;
        Ok(wakes.into_iter().map(|(at, _)| at).find(|at| *at > now))
    }

    /// The first execution that goes on without anybody else, in words: something of it is due, or is done here.
    pub(crate) async fn under_way(&self) -> Result<Option<String>> {
        let now = self.0.environment.clock.now();
        for row in self.live().await? {
            if row.wake.is_some_and(|wake| wake <= now) {
                return Ok(Some(format!("something of the saga `{}` ({}) is due", row.saga, row.id)));
            }
            let execution: Execution = serde_json::from_str(&row.state)?;
            if let Some(call) = local_calls(self.0.plan(&row.saga)?, &execution).next() {
                return Ok(Some(format!("step `{}` of the saga `{}` ({}) still runs", call.step, row.saga, row.id)));
            }
        }
        Ok(None)
    }

    /// The executions that wait for an operator, each with why.
    pub(crate) async fn stuck(&self) -> Result<Vec<(SagaRow, String)>> {
        let mut stuck = Vec::new();
        for row in self.live().await?.into_iter().filter(|row| row.status == Status::NeedsOperator.name()) {
            let execution: Execution = serde_json::from_str(&row.state)?;
            let why = execution.steps.iter().filter_map(|(name, step)| match (step.status, &step.error) {
                (crate::saga::StepStatus::Stuck(direction), error) => {
                    Some(format!("`{name}` ({direction}): {}", error.as_ref().map_or("", |error| error.message.as_str())))
                }
                _ => None,
            });
            let why = why.collect::<Vec<_>>().join("; ");
            stuck.push((row, why));
        }
        Ok(stuck)
    }

    async fn live(&self) -> Result<Vec<SagaRow>> {
        let rows = self.0.environment.store.sagas(SagaFilter::default(), None, MOST).await.map_err(store_error)?;
        Ok(rows.into_iter().filter(|row| !row.ended).collect())
    }
}
