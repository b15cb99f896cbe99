//! What makes a function a handler.

use super::{
    Kind,
    parse::{Attribute, check_method},
};
use crate::{
    diag::Errors,
    item::{Function, cfgs, last_segment, type_arguments},
    lit,
    word::EXTRACTORS,
};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::{FnArg, LitStr, ReturnType, Type, TypeReference};

/// A handler that can be expanded.
pub(crate) struct Handler<'f> {
    pub(crate) kind: Kind,
    pub(crate) params: Vec<Param<'f>>,
    pub(crate) answer: Answer<'f>,
}

/// A parameter.
pub(crate) struct Param<'f> {
    /// Its `#[cfg]`s.
    pub(crate) cfgs: TokenStream,
    /// What is read from the request; nothing for the context.
    pub(crate) extract: Option<&'f Type>,
}

/// What it answers. `Result` and plain answers are told apart by name, since one impl for both would overlap.
pub(crate) enum Answer<'f> {
    Nothing,
    Plain(&'f Type),
    /// The type as written, and its arguments.
    Result(&'f Type, Vec<&'f Type>),
}

/// The parameters of all routes.
struct Captures {
    counts: Vec<usize>,
}

pub(crate) fn check<'f>(kind: Kind, errors: &Errors, attribute: &Attribute, function: &'f Function) -> Option<Handler<'f>> {
    let captures = routes(kind, errors, attribute);
    names(kind, errors, &attribute.names);
    attribute.access.check(kind, errors);
    signature(kind, errors, function);
    let params = params(kind, errors, function, &captures);
    let answer = answer(&function.sig.output);
    errors.is_empty().then_some(Handler { kind, params, answer })
}

fn routes(kind: Kind, errors: &Errors, attribute: &Attribute) -> Captures {
    let mut counts = Vec::new();
    let mut first: Option<Vec<String>> = None;
    for (method, path) in &attribute.routes {
        if matches!(kind, Kind::Event | Kind::Periodic) {
            errors.at(
                method,
                format!("{} has no route: it is not called from outside\nhelp: `#[command({method} \"…\")]` for what is", kind.noun()),
            );
            continue;
        }
        check_method(kind, errors, method);
        let names = lit::path_parameters(errors, path);
        counts.push(names.len());
        match &first {
            Some(first) if *first != names => {
                errors.at(path, format!("all routes of a handler have the same parameters, and the first has {}", listed(first)))
            }
            Some(_) => {}
            None => first = Some(names),
        }
    }
    Captures { counts }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(|name| format!("`{{{name}}}`")).collect::<Vec<_>>().join(", ")
}

fn names(kind: Kind, errors: &Errors, names: &[LitStr]) {
    let mut seen: Vec<String> = Vec::new();
    for name in names {
        match kind {
            Kind::Event => lit::event_name(errors, name),
            Kind::Periodic => lit::schedule(errors, name),
            Kind::Command | Kind::Query => topic(errors, name),
        }
        if seen.contains(&name.value()) {
            errors.at(name, format!("`{}` is already given", name.value()));
        }
        seen.push(name.value());
    }
}

/// That every broker can have this topic.
fn topic(errors: &Errors, name: &LitStr) {
    let text = name.value();
    if text.is_empty() || text.len() > 200 || !text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')) {
        errors.at(name, "the name of a topic is 1 to 200 letters, digits, `.`, `_` and `-`\nhelp: `\"CreateFoo\"`");
    }
}

