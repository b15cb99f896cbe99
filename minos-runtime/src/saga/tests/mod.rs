//! Tests of the core of sagas: definitions made by hand, and a table of rules. Everything that can happen, in every order, is in the room `testing`.

mod parts;
mod table;

use super::*;
use crate::error::{Error, Result};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

/// What tests do to a step.
pub(crate) trait Change: Sized {
    fn pivot(self) -> Self;
    fn retriable(self) -> Self;
    fn not_undone(self) -> Self;
    fn tried(self, attempts: u32) -> Self;
    fn within(self, seconds: u64) -> Self;
    fn on_success(self, call: fn(&Values) -> Result<()>) -> Self;
    fn on_error(self, call: fn(&Values, Error) -> Result<Value>) -> Self;
}

impl Change for Step {
    fn pivot(self) -> Self {
        Step { kind: StepKind::Pivot, ..self.not_undone() }
    }

    fn retriable(self) -> Self {
        Step { kind: StepKind::Retriable, ..self.not_undone() }
    }

    fn not_undone(mut self) -> Self {
        match &mut self.work {
            Work::Remote { undo, .. } => *undo = None,
            Work::Local { undo, .. } => *undo = None,
        }
        self
    }

    fn tried(mut self, attempts: u32) -> Self {
        self.retry = Some(Retry { attempts, first_pause: Duration::from_secs(1), longest_pause: Duration::from_secs(4) });
        self
    }

    fn within(mut self, seconds: u64) -> Self {
        self.timeout = Some(Duration::from_secs(seconds));
        self
    }

    fn on_success(mut self, call: fn(&Values) -> Result<()>) -> Self {
        if let Work::Remote { on_success, .. } = &mut self.work {
            *on_success = Some(call);
        }
        self
    }

    fn on_error(mut self, call: fn(&Values, Error) -> Result<Value>) -> Self {
        if let Work::Remote { on_error, .. } = &mut self.work {
            *on_error = Some(call);
        }
        self
    }
}

fn say(name: &'static str) -> Outgoing {
    Outgoing { name, key: None, content: b"{}".to_vec() }
}

/// A compensable remote step that yields a number under its own name.
pub(crate) fn remote(name: &'static str) -> Step {
    let work = Work::Remote {
        execute: |_| Ok(say("Do")),
        read: |bytes| Ok(json!(serde_json::from_slice::<u32>(bytes)?)),
        on_success: None,
        on_error: None,
        undo: Some(|_| Ok(say("Undo"))),
    };
    Step {
        name,
        kind: StepKind::Compensable,
        output: Some(Output { name, ty: "u32" }),
        timeout: None,
        retry: None,
        sample: || Ok(json!(7)),
        work,
    }
}

/// A compensable local step that yields a number under its own name.
pub(crate) fn local(name: &'static str) -> Step {
    let nothing: LocalWork = |_, _| Box::pin(async { Ok(Value::Null) });
    let work = Work::Local { execute: nothing, undo: Some(nothing) };
    Step { work, ..remote(name) }
}

fn leak(nodes: Vec<Node>) -> &'static [Node] {
    Vec::leak(nodes)
}

/// Decided by `yes` of the input.
pub(crate) fn when(then: Vec<Node>, otherwise: Vec<Node>) -> Node {
    let condition: fn(&Values) -> Result<bool> =
        |values| values.get("yes").and_then(Value::as_bool).ok_or_else(|| Error::rejected("nobody has said yes or no"));
    Node::When { condition, then: leak(then), otherwise: leak(otherwise) }
}

pub(crate) fn parallel(branches: Vec<Vec<Node>>) -> Node {
    Node::Parallel(Vec::leak(branches.into_iter().map(leak).collect()))
}

impl From<Step> for Node {
    fn from(step: Step) -> Self {
        Node::Step(step)
    }
}

pub(crate) fn definition(nodes: Vec<Node>) -> &'static SagaDef {
    Box::leak(Box::new(of_nodes(nodes)))
}

fn of_nodes(nodes: Vec<Node>) -> SagaDef {
    let input = &[Output { name: "yes", ty: "bool" }];
    SagaDef { name: "Trip", input, isolated: false, nodes: leak(nodes), module: "", file: "", line: 0 }
}

/// The same, isolated: nothing is undone.
pub(crate) fn isolated(nodes: Vec<Node>) -> &'static SagaDef {
    Box::leak(Box::new(SagaDef { isolated: true, ..of_nodes(nodes) }))
}

fn policy() -> Policy {
    let patient = Retry { attempts: 2, first_pause: Duration::from_secs(1), longest_pause: Duration::from_secs(4) };
    Policy { timeout: Duration::from_secs(10), patient }
}

fn plan(nodes: Vec<Node>) -> Plan {
    plan_of(definition(nodes))
}

fn plan_of(def: &'static SagaDef) -> Plan {
    let Ok(plan) = Plan::of(def, policy()) else { panic!("it is no plan") };
    plan
}

fn begin(plan: &Plan, yes: impl Into<Value>) -> Execution {
    let mut values = Values::default();
    values.set("yes", yes.into());
    Execution::new(plan, uuid::Uuid::from_u128(1), values, at(0))
}

/// So many seconds after the beginning of time.
fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs())
}

fn call(step: &str, direction: Direction, attempt: u32) -> Call {
    Call { step: step.to_owned(), direction, attempt }
}
