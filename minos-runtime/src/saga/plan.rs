//! A definition that was checked: what the transition function relies on.

use super::{Execution, Node, Retry, SagaDef, Step, StepKind, hash};
use crate::config::SagasConfig;
use std::time::Duration;
use thiserror::Error;

/// The times that a step gets unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How long a remote step waits for an answer.
    pub timeout: Duration,
    /// When that is tried again which must succeed: steps behind the point of no return, and compensations.
    pub patient: Retry,
}

impl Default for Policy {
    /// A minute for an answer. What must succeed is tried for about four hours, with ten minutes between attempts in the end.
    fn default() -> Self {
        Policy::of(&SagasConfig::default())
    }
}

impl Policy {
    /// What the configuration says.
    pub fn of(config: &SagasConfig) -> Self {
        let SagasConfig { timeout, attempts, first_pause, longest_pause, .. } = *config;
        let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
        Policy { timeout, patient: Retry { attempts, first_pause, longest_pause } }
    }
}

/// A definition that can be executed.
pub struct Plan {
    pub(super) def: &'static SagaDef,
    pub(super) policy: Policy,
    hash: String,
    steps: Vec<&'static Step>,
    decisions: Vec<String>,
}

/// A definition that cannot be executed safely. The macro refuses these, too.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the saga `{saga}` cannot be executed: {wrong}")]
pub struct IllegalSaga {
    /// Its name.
    pub saga: String,
    /// What is wrong with it.
    pub wrong: Wrong,
}

/// What is wrong with a definition.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Wrong {
    /// There is nothing to do.
    #[error("it has no steps")]
    Empty,
    /// A part that is to have steps has none.
    #[error("a `when` or a branch of `parallel` begins with no step")]
    EmptyPart,
    /// Two steps have one name.
    #[error("it has two steps `{0}`, and the name is what a stored execution resumes at")]
    DoubleName(String),
    /// A step that may fail, where nothing can be undone any more.
    #[error("step `{0}` stands where the saga can only go forward, so it must be `retriable`")]
    FailsTooLate(String),
    /// A compensation of what is never undone.
    #[error("step `{0}` is never undone, so it has no `on_failure`")]
    NeverUndone(String),
    /// A point of no return where there is none.
    #[error("step `{0}` of an isolated saga is a pivot or retriable: nothing of it has happened before all is decided")]
    KindInIsolated(String),
    /// A pivot beside other steps.
    #[error("the pivot `{0}` stands in a branch of `parallel`: what the other branches do could not be undone after it")]
    PivotInParallel(String),
    /// Branches that can fail beside ones that cannot be undone.
    #[error("in a `parallel` either all steps are `retriable` or none is, and `{0}` is")]
    MixedParallel(String),
}

impl Plan {
    /// Checks a definition.
    ///
    /// # Errors
    /// If it breaks a rule that an execution rests on.
    pub fn of(def: &'static SagaDef, policy: Policy) -> Result<Self, IllegalSaga> {
        let mut plan = Plan { def, policy, hash: hash(def), steps: Vec::new(), decisions: Vec::new() };
        let checked = plan.check(def.nodes, &mut false);
        checked.map_err(|wrong| IllegalSaga { saga: def.name.to_owned(), wrong })?;
        Ok(plan)
    }

    /// The definition.
    pub fn definition(&self) -> &'static SagaDef {
        self.def
    }

    /// Whether nobody else sees what its steps do before all of them are done.
    pub fn is_isolated(&self) -> bool {
        self.def.isolated
    }

    /// The saga's name.
    pub fn name(&self) -> &'static str {
        self.def.name
    }

    /// What tells this definition from others of the same name.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Its steps, in the order in which they are written.
    pub fn steps(&self) -> &[&'static Step] {
        &self.steps
    }

    /// The step of this name.
    pub fn step(&self, name: &str) -> Option<&'static Step> {
        self.steps.iter().find(|step| step.name == name).copied()
    }

    /// What a stored execution names and this definition does not have.
    pub fn unknown(&self, execution: &Execution) -> Vec<String> {
        let steps = execution.steps.keys().filter(|name| self.step(name).is_none());
        steps.chain(execution.decisions.keys().filter(|key| !self.decisions.contains(key))).cloned().collect()
    }

    fn check(&mut self, nodes: &'static [Node], forward: &mut bool) -> Result<(), Wrong> {
        for node in nodes {
            match node {
                Node::Step(step) => self.check_step(step, forward)?,
                Node::When { then, otherwise, .. } => {
                    self.decisions.push(decision_key(then).ok_or(Wrong::EmptyPart)?);
                    let (mut after_then, mut after_otherwise) = (*forward, *forward);
                    self.check(then, &mut after_then)?;
                    self.check(otherwise, &mut after_otherwise)?;
                    *forward = after_then || after_otherwise;
                }
                Node::Parallel(branches) => self.check_parallel(branches, forward)?,
            }
        }
        if self.steps.is_empty() { Err(Wrong::Empty) } else { Ok(()) }
    }

    fn check_step(&mut self, step: &'static Step, forward: &mut bool) -> Result<(), Wrong> {
        let name = || step.name.to_owned();
        if self.def.isolated && step.kind != StepKind::Compensable {
            return Err(Wrong::KindInIsolated(name()));
        }
        if self.def.isolated && step.undo().is_some() {
            return Err(Wrong::NeverUndone(name()));
        }
        if self.step(step.name).is_some() {
            return Err(Wrong::DoubleName(name()));
        }
        if *forward && step.kind != StepKind::Retriable {
            return Err(Wrong::FailsTooLate(name()));
        }
        if step.kind != StepKind::Compensable {
            if step.undo().is_some() {
                return Err(Wrong::NeverUndone(name()));
            }
            *forward = true;
        }
        self.steps.push(step);
        Ok(())
    }

    fn check_parallel(&mut self, branches: &'static [&'static [Node]], forward: &mut bool) -> Result<(), Wrong> {
        let (before, first) = (*forward, self.steps.len());
        for branch in branches {
            decision_key(branch).ok_or(Wrong::EmptyPart)?;
            let mut after = before;
            self.check(branch, &mut after)?;
            *forward |= after;
        }
        let inside = self.steps.get(first..).unwrap_or_default();
        let of = |kind: StepKind| inside.iter().find(|step| step.kind == kind).map(|step| step.name.to_owned());
        match (of(StepKind::Pivot), of(StepKind::Retriable), of(StepKind::Compensable)) {
            (Some(pivot), ..) => Err(Wrong::PivotInParallel(pivot)),
            (_, Some(retriable), Some(_)) => Err(Wrong::MixedParallel(retriable)),
            _ => Ok(()),
        }
    }
}

/// The name under which the decision of a `when` is stored: that of the first step in its first part. A `when` that begins with another
/// one has that one's name with `when ` in front.
pub(crate) fn decision_key(then: &[Node]) -> Option<String> {
    match then.first()? {
        Node::Step(step) => Some(step.name.to_owned()),
        Node::When { then, .. } => Some(format!("when {}", decision_key(then)?)),
        Node::Parallel(branches) => decision_key(branches.first()?),
    }
}
