//! What has to hold in every world, and of everything that an execution says is to be done.

use super::world::{Cause, Checked, MOMENT, World};
use crate::{
    error::tells_a_panic,
    saga::{Call, Decision, Direction, Execution, Input, Repair, Status, Step, StepKind, StepStatus, Work, transition},
};

impl World {
    /// Whether an effect may come now.
    pub(super) fn check_effect(&self, step: &Step, call: &Call, run: bool, before: &Execution, repeats: bool) -> Checked<()> {
        let attempts = before.steps.get(&call.step).map(|state| state.attempts).unwrap_or_default();
        let expected = attempts.of(call.direction) + u32::from(!repeats || before.version == 0);
        if call.attempt != expected {
            return Err(format!("{call:?} where attempt {expected} would be next"));
        }
        if run != matches!(step.work, Work::Local { .. }) {
            return Err(format!("{call:?} is not what this step does"));
        }
        if !self.is_on_the_way(step.name) {
            return Err(format!("{call:?} is not on the way that is taken"));
        }
        let pivoted = self.script.plan.steps().iter().any(|step| step.kind != StepKind::Compensable && self.counts_as_done(step.name));
        let forward =
            |state: StepStatus| matches!(state, StepStatus::UnderWay(Direction::Execute) | StepStatus::Pausing(Direction::Execute));
        let forward = self.execution.steps.values().any(|state| forward(state.status));
        match call.direction {
            Direction::Execute if self.execution.failure.is_some() && !repeats => {
                return Err(format!("`{}` is begun though the saga has failed", step.name));
            }
            Direction::Execute => {
                let mut earlier = self.script.earlier(step.name).filter(|name| self.is_on_the_way(name));
                if let Some(early) = earlier.find(|name| !self.counts_as_done(name)) {
                    return Err(format!("`{}` is begun before `{early}` is done", step.name));
                }
            }
            Direction::Commit => {
                if !self.execution.decided || self.execution.failure.is_some() {
                    return Err(format!("`{}` is applied though that is not decided", step.name));
                }
                let is_open = |name: &&str| {
                    self.step(name).is_some_and(|step| matches!(step.work, Work::Remote { .. }))
                        && self.execution.steps.get(*name).is_none_or(|state| is_to_be_applied(state.status))
                };
                let mut earlier = self.script.earlier(step.name).filter(|name| self.is_on_the_way(name));
                if let Some(early) = earlier.find(is_open) {
                    return Err(format!("`{}` is applied before `{early}` is", step.name));
                }
            }
            Direction::Abort => {
                if self.execution.decided || self.execution.failure.is_none() || forward {
                    return Err(format!("`{}` is dropped though that is not decided", step.name));
                }
            }
            Direction::Cancel | Direction::Undo if self.script.plan.is_isolated() => {
                return Err(format!("`{}` goes back where nothing has happened", step.name));
            }
            Direction::Cancel | Direction::Undo if forward && self.execution.failure.is_some() => {
                return Err(format!("`{}` goes back while another step goes forward", step.name));
            }
            Direction::Cancel | Direction::Undo if pivoted => {
                return Err(format!("`{}` goes back past the point of no return", step.name));
            }
            Direction::Cancel => {
                if !self.execution.steps.get(&call.step).is_some_and(|state| state.in_doubt) {
                    return Err(format!("`{}` is cancelled though it is known what has happened", step.name));
                }
            }
            Direction::Undo => self.check_undo(step)?,
        }
        Ok(())
    }

    fn check_undo(&self, step: &Step) -> Checked<()> {
        let name = step.name;
        if step.kind != StepKind::Compensable || step.undo().is_none() {
            return Err(format!("`{name}` is undone, which never is"));
        }
        if step.output.is_some_and(|output| self.execution.values.get(output.name).is_none()) {
            return Err(format!("`{name}` is undone without what it has yielded"));
        }
        for late in self.script.later(name).filter(|late| self.is_on_the_way(late)) {
            let row = self.row(late);
            if self.step(late).is_some_and(|step| step.undo().is_some()) && row.happened > row.undone {
                return Err(format!("`{name}` is undone before the later `{late}` is"));
            }
            if self.requests.iter().any(|call| call.step == late && self.may_still_happen(call)) {
                return Err(format!("`{name}` is undone while the later `{late}` may still happen"));
            }
        }
        Ok(())
    }

