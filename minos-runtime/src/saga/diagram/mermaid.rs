//! A saga as a picture, in the language of Mermaid.

use super::{class_of, class_of_step, decision, end, lines, yes_and_no};
use crate::saga::{Decision, Execution, Node, SagaDef, Step, StepKind, Work};
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
    let last = chart.node(&format!("([{}])", quoted(&[end(execution)])));
    chart.join(&ends, &last);
    chart.class(&last, execution.map(|execution| class_of(execution.status)));
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
        let decision = decision(then, self.execution);
        let choice = self.node("{when}");
        self.join(ends, &choice);
        let (yes, no) = yes_and_no(decision);
        self.class(&choice, matches!(decision, Some(Decision::Stuck(_))).then_some("stuck"));
        let mut after = self.nodes(then, vec![(choice.clone(), Some(yes))]);
        after.extend(self.nodes(otherwise, vec![(choice, Some(no))]));
        after
    }

    fn step(&mut self, step: &Step, ends: &Ends) -> Ends {
        let state = self.execution.and_then(|execution| execution.steps.get(step.name));
        let label = quoted(&lines(step, state));
        let shape = match (step.kind, &step.work) {
            (StepKind::Pivot, _) => format!("{{{{{label}}}}}"),
            (StepKind::Retriable, _) => format!("({label})"),
            (StepKind::Compensable, Work::Remote { .. }) => format!("[[{label}]]"),
            (StepKind::Compensable, Work::Local { .. }) => format!("[{label}]"),
        };
        let node = self.node(&shape);
        self.join(ends, &node);
        self.class(&node, state.map(class_of_step));
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
