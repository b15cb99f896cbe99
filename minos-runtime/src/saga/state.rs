//! What is stored of an execution.

use super::{Call, Plan, SagaRepaired, Step, Values};
use crate::{
    aggregate::{Hold, Prepared},
    error::Error,
    message::Direction,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};
use uuid::Uuid;

/// One execution of a saga, as it is stored: a readable JSON object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Execution {
    /// Which one.
    pub id: Uuid,
    /// The saga's name.
    pub saga: String,
    /// The hash of the definition that it began with.
    pub definition: String,
    /// How it stands.
    pub status: Status,
    /// The input, and what the steps have yielded.
    pub values: Values,
    /// The steps that were begun, by name.
    pub steps: BTreeMap<String, StepState>,
    /// What was decided at each `when`, by the name of the first step in its first part.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub decisions: BTreeMap<String, Decision>,
    /// What its local steps hold until it has ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Hold>,
    /// What the local steps of an isolated saga have prepared, until it is decided.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prepared: BTreeMap<String, Prepared>,
    /// Whether an isolated saga will commit, whatever happens.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub decided: bool,
    /// Why it is undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What operators have done about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<SagaRepaired>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it changed last.
    pub changed_at: Timestamp,
    /// Counts the changes: what is stored must have the version before this one.
    pub version: u64,
}

/// How an execution stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It goes forward.
    Running,
    /// It is isolated, and all its steps are done: what they have prepared is being applied, whatever happens.
    Committing,
    /// It has failed, and what was done is being undone.
    Compensating,
    /// It has ended, and everything was done.
    Committed,
    /// It has ended, and everything that was done is undone.
    RolledBack,
    /// Something cannot go on without an operator. What does not depend on it goes on.
    NeedsOperator,
}

impl Status {
    /// Whether nothing happens any more.
    pub fn is_final(self) -> bool {
        matches!(self, Status::Committed | Status::RolledBack)
    }

    /// Its name, as it is stored.
    pub fn name(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Committing => "committing",
            Status::Compensating => "compensating",
            Status::Committed => "committed",
            Status::RolledBack => "rolled_back",
            Status::NeedsOperator => "needs_operator",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepState {
    /// How it stands.
    pub status: StepStatus,
    /// How often each was tried.
    pub attempts: Attempts,
    /// The last attempt that it has at what it is doing.
    pub limit: u32,
    /// When it was begun.
    pub started_at: Timestamp,
    /// When it changed last.
    pub changed_at: Timestamp,
    /// When the attempt has taken too long, or the next one begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// Whether it may have happened though no success is known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_doubt: bool,
    /// The last error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// Of a remote step: what the other side has done, or may have done, so that it holds something until the execution has ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Direction>,
}

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// An attempt is under way.
    UnderWay(Direction),
    /// An attempt has failed, and the next one is due later.
    Pausing(Direction),
    /// It cannot go on without an operator.
    Stuck(Direction),
    /// It has happened.
    Succeeded,
    /// It was answered by an error, and `on_error` has given a value in place: there is nothing to undo.
    Replaced,
    /// It has not happened, unless it is in doubt.
    Failed,
    /// It has happened, and is undone.
    Undone,
    /// What it has prepared is applied.
    Applied,
}

impl StepStatus {
    /// What is being done, if something is.
    pub fn doing(self) -> Option<Direction> {
        match self {
            StepStatus::UnderWay(direction) | StepStatus::Pausing(direction) | StepStatus::Stuck(direction) => Some(direction),
            StepStatus::Succeeded | StepStatus::Replaced | StepStatus::Failed | StepStatus::Undone | StepStatus::Applied => None,
        }
    }
}

/// How often each was tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attempts {
    /// To do it.
    #[serde(skip_serializing_if = "is_zero")]
    pub execute: u32,
    /// To learn whether it has happened.
    #[serde(skip_serializing_if = "is_zero")]
    pub cancel: u32,
    /// To undo it.
    #[serde(skip_serializing_if = "is_zero")]
    pub undo: u32,
    /// To apply what it has prepared.
    #[serde(skip_serializing_if = "is_zero")]
    pub commit: u32,
    /// To drop what it has prepared.
    #[serde(skip_serializing_if = "is_zero")]
    pub abort: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Attempts {
    /// How often this was tried.
    pub fn of(self, direction: Direction) -> u32 {
        match direction {
            Direction::Execute => self.execute,
            Direction::Cancel => self.cancel,
            Direction::Undo => self.undo,
            Direction::Commit => self.commit,
            Direction::Abort => self.abort,
        }
    }

    /// Counts one more, and returns its number.
    pub(super) fn next(&mut self, direction: Direction) -> u32 {
        let counter = match direction {
            Direction::Execute => &mut self.execute,
            Direction::Cancel => &mut self.cancel,
            Direction::Undo => &mut self.undo,
            Direction::Commit => &mut self.commit,
            Direction::Abort => &mut self.abort,
        };
        *counter = counter.saturating_add(1);
        *counter
    }
}

/// What was decided at a `when`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The first part is executed.
    Then,
    /// The second part is executed.
    Otherwise,
    /// The condition fails, where the saga can only go forward.
    Stuck(Failure),
}

