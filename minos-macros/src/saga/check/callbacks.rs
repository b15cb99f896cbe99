//! Closures: their form, and what they read.

use super::super::{
    model::{Callback, Closure, Node, Place, Saga, Step, each_node, first_step},
    views::{Seen, Views},
};
use crate::{diag::Errors, item::plain, purity::each_read};

pub(super) fn check(errors: &Errors, saga: &Saga, views: &Views<'_>, is_whole: bool) {
    for seen in &views.steps {
        let step = seen.step;
        if is_whole && step.callback("on_execute").is_none() {
            errors.at(&step.name, format!("step `{}` does nothing\nhelp: give it `on_execute`", step.name));
        }
        for (key, callback) in &step.callbacks {
            if let Callback::Closure(closure) = callback {
                let key = key.to_string();
                if form(errors, step, &key, closure) {
                    reads(errors, views, seen, &key, closure, usize::from(step.place == Place::Local));
                }
            }
        }
    }
    each_node(&saga.nodes, &mut |node| {
        if let Node::When(when) = node
            && let Callback::Closure(closure) = &when.condition
            && condition(errors, closure)
            && let Some(seen) = first_step(&when.then).and_then(|first| views.steps.iter().find(|seen| std::ptr::eq(seen.step, first)))
        {
            reads(errors, views, seen, "when", closure, 0);
        }
    });
}

/// Whether a closure has the form that its key asks for.
fn form(errors: &Errors, step: &Step, key: &str, closure: &Closure) -> bool {
    let form = match (step.place, key) {
        (Place::Local, _) => "async |cx, saga| …",
        (Place::Remote, "on_error") => "|saga, error| …",
        (Place::Remote, _) => "|saga| …",
    };
    let count = 1 + usize::from(form.contains(','));
    if closure.params.len() != count {
        let plural = if count == 1 { "" } else { "s" };
        errors.at(&closure.bars, format!("`{key}` of a `{}` step takes {count} parameter{plural}: `{form}`", step.place.word()));
        return false;
    }
    match (step.place, &closure.asyncness) {
        (Place::Local, None) => {
            errors.at(&closure.bars, format!("`{key}` of a `local` step is an async closure\nhelp: `{form}`"));
            false
        }
        (Place::Remote, Some(word)) => {
            errors.at(
                word,
                match key {
                    "on_execute" | "on_failure" => {
                        "a remote step only says which message to send; it cannot wait\nhelp: do this in a `local` step before it"
                            .to_owned()
                    }
                    _ => format!("`{key}` only looks at the answer; it cannot wait\nhelp: do this in a `local` step behind it"),
                },
            );
            false
        }
        _ => true,
    }
}

fn condition(errors: &Errors, closure: &Closure) -> bool {
    if let Some(word) = &closure.asyncness {
        errors.at(word, "a condition only looks at what is known; it cannot wait\nhelp: find out in a `local` step before it, and yield what it is about");
        return false;
    }
    if closure.params.len() != 1 {
        errors.at(&closure.bars, "the condition of a `when` takes 1 parameter: `|saga| …`");
        return false;
    }
    true
}

/// That a closure reads nothing that is not known there. Names that the saga does not have at all are for rustc.
fn reads(errors: &Errors, views: &Views<'_>, seen: &Seen<'_>, key: &str, closure: &Closure, place: usize) {
    let Some(param) = closure.param(place) else { return };
    let known = if matches!(key, "on_success" | "on_failure") { seen.after() } else { seen.before.clone() };
    each_read(closure.body.clone(), param, &mut |field| {
        let is_known = known.iter().any(|value| value.text() == plain(field));
        if let Some(why) = (!is_known).then(|| views.why_unknown(seen, key, field)).flatten() {
            errors.at(field, why);
        }
    });
}
