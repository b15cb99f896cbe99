//! What the methods are, and the mistakes in them.

use super::{
    Block, EventMethod, Field, Versions, options,
    was::{self, Was},
};
use crate::{
    diag::Errors,
    item::{capital, cfgs, plain},
    purity::{call_on_self, impure_call},
    word::OWN_EVENTS,
};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Attribute, FnArg, Ident, ImplItem, ImplItemFn, ItemImpl, LitStr, Pat, ReturnType, Signature, Token, Type, parse::ParseStream};

pub(super) fn owner(errors: &Errors, block: &ItemImpl) -> Option<Ident> {
    if let Some((path, _)) = &block.trait_ {
        errors.at(path, "`#[aggregate]` goes on the aggregate's own `impl`, not on that of a trait");
    }
    if !block.generics.params.is_empty() {
        errors.at(&block.generics, "an aggregate cannot be generic: its name is the name of its stream");
    }
    match &*block.self_ty {
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.clone()),
        other => {
            errors.at(other, "`#[aggregate]` goes on the `impl` of an aggregate");
            None
        }
    }
}

pub(super) fn items(errors: &Errors, items: Vec<ImplItem>, owner: Option<&Ident>) -> Block {
    let (mut block, mut plain) = (Block::default(), Vec::new());
    for item in items {
        match item {
            ImplItem::Fn(mut method) => match method.attrs.iter().position(|attr| attr.path().is_ident("event")) {
                Some(place) => {
                    let attr = method.attrs.remove(place);
                    event(errors, attr, method, owner, &mut block);
                }
                None => plain.push(method),
            },
            other => block.kept.push(other),
        }
    }
    let mut names: Vec<String> = block.events.iter().map(|event| event.method.sig.ident.to_string()).collect();
    // Until no more are found: what calls a moved method moves, too.
    loop {
        let (moves, stays): (Vec<_>, Vec<_>) = plain
            .into_iter()
            .partition(|method| changes_self(&method.sig) && call_on_self(method.block.to_token_stream(), &names).is_some());
        plain = stays;
        if moves.is_empty() {
            break;
        }
        names.extend(moves.iter().map(|method| method.sig.ident.to_string()));
        block.moved.extend(moves);
    }
    block.kept.extend(plain.into_iter().map(ImplItem::Fn));
    for EventMethod { method, .. } in &block.events {
        if let Some(call) = call_on_self(method.block.to_token_stream(), &names) {
            errors.at(
                &call,
                format!(
                    "an event method calls no other one: replay repeats `{}`, and what `{call}` records as well, so it would happen twice\nhelp: call both from a plain method, or put what they share into one that is no event",
                    method.sig.ident
                ),
            );
        }
    }
    block
}

/// Whether it takes `&mut self`.
fn changes_self(sig: &Signature) -> bool {
    sig.receiver().is_some_and(|receiver| receiver.to_token_stream().to_string() == "& mut self")
}

