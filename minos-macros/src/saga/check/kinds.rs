//! What can be undone, the point of no return, and what can only be tried again.

use super::super::model::{Node, Saga, Step, each_step};
use crate::diag::Errors;
use syn::Ident;

pub(super) fn check(errors: &Errors, saga: &Saga) {
    if saga.isolated {
        each_step(&saga.nodes, &mut |step| isolated(errors, step));
        return;
    }
    let root = Around { pivot: None, in_parallel: false, fails_later: None };
    block(errors, &saga.nodes, root);
}

/// What a step's surroundings say about it.
#[derive(Clone, Copy)]
struct Around<'s> {
    /// The pivot before it.
    pivot: Option<&'s Ident>,
    in_parallel: bool,
    /// The first step that can fail when this one has succeeded: behind it, or in another branch beside it.
    fails_later: Option<&'s Step>,
}

/// What a step prepares is applied or dropped: there is nothing to undo, and no point of no return but the end.
fn isolated(errors: &Errors, step: &Step) {
    for word in [&step.pivot, &step.retriable].into_iter().flatten() {
        errors.at(
            word,
            format!(
                "an isolated saga has no `{word}` step: nothing of it has happened before all its steps are done\nhelp: remove `{word}`"
            ),
        );
    }
    if let Some((key, _)) = step.key("on_failure") {
        errors.at(key, "nothing is undone in an isolated saga: what its steps have prepared is dropped\nhelp: remove `on_failure`");
    }
}

/// Gives the pivot that may have been passed at the end.
fn block<'s>(errors: &Errors, nodes: &'s [Node], around: Around<'s>) -> Option<&'s Ident> {
    let mut pivot = around.pivot;
    for (n, node) in nodes.iter().enumerate() {
        let rest = nodes.get(n + 1..).unwrap_or_default();
        let here = Around { pivot, fails_later: first_to_fail(rest).or(around.fails_later), ..around };
        match node {
            Node::Step(step) => {
                self::step(errors, step, here);
                pivot = pivot.or(step.pivot.as_ref().map(|_| &step.name));
            }
            Node::When(when) => {
                let then = block(errors, &when.then, here);
                pivot = then.or(block(errors, when.otherwise(), here));
            }
            Node::Parallel(parallel) => {
                for (n, branch) in parallel.branches.iter().enumerate() {
                    let others = parallel.branches.iter().enumerate().filter(|(other, _)| *other != n);
                    let fails_beside = others.filter_map(|(_, other)| first_to_fail(other)).next();
                    block(errors, branch, Around { in_parallel: true, fails_later: fails_beside.or(here.fails_later), ..here });
                }
            }
        }
    }
    pivot
}

fn first_to_fail(nodes: &[Node]) -> Option<&Step> {
    let mut first = None;
    each_step(nodes, &mut |step| {
        if step.can_fail() {
            first.get_or_insert(step);
        }
    });
    first
}

fn step(errors: &Errors, step: &Step, around: Around<'_>) {
    let name = &step.name;
    match (&step.pivot, &step.retriable, around.pivot) {
        (Some(word), _, Some(first)) => return errors.at(word, format!("a saga has one pivot, and that is `{first}`")),
        (Some(_), Some(word), None) => {
            errors.at(word, "a step is the `pivot`, or it is `retriable`\nhelp: the pivot may fail, and what stands behind it is retried until it succeeds");
        }
        (Some(word), ..) if around.in_parallel => {
            errors.at(word, "a pivot cannot stand in `parallel`: what runs beside it may fail when there is no way back\nhelp: put it behind the `parallel`");
        }
        _ => {}
    }
    if let Some((key, _)) = step.key("on_failure") {
        if step.retriable.is_some() {
            errors.at(key, "a retriable step is never undone: it is tried again until it succeeds\nhelp: remove `on_failure`");
        } else if around.pivot.is_some() || step.pivot.is_some() {
            errors.at(key, "nothing is undone from the pivot on\nhelp: remove `on_failure`");
        }
    }
    if let (Some(pivot), None) = (around.pivot, &step.retriable) {
        errors.at(
            name,
            format!("a step after the pivot `{pivot}` can only be retried\nhelp: write `retriable {} {name}`", step.place.word()),
        );
        return;
    }
    let is_undone = step.callback("on_failure").is_some() || step.callback("on_execute").is_none();
    if let (None, None, false, Some(later)) = (around.pivot, &step.pivot, is_undone, around.fails_later) {
        let later = &later.name;
        let message = if step.retriable.is_some() {
            format!("step `{name}` is retriable, so it cannot be undone if `{later}` fails\nhelp: put it behind all steps that can fail")
        } else if around.in_parallel {
            format!(
                "step `{name}` cannot be undone if `{later}` fails\nhelp: give it `on_failure`, which is `()` if there is nothing to undo"
            )
        } else {
            format!(
                "step `{name}` cannot be undone if `{later}` fails\nhelp: give it `on_failure`, which is `()` if there is nothing to undo, or make it the `pivot`"
            )
        };
        errors.at(name, message);
    }
}