/// Why something has failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Where: the step, or the name of a decision; nothing if an operator wanted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// What the error says.
    pub message: String,
    /// The same with its causes, if it has any: not for clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causes: Option<String>,
    /// The HTTP status that the same error would have.
    pub status: u16,
    /// When.
    pub time: Timestamp,
}

impl Failure {
    pub(super) fn new(at: Option<&str>, error: &Error, time: Timestamp) -> Self {
        let (message, chain) = (error.to_string(), error.chain());
        let causes = (chain != message).then_some(chain);
        Failure { at: at.map(str::to_owned), message, causes, status: error.status().as_u16(), time }
    }

    /// The error, as it was.
    pub fn error(&self) -> Error {
        let status = http::StatusCode::from_u16(self.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        Error::of_status(status, self.message.clone())
    }
}

impl Execution {
    /// A new execution, which is not yet stored. [`Input::Started`](super::Input::Started) begins it.
    pub fn new(plan: &Plan, id: Uuid, values: Values, now: Timestamp) -> Self {
        Execution {
            id,
            saga: plan.name().to_owned(),
            definition: plan.hash().to_owned(),
            status: Status::Running,
            values,
            steps: BTreeMap::new(),
            decisions: BTreeMap::new(),
            holds: Vec::new(),
            prepared: BTreeMap::new(),
            decided: false,
            failure: None,
            repairs: Vec::new(),
            started_at: now,
            changed_at: now,
            version: 0,
        }
    }

    /// Whether this attempt is the one that is under way.
    pub(crate) fn is_under_way(&self, call: &Call) -> bool {
        let same =
            |state: &StepState| state.status == StepStatus::UnderWay(call.direction) && state.attempts.of(call.direction) == call.attempt;
        self.steps.get(&call.step).is_some_and(same)
    }

    /// The attempts that are under way, in the order in which the plan has their steps.
    pub(crate) fn under_way(&self, plan: &Plan) -> impl Iterator<Item = (&'static Step, Call)> {
        plan.steps().iter().filter_map(|step| {
            let state = self.steps.get(step.name)?;
            let StepStatus::UnderWay(direction) = state.status else { return None };
            Some((*step, Call { step: step.name.to_owned(), direction, attempt: state.attempts.of(direction) }))
        })
    }

    /// Of an isolated one that has ended: if the other side has applied what this step has prepared, the attempt that asked for it. If an operator has said that
    /// it counts as applied, what the other side keeps is dropped.
    pub(crate) fn applied(&self, step: &str) -> Option<u32> {
        let state = self.steps.get(step).filter(|state| state.status == StepStatus::Applied && state.holds.is_empty())?;
        Some(state.attempts.commit)
    }

    /// When [`Input::Due`](super::Input::Due) has something to do next.
    pub fn due(&self) -> Option<Timestamp> {
        self.steps.values().filter_map(|step| step.due).min()
    }

    /// What waits for an operator: steps and decisions, with why.
    pub fn stuck(&self) -> impl Iterator<Item = (&str, Option<&Failure>)> {
        let steps = self.steps.iter().filter(|(_, step)| matches!(step.status, StepStatus::Stuck(_)));
        let decisions = self.decisions.iter().filter_map(|(key, decision)| match decision {
            Decision::Stuck(failure) => Some((key.as_str(), Some(failure))),
            Decision::Then | Decision::Otherwise => None,
        });
        steps.map(|(name, step)| (name.as_str(), step.error.as_ref())).chain(decisions)
    }
}
