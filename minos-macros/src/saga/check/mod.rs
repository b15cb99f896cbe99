//! What makes blocks a saga that can be carried out, and undone.

mod callbacks;
mod kinds;
mod names;

use super::{
    model::{Node, Saga, each_node},
    views::Views,
};
use crate::{aggregate::is_sensitive, diag::Errors, serial, word::SAGA_DERIVES};
use syn::{Attribute, Path, Token, punctuated::Punctuated};

pub(super) fn check(errors: &Errors, saga: &Saga, views: &Views<'_>) {
    // Where something could not be read, nothing is said about what may be missing because of it.
    let is_whole = errors.is_empty();
    input(errors, saga);
    open(errors, saga, views);
    names::check(errors, saga, views);
    if is_whole {
        shapes(errors, saga);
        kinds::check(errors, saga);
    }
    callbacks::check(errors, saga, views, is_whole);
}

fn input(errors: &Errors, saga: &Saga) {
    for attr in &saga.attrs {
        if serial::is_attr(attr) {
            errors.at(
                attr,
                "the fields of a saga are stored by their names, beside what its steps yield\nhelp: attributes for serde go on single fields",
            );
        }
        for path in derived(attr) {
            if let Some(name) = our_name(&path) {
                errors.at(&path, format!("`saga!` derives `{name}` already\nhelp: remove it here"));
            }
        }
    }
    for attr in saga.fields.iter().flat_map(|field| &field.attrs) {
        if attr.path().is_ident("cfg") {
            errors.at(attr, "a field of a saga is there in every build: stored executions need it");
        }
        let text = attr.meta.require_list().map(|list| list.tokens.to_string()).unwrap_or_default();
        let says = |words: &[&str]| text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| words.contains(&word));
        if !serial::is_attr(attr) {
            continue;
        }
        if says(&["skip", "skip_serializing", "skip_deserializing"]) {
            errors.at(attr, "what is not stored is lost: a saga goes on after a restart\nhelp: remove it");
        } else if says(&["flatten"]) {
            errors.at(attr, "what is flattened cannot be told from what steps yield: they are stored side by side\nhelp: remove it");
        }
    }
}

/// What is sensitive would be stored as `null`.
fn open(errors: &Errors, saga: &Saga, views: &Views<'_>) {
    let outputs = views.steps.iter().filter_map(|seen| seen.step.output.as_ref().map(|(_, ty)| ty));
    for ty in saga.fields.iter().map(|field| &field.ty).chain(outputs).filter(|ty| is_sensitive(ty)) {
        errors.at(
            ty,
            "what a saga knows is stored in the clear, and what is sensitive as `null`\nhelp: the uuid of what holds the value, from which its steps read it",
        );
    }
}

/// The name of a derive, if it is one that `saga!` adds.
fn our_name(path: &Path) -> Option<String> {
    let last = path.segments.last()?.ident.to_string();
    SAGA_DERIVES.contains(&last.as_str()).then_some(last)
}

/// Whether an attribute derives what `saga!` derives.
pub(super) fn is_ours(attr: &Attribute) -> bool {
    derived(attr).iter().any(|path| our_name(path).is_some())
}

fn derived(attr: &Attribute) -> Vec<Path> {
    if !attr.path().is_ident("derive") {
        return Vec::new();
    }
    attr.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated).map(|paths| paths.into_iter().collect()).unwrap_or_default()
}

/// That no block is empty or in vain.
fn shapes(errors: &Errors, saga: &Saga) {
    if saga.nodes.is_empty() {
        errors.at(&saga.name, format!("saga `{}` has no steps", saga.name));
    }
    each_node(&saga.nodes, &mut |node| match node {
        Node::Step(_) => {}
        Node::When(when) => {
            if when.then.is_empty() {
                errors
                    .at(&when.word, "this `when` has no steps\nhelp: turn its condition around, and write here what stands in `otherwise`");
            }
            if let Some((word, nodes)) = &when.otherwise
                && nodes.is_empty()
            {
                errors.at(word, "this `otherwise` has no steps\nhelp: leave it out");
            }
        }
        Node::Parallel(parallel) => {
            match parallel.branches.len() {
                0 => errors.at(&parallel.word, "this `parallel` has no steps"),
                1 => errors.at(
                    &parallel.word,
                    "this `parallel` has one branch, so nothing runs beside it\nhelp: write what is in it without `parallel`",
                ),
                _ => {}
            }
            for branch in &parallel.branches {
                if let [Node::Parallel(inner)] = branch.as_slice() {
                    errors.at(
                        &inner.word,
                        "a `parallel` directly in a `parallel` changes nothing\nhelp: write its branches into the outer one",
                    );
                }
            }
        }
    });
}