fn event(errors: &Errors, attr: Attribute, mut method: ImplItemFn, owner: Option<&Ident>, block: &mut Block) {
    let docs = take_docs(&mut method.sig);
    let sig = &method.sig;
    let named = event_name(errors, &attr, sig, owner);
    if let Some(asyncness) = &sig.asyncness {
        errors.at(asyncness, "an event method is a state change that replay repeats, so it cannot be `async`\nhelp: await in a plain method, then call this one");
    }
    if let ReturnType::Type(arrow, ty) = &sig.output {
        errors.at(
            &quote!(#arrow #ty),
            "an event method cannot fail or answer: what happened has happened\nhelp: check the rule in a plain method, then call this one",
        );
    }
    if !sig.generics.params.is_empty() {
        errors.at(&sig.generics, "an event method cannot be generic: its parameters are the fields of the event");
    }
    if !changes_self(sig) {
        match sig.receiver() {
            Some(receiver) => errors.at(receiver, "an event method takes `&mut self`"),
            None => errors.at(&sig.ident, "an event method takes `&mut self`"),
        }
    }
    if let Some(call) = impure_call(method.block.to_token_stream()) {
        let message = format!(
            "replay would get another value from `{}()`\nhelp: take the value as a parameter of `{}`, so that the event stores it",
            call.name, sig.ident
        );
        errors.at(&call.tokens, message);
    }
    let fields = fields(errors, sig, docs);
    let Some((name, versions)) = named else { return };
    if block.events.iter().any(|other| other.name.value() == name.value()) {
        errors.at(&name, format!("there is already an event `{}`: the name is what is stored", name.value()));
    }
    block.events.push(EventMethod { method, name, versions, fields });
}

fn event_name(errors: &Errors, attr: &Attribute, sig: &Signature, owner: Option<&Ident>) -> Option<(LitStr, Versions)> {
    let parse = |input: ParseStream<'_>| {
        let name: LitStr = input.parse()?;
        input.parse::<Option<Token![,]>>()?;
        Ok((name, input.parse::<TokenStream>()?))
    };
    let Ok((name, more)) = attr.parse_args_with(parse) else {
        errors.at(attr, format!("an event needs a name, in the past tense\nhelp: `#[event(\"{}\")]`", camel(&sig.ident)));
        return None;
    };
    let versions = options::event(errors, more);
    let text = name.value();
    if syn::parse_str::<Ident>(&text).is_err() {
        errors.at(&name, format!("`{text}` cannot be the name of a type\nhelp: `\"{}\"`", camel(&sig.ident)));
        return None;
    }
    if OWN_EVENTS.iter().any(|suffix| owner.is_some_and(|owner| text == format!("{owner}{suffix}"))) {
        errors.at(&name, format!("every aggregate already has an event `{text}`\nhelp: name what happened in words of the domain"));
    }
    Some((name, versions))
}

fn camel(ident: &Ident) -> String {
    ident.to_string().split('_').map(capital).collect()
}

/// The docs of each parameter and what it says to us, which are those of a field: on a parameter, Rust has no place for them.
pub(super) fn take_docs(sig: &mut Signature) -> Vec<Vec<Attribute>> {
    let take = |argument: &mut FnArg| {
        let (FnArg::Typed(syn::PatType { attrs, .. }) | FnArg::Receiver(syn::Receiver { attrs, .. })) = argument;
        let (docs, others) = std::mem::take(attrs).into_iter().partition(|attr| attr.path().is_ident("doc") || was::is_ours(attr));
        *attrs = others;
        docs
    };
    sig.inputs.iter_mut().map(take).collect()
}

fn fields(errors: &Errors, sig: &Signature, docs: Vec<Vec<Attribute>>) -> Vec<Field> {
    let mut fields = Vec::new();
    for (argument, docs) in sig.inputs.iter().zip(docs) {
        let FnArg::Typed(typed) = argument else { continue };
        match (&*typed.pat, &*typed.ty) {
            (_, Type::Reference(reference)) => {
                errors.at(&reference.and_token, "an event owns its data\nhelp: `String` for `&str`, `Vec<T>` for `&[T]`")
            }
            (Pat::Ident(pattern), ty) => {
                let (was, docs): (Vec<_>, Vec<_>) = docs.into_iter().partition(was::is_ours);
                let (cfgs, was) = (cfgs(&typed.attrs), was::names(errors, &was));
                fields.push(Field { cfgs, docs, was, name: pattern.ident.clone(), ty: ty.clone() });
            }
            (pattern, _) => errors.at(pattern, "name this parameter: it becomes a field of the event"),
        }
    }
    let current: Vec<_> = fields.iter().map(|field| plain(&field.name)).collect();
    let was = fields.iter().flat_map(|field| field.was.iter().map(|old| Was { old: old.clone(), name: plain(&field.name) }));
    was::distinct(errors, &was.collect::<Vec<_>>(), &current);
    fields
}