    /// The functions of the saga itself: none may panic, and messages can be made whenever they are wanted.
    pub(super) fn check_callbacks(&self, before: &Execution, cause: &Cause) -> Checked<()> {
        for (name, state) in &self.execution.steps {
            let Some(error) = &state.error else { continue };
            if before.steps.get(name).and_then(|state| state.error.as_ref()).is_some_and(|known| known.message == error.message) {
                continue;
            }
            if tells_a_panic(&error.message) {
                return Err(error.message.clone());
            }
            let outside = match cause {
                Cause::Ended(step) => step == name,
                Cause::Due => true,
                Cause::Other => false,
            };
            if !outside {
                let why = error.causes.as_ref().unwrap_or(&error.message);
                return Err(format!("the message of step `{name}` cannot be made: {why}"));
            }
        }
        let failed = self.execution.failure.iter().filter(|_| before.failure.is_none());
        let stuck = self.execution.decisions.values().filter_map(|decision| match decision {
            Decision::Stuck(failure) => Some(failure),
            Decision::Then | Decision::Otherwise => None,
        });
        failed.chain(stuck).find(|failure| tells_a_panic(&failure.message)).map_or(Ok(()), |failure| Err(failure.message.clone()))
    }

    /// What must always be so.
    pub(super) fn check(&self) -> Checked<()> {
        if let Some((name, row)) = self.rows.iter().find(|(_, row)| row.happened > 1 || row.undone > row.happened) {
            return Err(format!("`{name}` has happened {} and was undone {}", times(row.happened), times(row.undone)));
        }
        if self.script.plan.is_isolated() {
            self.check_isolated()?;
        }
        let stuck = self.execution.stuck().next().is_some();
        if stuck != (self.execution.status == Status::NeedsOperator) {
            return Err(format!("it is {} though it is stuck: {stuck}", self.execution.status));
        }
        match self.execution.status {
            Status::Committed => self.check_ended().and_then(|()| self.check_committed()).and_then(|()| self.check_released()),
            Status::RolledBack => self.check_ended().and_then(|()| self.check_rolled_back()).and_then(|()| self.check_released()),
            Status::Running | Status::Committing | Status::Compensating | Status::NeedsOperator => self.check_alive(),
        }
    }

    /// What was done elsewhere is released when the execution has ended, and nothing else.
    fn check_released(&self) -> Checked<()> {
        for step in self.script.plan.steps().iter().filter(|step| matches!(step.work, Work::Remote { .. })) {
            let row = self.row(step.name);
            // What was done by hand may have been done by the other side, too.
            let undecided = row.applied == 0 && !row.dropped;
            for (direction, holds) in [(Direction::Execute, row.happened > 0 && undecided), (Direction::Undo, row.undone > 0)] {
                let released = self.released.contains(&(step.name, direction));
                if direction == Direction::Execute
                    && row.happened > 0
                    && self.execution.applied(step.name).is_some() != (row.applied > 0 && !row.by_hand)
                {
                    return Err(format!("the saga has ended, and who asks is told otherwise than `{}` was", step.name));
                }
                if holds != released && !(released && row.by_hand) {
                    let told = if released { "is told to release what it does not hold" } else { "holds what is never released" };
                    return Err(format!("the saga has ended, and `{}` ({direction}) {told}", step.name));
                }
            }
        }
        Ok(())
    }

