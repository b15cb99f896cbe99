//! What tells a definition from another one of the same name.

use super::{Node, Output, SagaDef, Step, StepKind, Work};
use std::fmt::Write;
use uuid::Uuid;

/// The namespace of definitions among UUIDs that are made from names.
const NAMESPACE: Uuid = Uuid::from_u128(0x6d69_6e6f_7300_5000_8000_7361_6761_7300);

/// The hash of [`canonical`]. It depends on the text alone: not on the platform, the build, or where the saga stands.
pub fn hash(def: &SagaDef) -> String {
    Uuid::new_v5(&NAMESPACE, canonical(def).as_bytes()).simple().to_string()
}

/// A definition as text: what an execution that has begun relies on, one line each. Times and what the functions do are no part of it:
/// these may change while executions are under way.
pub fn canonical(def: &SagaDef) -> String {
    let mut text = format!("saga {}\n", def.name);
    if def.isolated {
        line(&mut text, 1, format_args!("isolated"));
    }
    for field in def.input {
        line(&mut text, 1, format_args!("input {}", value(field)));
    }
    nodes(&mut text, 1, def.nodes);
    text
}

fn nodes(text: &mut String, depth: usize, list: &[Node]) {
    for node in list {
        match node {
            Node::Step(step) => line(text, depth, format_args!("{}", words(step))),
            Node::When { then, otherwise, .. } => {
                line(text, depth, format_args!("when"));
                nodes(text, depth + 1, then);
                line(text, depth, format_args!("otherwise"));
                nodes(text, depth + 1, otherwise);
            }
            Node::Parallel(branches) => {
                line(text, depth, format_args!("parallel"));
                for branch in *branches {
                    line(text, depth + 1, format_args!("branch"));
                    nodes(text, depth + 2, branch);
                }
            }
        }
    }
}

fn words(step: &Step) -> String {
    let kind = match step.kind {
        StepKind::Compensable => "compensable",
        StepKind::Pivot => "pivot",
        StepKind::Retriable => "retriable",
    };
    let work = match step.work {
        Work::Remote { .. } => "remote",
        Work::Local { .. } => "local",
    };
    let output = step.output.as_ref().map(|output| format!(" -> {}", value(output))).unwrap_or_default();
    let undo = if step.undo().is_some() { ", undone" } else { "" };
    format!("{kind} {work} {}{output}{undo}", step.name)
}

fn value(output: &Output) -> String {
    format!("{}: {}", output.name, spaced(output.ty))
}

/// A type without the blanks that do not matter: `Vec < u8 >` is `Vec<u8>`.
fn spaced(ty: &str) -> String {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut text = String::with_capacity(ty.len());
    for part in ty.split_whitespace() {
        if text.ends_with(word) && part.starts_with(word) {
            text.push(' ');
        }
        text.push_str(part);
    }
    text
}

fn line(text: &mut String, depth: usize, what: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{:1$}{what}", "", depth * 2);
}
