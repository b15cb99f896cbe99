//! What an operator can do.

use super::{Outcome, Repair, TransitionError, Turn, attempt::read};
use crate::{
    error::Error,
    saga::{Decision, Direction, Step, StepKind, StepStatus, Work},
};
use serde_json::Value;

impl Turn<'_> {
    pub(super) fn repair(&mut self, repair: Repair) -> Result<(), TransitionError> {
        match repair {
            Repair::Retry { step } => self.retry_now(&step)?,
            Repair::Skip { step, value } => self.skip(&step, value)?,
            Repair::Rollback => self.roll_back()?,
        }
        self.changed = true;
        Ok(())
    }

    fn retry_now(&mut self, name: &str) -> Result<(), TransitionError> {
        if let Some(Decision::Stuck(_)) = self.execution.decisions.get(name) {
            self.execution.decisions.remove(name);
            return Ok(());
        }
        let (step, status) = self.known(name)?;
        let (StepStatus::Stuck(direction) | StepStatus::Pausing(direction)) = status else {
            return Err(self.refused(format_args!("step `{name}` is not stuck and does not pause, so it cannot be retried")));
        };
        let attempts = self.retry(step, direction).attempts.max(1);
        if let Some(state) = self.execution.steps.get_mut(name) {
            state.limit = state.attempts.of(direction).saturating_add(attempts);
        }
        self.start(step, direction);
        Ok(())
    }

    fn skip(&mut self, name: &str, value: Option<Value>) -> Result<(), TransitionError> {
        if let Some(Decision::Stuck(_)) = self.execution.decisions.get(name) {
            let decision = match value {
                Some(Value::Bool(true)) => Decision::Then,
                Some(Value::Bool(false)) => Decision::Otherwise,
                _ => return Err(self.refused(format_args!("a decision is `true` or `false`: say one of them for `{name}`"))),
            };
            self.execution.decisions.insert(name.to_owned(), decision);
            return Ok(());
        }
        let (step, status) = self.known(name)?;
        let StepStatus::Stuck(direction) = status else {
            return Err(self.refused(format_args!("step `{name}` is not stuck, so it cannot be skipped")));
        };
        match (direction, value) {
            (Direction::Undo | Direction::Abort, _) => self.put(name, StepStatus::Undone, None),
            (Direction::Commit, _) => self.put(name, StepStatus::Applied, None),
            (_, Some(value)) => {
                let value = read(step, &Outcome::Value(value)).map_err(|error| self.refused(error))?;
                self.done(step, StepStatus::Succeeded, value);
            }
            (Direction::Execute, None) if step.kind == StepKind::Retriable => {
                return Err(self.refused(format_args!("step `{name}` has to happen: give the value that it yields, or `null`")));
            }
            (Direction::Execute | Direction::Cancel, None) => self.not_done(step),
        }
        // The other side may have done it all the same, or may still be asked to.
        if matches!(step.work, Work::Remote { .. }) {
            self.holds(name, direction);
        }
        Ok(())
    }

    fn roll_back(&mut self) -> Result<(), TransitionError> {
        if self.failing() {
            return Err(self.refused("it is being undone already"));
        }
        if self.only_forward() {
            return Err(self.refused("it is past its point of no return, and can only go forward"));
        }
        self.execution.failure = Some(self.failure(None, &Error::rejected("an operator had it rolled back")));
        for step in self.plan.steps() {
            // Only a pivot can be stuck before the point of no return. Whether it has happened is asked once more.
            if let Some(StepStatus::Stuck(Direction::Execute | Direction::Cancel)) = self.state(step.name).map(|state| state.status) {
                self.put(step.name, StepStatus::Failed, None);
            }
        }
        Ok(())
    }

    fn known(&self, name: &str) -> Result<(&'static Step, StepStatus), TransitionError> {
        let step = self.plan.step(name).ok_or_else(|| self.refused(format_args!("it has no step `{name}`")))?;
        let state = self.state(name).ok_or_else(|| self.refused(format_args!("step `{name}` was not begun")))?;
        Ok((step, state.status))
    }
}
