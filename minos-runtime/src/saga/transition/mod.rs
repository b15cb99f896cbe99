//! The transition function: what an execution becomes, and what is to be done, when something has happened to it.
//!
//! It is pure: it reads no clock, draws no random number, and waits for nothing. It calls the functions of the definition that are pure
//! themselves, and what they panic with is an error.
//!
//! What it relies on from the other side of a message, for each (execution, step):
//! - An answer is final. Once it has answered success it answers the same to every attempt; once it has answered an error to an attempt, or
//!   "not done" to a [`Direction::Cancel`], none of the attempts before does anything when it comes late.
//! - A [`Direction::Undo`] is done once, however many attempts come.
//! - [`Direction::Commit`] and [`Direction::Abort`] are done once, too, and never both. After the second one none of the attempts does anything.
//! - What is done holds something if each of its answers says so, until [`Effect::Release`].

mod attempt;
mod repair;
mod walk;

#[cfg(any(test, feature = "testing"))]
pub(crate) use attempt::read;

use super::{Direction, Execution, Outgoing, Plan};
use crate::error::Error;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use thiserror::Error;
use uuid::Uuid;

/// One attempt at something about a step. Effects and answers are the same if their calls are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Call {
    /// The step.
    pub step: String,
    /// What is done about it.
    pub direction: Direction,
    /// Which attempt, from 1.
    pub attempt: u32,
}

impl Call {
    /// The first attempt at it.
    pub fn first(step: &str, direction: Direction) -> Self {
        Call { step: step.to_owned(), direction, attempt: 1 }
    }

    /// The id of its message: the same whenever it is sent again.
    pub fn message_id(&self, execution: Uuid) -> Uuid {
        Uuid::new_v5(&execution, format!("{}/{}/{}", self.step, self.direction, self.attempt).as_bytes())
    }
}

/// What has happened.
#[derive(Debug)]
pub enum Input {
    /// It is new.
    Started,
    /// An attempt has ended.
    Ended {
        /// Which.
        call: Call,
        /// How.
        result: Result<Outcome, Error>,
        /// Whether the other side holds something since, until it is told that the execution has ended.
        holds: bool,
    },
    /// The time has come that [`Execution::due`] says.
    Due,
    /// Whoever did what the last effects say may have died: they are told again.
    Resumed,
    /// The other side of a step keeps something for it, and asks how the execution ends.
    Asked {
        /// The step.
        step: String,
    },
    /// An operator wants something.
    Repair(Repair),
}

/// What about which step: `pay/execute`.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.step, self.direction)
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Input::Started => f.write_str("started"),
            Input::Ended { call, .. } => write!(f, "{call}"),
            Input::Due => f.write_str("due"),
            Input::Resumed => f.write_str("resumed"),
            Input::Asked { step } => write!(f, "{step}/asked"),
            Input::Repair(_) => f.write_str("repair"),
        }
    }
}

/// How an attempt has ended that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered. To [`Direction::Cancel`]: the step has happened, and this was its answer.
    Answer(Vec<u8>),
    /// It has run here, and yields this.
    Value(Value),
    /// To [`Direction::Cancel`]: the step has not happened, and never will.
    NotDone,
}

/// What an operator wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repair {
    /// What is stuck is tried again, and what pauses is tried now.
    Retry {
        /// The step, or the name of a decision.
        step: String,
    },
    /// What is stuck was done by hand.
    Skip {
        /// The step, or the name of a decision.
        step: String,
        /// What it yields (`null` if it yields nothing), or what is decided. Nothing says that it has not happened, and never will. If it was
        /// being undone it counts as undone in any case.
        value: Option<Value>,
    },
    /// The saga is undone, if it still can be.
    Rollback,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A message is to be sent. To [`Direction::Cancel`] it is the one that was not answered.
    Send {
        /// For which attempt.
        call: Call,
        /// The message.
        message: Outgoing,
    },
    /// The work of a local step is to be run, in one unit with the transition that its end makes. If that changes nothing, the unit is to be
    /// dropped: the attempt does not count any more.
    Run {
        /// Which attempt.
        call: Call,
    },
    /// The other side is to be told that the execution has ended: it releases what this direction of the step holds there, and never does what it has not done.
    Release {
        /// The last attempt at it.
        call: Call,
        /// The message that asked for it.
        message: Outgoing,
    },
    /// Something waits for an operator now.
    Alarm {
        /// The step, or the name of a decision.
        step: String,
    },
    /// The execution has ended.
    Finished,
}

