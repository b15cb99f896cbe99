//! The whole saga: forward through its steps, and back.

use super::{Effect, Turn};
use crate::{
    error::{Error, Result},
    saga::{Decision, Direction, Node, Status, StepKind, StepStatus, Values, Work, plan::decision_key},
};
use std::panic::{AssertUnwindSafe, catch_unwind};

impl Turn<'_> {
    /// Begins whatever can begin now, and says how the execution stands.
    pub(super) fn proceed(&mut self) {
        let nodes = self.plan.def.nodes;
        let mut ended = None;
        if (self.execution.decided || (!self.failing() && self.forward(nodes))) && self.applied(nodes) {
            ended = Some(Status::Committed);
        }
        // Going forward may have failed at once.
        if self.failing() && self.halted() && self.backward(nodes) {
            ended = Some(Status::RolledBack);
        }
        self.execution.status = match ended {
            Some(status) => {
                self.release();
                self.effects.push(Effect::Finished);
                status
            }
            None if self.execution.stuck().next().is_some() => Status::NeedsOperator,
            None if self.execution.decided => Status::Committing,
            None if self.failing() => Status::Compensating,
            None => Status::Running,
        };
    }

    /// All is done. What was prepared is applied, in the order in which it was: that is decided from now on. Whether it is.
    fn applied(&mut self, nodes: &'static [Node]) -> bool {
        if self.plan.is_isolated() {
            self.execution.decided = true;
            return self.apply(nodes);
        }
        true
    }

    fn apply(&mut self, nodes: &'static [Node]) -> bool {
        nodes.iter().all(|node| match node {
            Node::Step(step) => match (self.state(step.name).map(|state| state.status), &step.work) {
                (Some(StepStatus::Succeeded), Work::Remote { .. }) => {
                    self.start(step, Direction::Commit);
                    false
                }
                // It is applied together with the decision.
                (Some(StepStatus::Succeeded), Work::Local { .. }) => {
                    self.put(step.name, StepStatus::Applied, None);
                    true
                }
                (Some(status), _) => status.doing().is_none(),
                (None, _) => true,
            },
            Node::When { then, otherwise, .. } => match self.decision(then) {
                Some(Decision::Then) => self.apply(then),
                Some(Decision::Otherwise) => self.apply(otherwise),
                Some(Decision::Stuck(_)) | None => true,
            },
            Node::Parallel(branches) => branches.iter().filter(|branch| !self.apply(branch)).count() == 0,
        })
    }

    fn decision(&self, then: &[Node]) -> Option<&Decision> {
        decision_key(then).and_then(|key| self.execution.decisions.get(&key))
    }

    /// Goes through what is done and begins what comes next. Whether everything is done.
    fn forward(&mut self, nodes: &'static [Node]) -> bool {
        nodes.iter().all(|node| match node {
            Node::Step(step) => match self.state(step.name).map(|state| state.status) {
                Some(status) => matches!(status, StepStatus::Succeeded | StepStatus::Replaced),
                None => {
                    if !self.failing() {
                        self.start(step, Direction::Execute);
                    }
                    false
                }
            },
            Node::When { condition, then, otherwise } => match self.decide(*condition, then) {
                Some(true) => self.forward(then),
                Some(false) => self.forward(otherwise),
                None => false,
            },
            // Counted, not asked for the first one: every branch goes as far as it can.
            Node::Parallel(branches) => branches.iter().filter(|branch| !self.forward(branch)).count() == 0,
        })
    }

    fn decide(&mut self, condition: fn(&Values) -> Result<bool>, then: &'static [Node]) -> Option<bool> {
        let key = decision_key(then)?;
        match self.execution.decisions.get(&key) {
            Some(Decision::Then) => return Some(true),
            Some(Decision::Otherwise) => return Some(false),
            Some(Decision::Stuck(_)) => return None,
            None if self.failing() => return None,
            None => {}
        }
        let what = || format!("the condition of the `when` before step `{key}`");
        let decided = catch_unwind(AssertUnwindSafe(|| condition(&self.execution.values)))
            .unwrap_or_else(|panic| Err(Error::panicked(what(), &*panic)));
        let decision = match decided {
            Ok(true) => Decision::Then,
            Ok(false) => Decision::Otherwise,
            Err(error) => {
                let failure = self.failure(Some(&key), &error.context(what()));
                if !self.only_forward() {
                    self.execution.failure = Some(failure);
                    return None;
                }
                self.effects.push(Effect::Alarm { step: key.clone() });
                Decision::Stuck(failure)
            }
        };
        let then = match decision {
            Decision::Then => Some(true),
            Decision::Otherwise => Some(false),
            Decision::Stuck(_) => None,
        };
        self.execution.decisions.insert(key, decision);
        then
    }

    /// Whether the point of no return is behind: the pivot has happened, or a step was begun that cannot be undone.
    pub(super) fn only_forward(&self) -> bool {
        let passed = self.plan.steps().iter().any(|step| match (step.kind, self.state(step.name)) {
            (_, None) | (StepKind::Compensable, _) => false,
            (StepKind::Pivot, Some(state)) => matches!(state.status, StepStatus::Succeeded | StepStatus::Replaced),
            (StepKind::Retriable, Some(_)) => true,
        });
        passed || self.execution.decided
    }

    /// Gives up what would be tried again. Whether nothing goes forward any more: only then is it known what there is to undo.
    fn halted(&mut self) -> bool {
        let mut halted = true;
        for step in self.plan.steps() {
            match self.state(step.name).map(|state| state.status) {
                Some(StepStatus::Pausing(Direction::Execute)) => self.put(step.name, StepStatus::Failed, None),
                Some(status) => halted &= status.doing() != Some(Direction::Execute),
                None => {}
            }
        }
        halted
    }

    /// Undoes what was done, or drops what was prepared, in the reverse order; branches at once, since they do not know of each other. Whether everything is undone.
    fn backward(&mut self, nodes: &'static [Node]) -> bool {
        nodes.iter().rev().all(|node| match node {
            Node::Step(step) => {
                let Some(state) = self.state(step.name) else { return true };
                let next = match state.status {
                    // What is prepared, or may be.
                    StepStatus::Failed if self.plan.is_isolated() && state.in_doubt => Some(Direction::Abort),
                    StepStatus::Succeeded if self.plan.is_isolated() && matches!(step.work, Work::Remote { .. }) => Some(Direction::Abort),
                    StepStatus::Failed if state.in_doubt => Some(Direction::Cancel),
                    StepStatus::Succeeded if step.undo().is_some() => Some(Direction::Undo),
                    status => return status.doing().is_none(),
                };
                if let Some(direction) = next {
                    self.start(step, direction);
                }
                false
            }
            Node::When { then, otherwise, .. } => match self.decision(then) {
                Some(Decision::Then) => self.backward(then),
                Some(Decision::Otherwise) => self.backward(otherwise),
                Some(Decision::Stuck(_)) | None => true,
            },
            Node::Parallel(branches) => branches.iter().filter(|branch| !self.backward(branch)).count() == 0,
        })
    }
}
