//! What a saga is: its steps, as the macro registers them.

use super::{Values, View};
use crate::{
    context::Context,
    error::{Error, Result},
};
use futures_util::future::BoxFuture;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::time::Duration;

/// A saga: the type of its input, written by `saga!`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a saga",
    label = "not a saga",
    note = "a saga is declared by `saga! {{ pub {Self} {{ … }} … }}`"
)]
pub trait Saga: Serialize + DeserializeOwned + Send + 'static {
    /// Its name, under which executions are stored.
    const NAME: &'static str;

    /// What is known when it has committed: the input, and what the steps have yielded.
    type Done: View + Send + 'static;

    /// Its steps.
    #[doc(hidden)]
    fn definition() -> &'static SagaDef;
}

/// A saga as its macro registers it.
pub struct SagaDef {
    /// Its name.
    pub name: &'static str,
    /// The names and types of the fields of its input.
    pub input: &'static [Output],
    /// Whether nobody else sees what its steps do before all of them are done.
    pub isolated: bool,
    /// Its steps, in order.
    pub nodes: &'static [Node],
    /// The module that it stands in.
    pub module: &'static str,
    /// The file that it stands in.
    pub file: &'static str,
    /// The line.
    pub line: u32,
}

/// A part of a saga.
pub enum Node {
    /// One step.
    Step(Step),
    /// Either these or those.
    When {
        /// Decides on what is known by then. It is a pure function, and its decision is stored.
        condition: fn(&Values) -> Result<bool>,
        /// If it says so. Never empty.
        then: &'static [Node],
        /// If it does not.
        otherwise: &'static [Node],
    },
    /// Branches that go on at once. The saga goes on when all have ended.
    Parallel(&'static [&'static [Node]]),
}

/// A step of a saga.
pub struct Step {
    /// Its name, unique in the saga: what a stored execution resumes at.
    pub name: &'static str,
    /// What it does if a later step fails.
    pub kind: StepKind,
    /// What it yields.
    pub output: Option<Output>,
    /// How long it may take; a remote step without gets a default.
    pub timeout: Option<Duration>,
    /// How often and when it is tried again; without, it is tried once if the saga can still be undone, and patiently if not. How its
    /// compensation is tried does not depend on it: that is always patient.
    pub retry: Option<Retry>,
    /// Makes a value such as it yields, for tests. An error without the feature `testing`.
    pub sample: fn() -> Result<Value>,
    /// What it does.
    pub work: Work,
}

/// What becomes of a step when the saga fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StepKind {
    /// It is undone, if it has something to undo.
    Compensable,
    /// The point of no return: when it has succeeded the saga only goes forward.
    Pivot,
    /// Behind the pivot: it is retried until it succeeds.
    Retriable,
}

/// A value that a step yields, or a field of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// Its name.
    pub name: &'static str,
    /// Its type, as it is written: a part of the definition's hash.
    pub ty: &'static str,
}

/// When a step is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How often it is tried in all.
    pub attempts: u32,
    /// The pause after the first attempt; it doubles with each.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
}

impl Retry {
    /// The pause after this attempt (from 1). The jitter, from 0 to 1, makes it up to half as long again, so that what failed together
    /// does not come back together, and nothing comes back too early.
    pub fn pause(&self, attempt: u32, jitter: f64) -> Duration {
        let full = self.first_pause.saturating_mul(1 << attempt.saturating_sub(1).min(30)).min(self.longest_pause);
        Duration::try_from_secs_f64(full.as_secs_f64() * (1.0 + jitter.clamp(0.0, 1.0) / 2.0)).unwrap_or(full)
    }
}

/// A message that a remote step sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its name, which is its topic.
    pub name: &'static str,
    /// Messages of one key are handled in the order in which they were sent.
    pub key: Option<String>,
    /// Its content, as JSON.
    pub content: Vec<u8>,
}

/// Work in this service, in one commit with the saga's progress.
pub type LocalWork = for<'a> fn(&'a mut Context, &'a Values) -> BoxFuture<'a, Result<Value>>;

/// What a step does.
pub enum Work {
    /// Sends a message to another service, and waits for its answer.
    Remote {
        /// The message.
        execute: fn(&Values) -> Result<Outgoing>,
        /// Reads the answer as the type that the step yields.
        read: fn(&[u8]) -> Result<Value>,
        /// Looks at the saga once the answer is known; an error makes the saga fail, and this step is undone.
        on_success: Option<fn(&Values) -> Result<()>>,
        /// Makes something of an error that was answered: another error, or a value in place of the answer. With such a value the step
        /// has nothing to undo, since what answers an error has done nothing. That no answer came is not shown to it.
        on_error: Option<fn(&Values, Error) -> Result<Value>>,
        /// The message that undoes it.
        undo: Option<fn(&Values) -> Result<Outgoing>>,
    },
    /// Runs here.
    Local {
        /// The work.
        execute: LocalWork,
        /// What undoes it.
        undo: Option<LocalWork>,
    },
}

/// How a step is undone.
pub enum Undo {
    /// By a message.
    Remote(fn(&Values) -> Result<Outgoing>),
    /// Here.
    Local(LocalWork),
}

impl Step {
    /// How it is undone, if it is.
    pub fn undo(&self) -> Option<Undo> {
        match self.work {
            Work::Remote { undo, .. } => undo.map(Undo::Remote),
            Work::Local { undo, .. } => undo.map(Undo::Local),
        }
    }
}

inventory::collect!(SagaDef);