/// When it is, and what chance says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// The time: the same clock that says when an execution is due.
    pub now: Timestamp,
    /// From 0 to 1: spreads the pauses of executions that failed together.
    pub jitter: f64,
}

/// Why an execution was left as it is.
#[derive(Debug, Error)]
pub enum TransitionError {
    /// It belongs to another saga.
    #[error("execution {id} is one of `{stored}`, not of `{known}`")]
    OtherSaga {
        /// The execution.
        id: Uuid,
        /// The saga that is stored.
        stored: String,
        /// The saga that was given.
        known: String,
    },
    /// It has begun under a definition that had other steps.
    #[error(
        "execution {id} of the saga `{saga}` has begun under another definition, with {}, which the saga does not have any more: \
         put the old definition back until its executions have ended", names(.steps)
    )]
    UnknownSteps {
        /// The execution.
        id: Uuid,
        /// Its saga.
        saga: String,
        /// What is not there any more.
        steps: Vec<String>,
    },
    /// It has begun under another definition.
    #[error(
        "execution {id} of the saga `{saga}` has begun under the definition {stored}, and this is {known}: put the old definition back until \
         its executions have ended"
    )]
    Changed {
        /// The execution.
        id: Uuid,
        /// Its saga.
        saga: String,
        /// The hash that is stored.
        stored: String,
        /// The hash of the definition that was given.
        known: String,
    },
    /// An operator wants what cannot be.
    #[error("execution {id} of the saga `{saga}` cannot be repaired in this way: {why}")]
    Refused {
        /// The execution.
        id: Uuid,
        /// Its saga.
        saga: String,
        /// Why.
        why: String,
    },
}

fn names(steps: &[String]) -> String {
    steps.iter().map(|step| format!("`{step}`")).collect::<Vec<_>>().join(", ")
}

/// Changes an execution by what has happened to it, and says what is to be done. The effects are to be committed together with the changed
/// execution. Nothing has changed if the version has not.
///
/// # Errors
/// If the execution does not belong to this plan, or a repair is not possible; nothing has changed then.
pub fn transition(plan: &Plan, execution: &mut Execution, input: Input, moment: Moment) -> Result<Vec<Effect>, TransitionError> {
    check(plan, execution)?;
    let mut turn = Turn { plan, execution, moment, effects: Vec::new(), changed: false };
    if turn.execution.status.is_final() {
        return match input {
            Input::Repair(_) => Err(turn.refused(format_args!("it has ended as {}", turn.execution.status))),
            _ => Ok(Vec::new()),
        };
    }
    match input {
        Input::Started => turn.changed = turn.execution.version == 0,
        Input::Ended { call, result, holds } => turn.ended(&call, result, holds),
        Input::Due => turn.due(),
        Input::Resumed => turn.resume(),
        Input::Asked { step } => turn.asked(&step),
        Input::Repair(repair) => turn.repair(repair)?,
    }
    if turn.changed {
        turn.proceed();
        turn.execution.version += 1;
        turn.execution.changed_at = moment.now;
    }
    Ok(turn.effects)
}

fn check(plan: &Plan, execution: &Execution) -> Result<(), TransitionError> {
    let id = execution.id;
    if execution.saga != plan.name() {
        return Err(TransitionError::OtherSaga { id, stored: execution.saga.clone(), known: plan.name().to_owned() });
    }
    let steps = plan.unknown(execution);
    if !steps.is_empty() {
        return Err(TransitionError::UnknownSteps { id, saga: execution.saga.clone(), steps });
    }
    if execution.definition != plan.hash() {
        let (saga, stored, known) = (execution.saga.clone(), execution.definition.clone(), plan.hash().to_owned());
        return Err(TransitionError::Changed { id, saga, stored, known });
    }
    Ok(())
}

/// One transition under way.
struct Turn<'a> {
    plan: &'a Plan,
    execution: &'a mut Execution,
    moment: Moment,
    effects: Vec<Effect>,
    changed: bool,
}

impl Turn<'_> {
    fn refused(&self, why: impl std::fmt::Display) -> TransitionError {
        TransitionError::Refused { id: self.execution.id, saga: self.execution.saga.clone(), why: why.to_string() }
    }

    /// Whether the saga has failed, and goes backward.
    fn failing(&self) -> bool {
        self.execution.failure.is_some()
    }
}
