//! What was found, and what to do about it.

use super::redact::redact;
use crate::table::Table;
use serde::Serialize;
use serde_json::Value;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Ok,
    Warn,
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Finding {
    level: Level,
    /// Of which service; empty, if of none alone.
    service: String,
    check: &'static str,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    todo: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Finding { level: Level::Ok, service: String::new(), check, found: redact(&found.into()), todo: None }
    }

    pub(super) fn warn(check: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Finding { level: Level::Warn, todo: Some(redact(&todo.into())), ..Finding::ok(check, found) }
    }

    pub(super) fn fail(check: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Finding { level: Level::Fail, ..Finding::warn(check, found, todo) }
    }

    #[cfg(test)]
    pub(super) fn told(&self) -> (Level, &str) {
        (self.level, &self.found)
    }
}

/// All of it.
#[derive(Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn extend(&mut self, service: &str, more: impl IntoIterator<Item = Finding>) {
        self.0.extend(more.into_iter().map(|finding| Finding { service: service.to_owned(), ..finding }));
    }

    pub(super) fn worst(&self) -> Level {
        self.0.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok)
    }

    pub(super) fn json(&self) -> Value {
        serde_json::to_value(&self.0).unwrap_or_default()
    }

    /// A table, and below it what to do.
    pub(super) fn text(&self) -> String {
        let mut table = Table::new(["", "SERVICE", "CHECK", "FOUND"]);
        let word = |level| match level {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "FAIL",
        };
        for Finding { level, service, check, found, .. } in &self.0 {
            let service = if service.is_empty() { "-" } else { service };
            table.row([word(*level).to_owned(), service.to_owned(), (*check).to_owned(), found.clone()]);
        }
        let todo = self.0.iter().filter_map(|finding| {
            let of = if finding.service.is_empty() { String::new() } else { format!("{}: ", finding.service) };
            Some(format!("  {of}{}: {}\n", finding.check, finding.todo.as_ref()?))
        });
        let todo: String = todo.collect();
        if todo.is_empty() { table.text() } else { format!("{}\nwhat to do:\n{todo}", table.text()) }
    }
}
