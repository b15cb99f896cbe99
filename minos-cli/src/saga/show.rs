//! One execution, as people read it.

use crate::table::Table;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// An execution, as the API tells it.
#[derive(Deserialize)]
pub(super) struct Execution {
    id: String,
    saga: String,
    status: String,
    #[serde(default)]
    values: Value,
    #[serde(default)]
    steps: BTreeMap<String, Step>,
    #[serde(default)]
    decisions: BTreeMap<String, Value>,
    failure: Option<Value>,
    #[serde(default)]
    repairs: Vec<Repair>,
    started_at: String,
    changed_at: String,
}

#[derive(Deserialize)]
struct Step {
    status: Value,
    attempts: BTreeMap<String, u32>,
    started_at: String,
    due: Option<String>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Repair {
    repair: Value,
    by: Option<String>,
    at: String,
}

/// The steps, and decisions, that cannot go on without somebody.
pub(super) fn stuck_steps(execution: &Execution) -> Vec<String> {
    let is_stuck = |status: &Value| status.get("stuck").is_some();
    let steps = execution.steps.iter().filter(|(_, step)| is_stuck(&step.status)).map(|(name, _)| name);
    let decisions = execution.decisions.iter().filter(|(_, decision)| is_stuck(decision)).map(|(name, _)| name);
    steps.chain(decisions).cloned().collect()
}

pub(super) fn tell(execution: &Execution) -> String {
    let Execution { id, saga, status, values, steps, failure, repairs, started_at, changed_at, .. } = execution;
    let mut facts = Table::bare();
    for (name, value) in [("id", id), ("saga", saga), ("status", status), ("started", started_at), ("changed", changed_at)] {
        facts.row([name.to_owned(), value.clone()]);
    }
    if let Some(failure) = failure {
        facts.row(["failure".to_owned(), message(failure)]);
    }
    facts.row(["values".to_owned(), values.to_string()]);
    for Repair { repair, by, at } in repairs {
        let by = by.as_deref().map(|by| format!(" by {by}")).unwrap_or_default();
        facts.row(["repaired".to_owned(), format!("{at}{by}: {repair}")]);
    }
    let mut table = Table::new(["STEP", "STATUS", "ATTEMPTS", "STARTED", "DUE", "ERROR"]);
    for (name, step) in steps {
        let attempts: Vec<String> = step.attempts.iter().map(|(direction, count)| format!("{direction} {count}")).collect();
        let dash = || "-".to_owned();
        table.row([
            name.clone(),
            standing(&step.status),
            if attempts.is_empty() { dash() } else { attempts.join(", ") },
            step.started_at.clone(),
            step.due.clone().unwrap_or_else(dash),
            step.error.as_ref().map_or_else(dash, message),
        ]);
    }
    let mut text = format!("{}\n{}", facts.text(), table.text());
    let stuck = stuck_steps(execution);
    if !stuck.is_empty() {
        text += &format!(
            "\nstuck: {}. `minos saga retry {id}` tries again; `minos saga skip {id} --value …` goes on with what was done by hand; `minos saga rollback {id}` undoes it all\n",
            stuck.join(", ")
        );
    }
    text
}

/// `"succeeded"`, or `{"stuck":"undo"}`.
fn standing(status: &Value) -> String {
    match status {
        Value::String(name) => name.clone(),
        Value::Object(one) => one.iter().map(|(name, what)| format!("{name} ({})", what.as_str().unwrap_or_default())).collect(),
        other => other.to_string(),
    }
}

/// The sentence of an error, or all that there is of it.
fn message(error: &Value) -> String {
    error["message"].as_str().map_or_else(|| error.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_stuck_is_told_with_what_to_do() {
        let execution: Execution = serde_json::from_str(
            r#"{"id":"0190","saga":"MoveMoney","definition":"x","status":"needs_operator","values":{"cents":3},
                "steps":{"take":{"status":"succeeded","attempts":{"execute":1},"limit":1,"started_at":"T1","changed_at":"T2"},
                         "tell":{"status":{"stuck":"execute"},"attempts":{"execute":20},"limit":20,"started_at":"T1","changed_at":"T2",
                                 "error":{"kind":"conflict","message":"`tell` refuses"}}},
                "started_at":"T1","changed_at":"T2","version":3}"#,
        )
        .unwrap();
        assert_eq!(stuck_steps(&execution), ["tell"]);
        let text = tell(&execution);
        assert!(text.contains("tell  stuck (execute)  execute 20  T1       -    `tell` refuses"), "{text}");
        assert!(text.contains("\nstuck: tell. `minos saga retry 0190`"), "{text}");
        assert!(text.starts_with("id       0190\n"), "{text}");
    }
}
