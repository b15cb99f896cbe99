//! What has changed between two contracts.

use serde_json::{Value, json};

/// What a change is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// A route, which messages know nothing of.
    Route,
    /// What is asked for by this topic.
    Topic(String),
    /// What a topic answers.
    Reply(String),
    /// An event of an aggregate.
    Event { aggregate: String, event: String },
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) part: Part,
    /// The field, by its name in the outermost object, if it is one.
    pub(crate) field: Option<String>,
    /// Where, for who reads it.
    pub(crate) at: String,
    pub(crate) what: String,
    /// Whether who relies on it fails.
    pub(crate) breaks: bool,
}

impl Change {
    pub(crate) fn to_json(&self) -> Value {
        json!({ "at": self.at, "what": self.what, "breaks": self.breaks })
    }
}

/// Collects the changes of one part.
pub(crate) struct Changes<'c> {
    pub(crate) found: &'c mut Vec<Change>,
    pub(crate) part: Part,
    pub(crate) at: String,
}

impl Changes<'_> {
    /// A change at the part itself.
    pub(crate) fn tell(&mut self, breaks: bool, what: impl Into<String>) {
        self.tell_at(&[], breaks, what);
    }

    /// A change within it, by the names of fields.
    pub(crate) fn tell_at(&mut self, path: &[String], breaks: bool, what: impl Into<String>) {
        let at = if path.is_empty() { self.at.clone() } else { format!("{}: {}", self.at, path.join(".")) };
        self.found.push(Change { part: self.part.clone(), field: path.first().cloned(), at, what: what.into(), breaks });
    }
}
