//! A saga as a picture, in the language of Mermaid.

use super::{Decision, Execution, Node, SagaDef, Status, Step, StepKind, StepStatus, Work, plan::decision_key};
use std::fmt::Write;

const STYLES: &str = "    classDef done fill:#d3f2d9,stroke:#2c7a3f
    classDef active fill:#dbe9ff,stroke:#2a5db0
    classDef undone fill:#eeeeee,stroke:#777777,stroke-dasharray:4
    classDef failed fill:#ffe3cf,stroke:#b3541e
    classDef stuck fill:#ffd3d3,stroke:#b00020,stroke-width:3px
";

/// The flow chart of a saga; with an execution, how far that has come. Remote steps have double sides, the pivot has six corners, and what
/// can only be retried is round; what can be undone says so.
pub fn diagram(def: &SagaDef, execution: Option<&Execution>) -> String {
    let mut chart = Chart { text: "flowchart TD\n".to_owned(), count: 0, execution };
    let start = chart.node(&format!("([{}])", quoted(&[def.name])));
    let ends = chart.nodes(def.nodes, vec![(start, None)]);
    let (words, class) = match execution {
        None => ("committed".to_owned(), None),
        Some(execution) => (execution.status.to_string(), Some(class_of(execution.status))),
    };
    let end = chart.node(&format!("([{}])", quoted(&[&words])));
    chart.join(&ends, &end);
    chart.class(&end, class);
    if execution.is_some() {
        chart.text.push_str(STYLES);
    }
    chart.text
}

/// Where an arrow begins, and what it says.
type Ends = Vec<(String, Option<&'static str>)>;

struct Chart<'a> {
    text: String,
    count: usize,
    execution: Option<&'a Execution>,
}

impl Chart<'_> {
    fn nodes(&mut self, nodes: &[Node], mut ends: Ends) -> Ends {
        for node in nodes {
            ends = match node {
                Node::Step(step) => self.step(step, &ends),
                Node::When { then, otherwise, .. } => self.when(then, otherwise, &ends),
                Node::Parallel(branches) => {
                    let fork = self.node("@{ shape: fork }");
                    self.join(&ends, &fork);
                    let all = branches.iter().flat_map(|branch| self.nodes(branch, vec![(fork.clone(), None)])).collect::<Ends>();
                    let together = self.node("@{ shape: fork }");
                    self.join(&all, &together);
                    vec![(together, None)]
                }
            };
        }
        ends
    }

    fn when(&mut self, then: &[Node], otherwise: &[Node], ends: &Ends) -> Ends {
        let decision = decision_key(then).and_then(|key| self.execution?.decisions.get(&key));
        let choice = self.node("{when}");
        self.join(ends, &choice);
        let (yes, no) = match decision {
            Some(Decision::Then) => ("yes, taken", "no"),
            Some(Decision::Otherwise) => ("yes", "no, taken"),
            Some(Decision::Stuck(_)) | None => ("yes", "no"),
        };
        self.class(&choice, matches!(decision, Some(Decision::Stuck(_))).then_some("stuck"));
        let mut after = self.nodes(then, vec![(choice.clone(), Some(yes))]);
        after.extend(self.nodes(otherwise, vec![(choice, Some(no))]));
        after
    }

    fn step(&mut self, step: &Step, ends: &Ends) -> Ends {
        let state = self.execution.and_then(|execution| execution.steps.get(step.name));
        let mut lines = vec![step.name.to_owned()];
        lines.extend(step.output.map(|output| format!("→ {}: {}", output.name, output.ty)));
        lines.extend(step.undo().map(|_| "can be undone".to_owned()));
        lines.extend(state.map(|state| words(state.status, state.in_doubt, state.attempts)));
        lines.extend(state.and_then(|state| state.error.as_ref()).map(|error| error.message.clone()));
        let label = quoted(&lines);
        let shape = match (step.kind, &step.work) {
            (StepKind::Pivot, _) => format!("{{{{{label}}}}}"),
            (StepKind::Retriable, _) => format!("({label})"),
            (StepKind::Compensable, Work::Remote { .. }) => format!("[[{label}]]"),
            (StepKind::Compensable, Work::Local { .. }) => format!("[{label}]"),
        };
        let node = self.node(&shape);
        self.join(ends, &node);
        self.class(
            &node,
            state.map(|state| match state.status {
                StepStatus::Succeeded | StepStatus::Replaced => "done",
                StepStatus::UnderWay(_) | StepStatus::Pausing(_) => "active",
                StepStatus::Stuck(_) => "stuck",
                StepStatus::Failed => "failed",
                StepStatus::Undone => "undone",
            }),
        );
        vec![(node, None)]
    }

    /// A new node. Its id is a number with a letter: a step may be called `end`, which is a word of the language.
    fn node(&mut self, shape: &str) -> String {
        self.count += 1;
        let id = format!("n{}", self.count);
        self.line(format_args!("{id}{shape}"));
        id
    }

    fn join(&mut self, ends: &Ends, to: &str) {
        for (from, words) in ends {
            let words = words.map(|words| format!("|{words}|")).unwrap_or_default();
            self.line(format_args!("{from} -->{words} {to}"));
        }
    }

    fn class(&mut self, id: &str, class: Option<&str>) {
        if let Some(class) = class {
            self.line(format_args!("class {id} {class}"));
        }
    }

    fn line(&mut self, what: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "    {what}");
    }
}

fn class_of(status: Status) -> &'static str {
    match status {
        Status::Running | Status::Compensating => "active",
        Status::Committed => "done",
        Status::RolledBack => "undone",
        Status::NeedsOperator => "stuck",
    }
}

fn words(status: StepStatus, in_doubt: bool, attempts: super::Attempts) -> String {
    use super::Direction::{Cancel, Execute, Undo};
    let doing = |direction| match direction {
        Execute => "executing",
        Cancel => "cancelling",
        Undo => "undoing",
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
    }
}

/// Lines as the label of a node: whatever is in them is text.
fn quoted(lines: &[impl AsRef<str>]) -> String {
    let mut label = String::from("\"");
    for (n, line) in lines.iter().enumerate() {
        if n > 0 {
            label.push_str("<br/>");
        }
        for c in line.as_ref().chars() {
            match c {
                '"' | '<' | '>' | '&' | '#' | '`' | '\\' | '\n' | '\r' => {
                    let _ = write!(label, "#{};", u32::from(c));
                }
                c => label.push(c),
            }
        }
    }
    label.push('"');
    label
}
