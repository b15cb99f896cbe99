//! Names: of the saga, its steps and their values.

use super::super::{
    model::{Node, Saga},
    views::{Value, Views},
};
use crate::{
    diag::Errors,
    item::{camel, plain, snake},
};

pub(super) fn check(errors: &Errors, saga: &Saga, views: &Views<'_>) {
    let name = plain(&saga.name);
    if !name.starts_with(char::is_uppercase) || syn::parse_str::<syn::Ident>(&name).is_err() {
        errors.at(
            &saga.name,
            format!("a saga is named like a type: the module `{name}` is for what its steps see\nhelp: `{}`", camel(&name)),
        );
    } else if ["self", "super", "crate"].contains(&snake(&name).as_str()) {
        errors.at(&saga.name, format!("`{name}` cannot be the name of a saga: what its steps see would be in a module `{}`", snake(&name)));
    }
    steps(errors, views, &name);
    values(errors, &saga.nodes, &mut views.input.clone());
}

fn steps(errors: &Errors, views: &Views<'_>, saga_name: &str) {
    let module = snake(saga_name);
    let mut names: Vec<String> = Vec::new();
    let mut seen = vec![("Done".to_owned(), "what is known at the end".to_owned())];
    for one in &views.steps {
        let (step, name) = (one.step, one.step.stored_name());
        if names.contains(&name) {
            errors.at(&step.name, format!("there is already a step `{name}`: the name is what the stored saga resumes at"));
            continue;
        }
        let Some(before) = one.view() else {
            errors.at(
                &step.name,
                format!("`{name}` cannot be the name of a step: what it sees is a type of this name\nhelp: begin it with a letter"),
            );
            continue;
        };
        for view in [Some(before), one.done_view()].into_iter().flatten() {
            let view = view.to_string();
            if let Some((_, whose)) = seen.iter().find(|(known, _)| *known == view) {
                errors.at(
                    &step.name,
                    format!("what step `{name}` sees would be `{module}::{view}`, and that is {whose}\nhelp: give it another name"),
                );
                continue;
            }
            seen.push((view, format!("what step `{name}` sees")));
        }
        names.push(name);
    }
}

/// That no value has the name of another one, but in two branches of a `when` of which only one is taken.
fn values<'s>(errors: &Errors, nodes: &'s [Node], taken: &mut Vec<Value<'s>>) {
    for node in nodes {
        match node {
            Node::Step(step) => {
                let Some(value) = step.value() else { continue };
                match taken.iter().find(|known| known.text() == value.text() || known.stored() == value.text()) {
                    Some(Value { step: Some(first), .. }) => errors.at(
                        value.name,
                        format!("`{}` is already what step `{}` yields: each value of a saga has its own name", value.name, first.name),
                    ),
                    Some(_) => errors
                        .at(value.name, format!("`{}` is already a field of the input: each value of a saga has its own name", value.name)),
                    None => taken.push(value),
                }
            }
            Node::When(when) => {
                let before = taken.len();
                let mut other = taken.clone();
                values(errors, &when.then, taken);
                values(errors, when.otherwise(), &mut other);
                for value in other.into_iter().skip(before) {
                    match taken.iter().find(|known| known.text() == value.text()) {
                        Some(first) if first.type_text() != value.type_text() => errors.at(
                            value.ty,
                            format!(
                                "`{}` is of type `{}` in the other branch\nhelp: give them the same type, or another name to one of them",
                                value.name,
                                first.type_text()
                            ),
                        ),
                        Some(_) => {}
                        None => taken.push(value),
                    }
                }
            }
            Node::Parallel(parallel) => parallel.branches.iter().for_each(|branch| values(errors, branch, taken)),
        }
    }
}