fn signature(kind: Kind, errors: &Errors, function: &Function) {
    let sig = &function.sig;
    if sig.asyncness.is_none() {
        errors.at(&sig.fn_token, format!("{} is an `async fn`", kind.noun()));
    }
    if let Some(lifetime) = sig.generics.lifetimes().next() {
        errors.at(lifetime, format!("{} has no lifetime parameters: its input is decoded, so it is owned", kind.noun()));
    } else if !sig.generics.params.is_empty() {
        errors.at(&sig.generics, format!("{} cannot be generic: it is registered once, under one name", kind.noun()));
    }
    if let Some(abi) = &sig.abi {
        errors.at(abi, format!("{} is a plain Rust function", kind.noun()));
    }
    if let Some(variadic) = &sig.variadic {
        errors.at(variadic, format!("{} takes each of its parameters by name", kind.noun()));
    }
    let has_body = matches!(&function.body, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
    // What has a `self` is told that, and not this, too.
    if !has_body && sig.receiver().is_none() {
        errors.at(&sig.ident, format!("{} has a body: it cannot be declared in a `trait`", kind.noun()));
    }
}

fn params<'f>(kind: Kind, errors: &Errors, function: &'f Function, captures: &Captures) -> Vec<Param<'f>> {
    let (mut params, mut context, mut input) = (Vec::new(), false, None);
    for argument in &function.sig.inputs {
        let typed = match argument {
            FnArg::Receiver(receiver) => {
                errors.at(receiver, format!("{} is a free function: remove `self`", kind.noun()));
                continue;
            }
            FnArg::Typed(typed) => typed,
        };
        let cfgs = cfgs(&typed.attrs);
        // Of those that are compiled in some builds only, another one may be the same.
        let always = cfgs.is_empty();
        match &*typed.ty {
            Type::Reference(reference) if is_context(&reference.elem) => {
                borrowed_context(kind, errors, reference);
                if always && std::mem::replace(&mut context, true) {
                    errors.at(&typed.ty, "`Context` is already there\nhelp: one is enough");
                }
                params.push(Param { cfgs, extract: None });
            }
            Type::Reference(reference) => {
                errors.at(&reference.and_token, format!("{} takes its parameters by value; only `Context` is borrowed", kind.noun()));
            }
            ty if is_context(ty) => errors.at(ty, format!("`Context` is borrowed\nhelp: `{}`", context_of(kind))),
            ty => {
                let input = if always { Some(&mut input) } else { None };
                extracted(kind, errors, ty, captures, input);
                params.push(Param { cfgs, extract: Some(ty) });
            }
        }
    }
    params
}

fn is_context(ty: &Type) -> bool {
    last_segment(ty).is_some_and(|segment| segment.ident == "Context")
}

fn context_of(kind: Kind) -> &'static str {
    if kind == Kind::Query { "&Context" } else { "&mut Context" }
}

fn borrowed_context(kind: Kind, errors: &Errors, reference: &TypeReference) {
    if kind == Kind::Query
        && let Some(mutability) = &reference.mutability
    {
        errors.at(mutability, "a query changes nothing: take `&Context`\nhelp: if it must change something, make it a `#[command]`");
    }
}

fn extracted<'f>(kind: Kind, errors: &Errors, ty: &'f Type, captures: &Captures, input: Option<&mut Option<&'f Type>>) {
    let name = last_segment(ty).map(|segment| segment.ident.to_string()).unwrap_or_default();
    if name == "Path" {
        path(errors, ty, captures);
    }
    if EXTRACTORS.contains(&name.as_str()) {
        return;
    }
    if kind == Kind::Periodic {
        errors.at(ty, "a periodic handler is called by the clock, so it has no input\nhelp: `&mut Context` is what it can take");
    } else if let Some(first) = input.and_then(|input| input.replace(ty)) {
        let first = quote::quote!(#first).to_string().replace(' ', "");
        errors.at(
            ty,
            format!(
                "a handler has one input, and `{first}` is it\nhelp: put both into one struct; extractors are {}",
                EXTRACTORS.join(", ")
            ),
        );
    }
}

fn path(errors: &Errors, ty: &Type, captures: &Captures) {
    let tuple = last_segment(ty).and_then(|segment| match type_arguments(segment).first() {
        Some(Type::Tuple(tuple)) => Some(tuple.elems.len()),
        _ => None,
    });
    match (captures.counts.first(), tuple) {
        (None, _) => errors.at(ty, "there is no route for this `Path` to read\nhelp: add one, as `GET \"/foos/{uuid}\"`"),
        (Some(0), _) => errors.at(ty, "the route has no `{parameter}` for this `Path`"),
        (Some(count), Some(arity)) if *count != arity => {
            errors.at(ty, format!("the route has {count} path parameter{}, this `Path` has {arity}", if *count == 1 { "" } else { "s" }));
        }
        _ => {}
    }
}

fn answer(output: &ReturnType) -> Answer<'_> {
    let ReturnType::Type(_, ty) = output else { return Answer::Nothing };
    match last_segment(ty) {
        Some(segment) if segment.ident.to_string().ends_with("Result") => Answer::Result(ty, type_arguments(segment)),
        _ => Answer::Plain(ty),
    }
}
