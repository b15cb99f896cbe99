//! A saga as a picture: what all languages of pictures say of it.

mod mermaid;
mod svg;

pub use mermaid::diagram;
pub use svg::svg;

use super::{Attempts, Decision, Execution, Node, Status, Step, StepState, StepStatus, plan::decision_key};

/// What stands in the box of a step.
fn lines(step: &Step, state: Option<&StepState>) -> Vec<String> {
    let mut lines = vec![step.name.to_owned()];
    lines.extend(step.output.map(|output| format!("→ {}: {}", output.name, output.ty)));
    lines.extend(step.undo().map(|_| "can be undone".to_owned()));
    lines.extend(state.map(|state| words(state.status, state.in_doubt, state.attempts)));
    lines.extend(state.and_then(|state| state.error.as_ref()).map(|error| error.message.clone()));
    lines
}

/// What stands at the end.
fn end(execution: Option<&Execution>) -> &'static str {
    execution.map_or(Status::Committed, |execution| execution.status).name()
}

/// What was decided at the `when` that begins so.
fn decision<'e>(then: &[Node], execution: Option<&'e Execution>) -> Option<&'e Decision> {
    decision_key(then).and_then(|key| execution?.decisions.get(&key))
}

/// What stands at the two ways of a `when`.
fn yes_and_no(decision: Option<&Decision>) -> (&'static str, &'static str) {
    match decision {
        Some(Decision::Then) => ("yes, taken", "no"),
        Some(Decision::Otherwise) => ("yes", "no, taken"),
        Some(Decision::Stuck(_)) | None => ("yes", "no"),
    }
}

fn class_of_step(state: &StepState) -> &'static str {
    match state.status {
        StepStatus::Succeeded | StepStatus::Replaced | StepStatus::Applied => "done",
        StepStatus::UnderWay(_) | StepStatus::Pausing(_) => "active",
        StepStatus::Stuck(_) => "stuck",
        StepStatus::Failed => "failed",
        StepStatus::Undone => "undone",
    }
}

fn class_of(status: Status) -> &'static str {
    match status {
        Status::Running | Status::Committing | Status::Compensating => "active",
        Status::Committed => "done",
        Status::RolledBack => "undone",
        Status::NeedsOperator => "stuck",
    }
}

fn words(status: StepStatus, in_doubt: bool, attempts: Attempts) -> String {
    use super::Direction::{Abort, Cancel, Commit, Execute, Undo};
    let doing = |direction| match direction {
        Execute => "executing",
        Cancel => "cancelling",
        Undo => "undoing",
        Commit => "applying",
        Abort => "dropping",
    };
    match status {
        StepStatus::UnderWay(direction) => format!("{}, attempt {}", doing(direction), attempts.of(direction)),
        StepStatus::Pausing(direction) => format!("{}, pausing after attempt {}", doing(direction), attempts.of(direction)),
        StepStatus::Stuck(direction) => format!("{}, stuck after attempt {}", doing(direction), attempts.of(direction)),
        StepStatus::Succeeded => "succeeded".to_owned(),
        StepStatus::Replaced => "an error, and a value in its place".to_owned(),
        StepStatus::Failed if in_doubt => "failed, and may have happened".to_owned(),
        StepStatus::Failed => "failed".to_owned(),
        StepStatus::Undone => "undone".to_owned(),
        StepStatus::Applied => "applied".to_owned(),
    }
}