    /// Nothing of it is seen before it is decided; then all of it, or nothing.
    fn check_isolated(&self) -> Checked<()> {
        for step in self.script.plan.steps().iter().filter(|step| matches!(step.work, Work::Remote { .. })) {
            let row = self.row(step.name);
            let wrong = match self.execution.status {
                _ if !self.execution.decided && row.applied > 0 => "is seen before it is decided",
                _ if row.applied > 0 && row.dropped => "was applied, and dropped",
                Status::Committed if row.happened > 0 && row.applied == 0 => "is not applied at the end",
                Status::RolledBack if row.applied > 0 => "is applied though the saga has failed",
                Status::RolledBack if row.happened > 0 && !row.dropped => "is neither applied nor dropped at the end",
                _ => continue,
            };
            return Err(format!("`{}` {wrong}", step.name));
        }
        Ok(())
    }

    /// Nothing happens any more, whatever comes or is wanted.
    fn check_ended(&self) -> Checked<()> {
        let retries = self.execution.steps.keys().map(|step| Repair::Retry { step: step.clone() });
        let repairs = retries.chain([Repair::Rollback]).map(Input::Repair);
        let asked = self.execution.steps.keys().map(|step| Input::Asked { step: step.clone() });
        for input in repairs.chain(asked).chain([Input::Started, Input::Due, Input::Resumed]) {
            let (mut execution, what) = (self.execution.clone(), format!("{input:?}"));
            let refuses = matches!(input, Input::Repair(_));
            let effects = transition(&self.script.plan, &mut execution, input, MOMENT);
            if refuses != effects.is_err() || effects.is_ok_and(|effects| !effects.is_empty()) || execution != self.execution {
                return Err(format!("the saga has ended, and `{what}` makes a difference"));
            }
        }
        Ok(())
    }

    fn check_committed(&self) -> Checked<()> {
        for step in self.script.plan.steps().iter().filter(|step| self.is_on_the_way(step.name)) {
            let (name, row) = (step.name, self.row(step.name));
            let replaced = self.execution.steps.get(name).is_some_and(|state| state.status == StepStatus::Replaced);
            if !self.counts_as_done(name) || (row.happened == 0) != replaced {
                return Err(format!("the saga has committed, and `{name}` has happened {}", times(row.happened)));
            }
            if row.undone > 0 {
                return Err(format!("the saga has committed, and `{name}` was undone"));
            }
        }
        Ok(())
    }

    fn check_rolled_back(&self) -> Checked<()> {
        for step in self.script.plan.steps() {
            let (name, row) = (step.name, self.row(step.name));
            let left = step.kind == StepKind::Compensable && step.undo().is_none();
            if !left && row.happened != row.undone {
                return Err(format!(
                    "the saga is rolled back, and `{name}` has happened {} and was undone {}",
                    times(row.happened),
                    times(row.undone)
                ));
            }
        }
        match self.requests.iter().find(|call| self.may_still_happen(call)) {
            Some(call) => Err(format!("the saga is rolled back, and `{}` may still happen", call.step)),
            None => Ok(()),
        }
    }

    /// What has not ended either waits for something that will come, or for the operator.
    fn check_alive(&self) -> Checked<()> {
        let due = self.execution.due().is_some();
        let mut under_way = self.execution.under_way(&self.script.plan);
        if due || under_way.any(|(_, call)| self.running.contains(&call)) || self.execution.status == Status::NeedsOperator {
            return Ok(());
        }
        Err(format!("the saga is {}, and waits for nothing", self.execution.status))
    }

    pub(super) fn is_on_the_way(&self, step: &str) -> bool {
        self.script.is_on_the_way(step, &self.execution)
    }

    pub(super) fn counts_as_done(&self, step: &str) -> bool {
        let done = |status| matches!(status, StepStatus::Succeeded | StepStatus::Replaced | StepStatus::Applied);
        self.execution.steps.get(step).is_some_and(|state| done(state.status))
    }

    fn may_still_happen(&self, call: &Call) -> bool {
        let row = self.row(&call.step);
        call.direction == Direction::Execute && row.happened == 0 && !row.cancelled && call.attempt > row.refused_to
    }
}

/// Whether what a step has prepared is not applied yet.
fn is_to_be_applied(status: StepStatus) -> bool {
    status == StepStatus::Succeeded || status.doing().is_some()
}

fn times(n: u32) -> String {
    match n {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        n => format!("{n} times"),
    }
}
