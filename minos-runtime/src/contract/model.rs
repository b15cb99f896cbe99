//! A contract as it is told: `contract.json`. Its order is that of names, so that two of them can be compared line by line.

use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The version of the form of `contract.json`.
pub(super) const VERSION: u32 = 1;

/// What a service promises, and what it needs of others.
#[derive(Debug, Serialize)]
pub(super) struct Contract {
    /// The version of this form.
    pub(super) contract: u32,
    pub(super) service: String,
    /// By their names.
    pub(super) operations: BTreeMap<String, Operation>,
    pub(super) aggregates: BTreeMap<String, Aggregate>,
    pub(super) sagas: BTreeMap<String, Saga>,
    pub(super) consumes: Consumes,
    pub(super) components: Components,
    /// What could not be seen, for who exports it.
    #[serde(skip)]
    pub(super) hidden: Vec<String>,
}

/// What can be asked of it.
#[derive(Debug, Serialize)]
pub(super) struct Operation {
    /// `command` or `query`.
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) doc: &'static str,
    /// The module that it stands in, without the crate.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) module: String,
    pub(super) routes: Vec<Route>,
    pub(super) topics: Vec<&'static str>,
    /// Who may call it, if not everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) access: Option<Value>,
    /// The parameters of the path, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) path: Vec<(String, Value)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) query: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) input: Option<Value>,
    pub(super) answer: Answer,
    /// The statuses of problem documents.
    pub(super) problems: Vec<u16>,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
}

/// What it answers.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    /// None if the handler says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<Value>,
}

/// What it tells of an aggregate: a topic of its name, with these events.
#[derive(Debug, Serialize)]
pub(super) struct Aggregate {
    pub(super) events: BTreeMap<String, Event>,
}

/// An event.
#[derive(Debug, Serialize)]
pub(super) struct Event {
    pub(super) version: u32,
    pub(super) content: Value,
}

/// A saga.
#[derive(Debug, Serialize)]
pub(super) struct Saga {
    pub(super) input: BTreeMap<&'static str, &'static str>,
    pub(super) steps: Vec<Step>,
}

/// A step of one.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    pub(super) name: &'static str,
    /// `remote` or `local`.
    pub(super) work: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) yields: Option<&'static str>,
}

/// What it needs of others.
#[derive(Debug, Serialize)]
pub(super) struct Consumes {
    /// Events, and what is read of them: anything, if that is not known.
    pub(super) events: BTreeMap<&'static str, Value>,
    /// Messages that it sends.
    pub(super) messages: BTreeMap<&'static str, Message>,
}

/// A message that it sends.
#[derive(Debug, Serialize)]
pub(super) struct Message {
    pub(super) content: Value,
    pub(super) reply: Value,
}

/// The schemas of types with a name.
#[derive(Debug, Default, Serialize)]
pub(super) struct Components {
    pub(super) schemas: BTreeMap<String, Value>,
}
