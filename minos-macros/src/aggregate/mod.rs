//! `#[aggregate]` on a struct and on its `impl`, `#[derive(Aggregate)]`, and `#[aggregate_ref]`.

mod check;
mod expand;
mod fields;
mod methods;
mod options;
mod set_field;
mod snapshot;
mod subject;
mod unique;
mod was;

pub(crate) use check::derives;
pub(crate) use fields::{is_sensitive, without};

use crate::{diag::Errors, door::Door, serial};
use proc_macro2::TokenStream;
use syn::{
    DeriveInput, ItemImpl,
    parse::{ParseStream, Parser},
};

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let errors = Errors::default();
    if let Ok(block) = syn::parse2::<ItemImpl>(item.clone()) {
        let door = arguments(&errors, "aggregate", "what it says of itself stands on the struct", args);
        return methods::expand(errors, &door, block);
    }
    let options = options::aggregate(&errors, args);
    let Some(mut input) = structure(&errors, "aggregate", &item) else { return errors.with_item(&item) };
    let was = was::fields(&errors, &input);
    was::strip(&mut input);
    check::derives(&errors, "aggregate", &input.attrs);
    match check::check(&errors, &input, options, was) {
        Some(aggregate) if errors.is_empty() => expand::attribute(&aggregate),
        _ => errors.with_item(&fields::bare(&input)),
    }
}

pub(crate) fn derive(item: TokenStream) -> TokenStream {
    let errors = Errors::default();
    let Some(input) = structure(&errors, "derive(Aggregate)", &item) else { return errors.into_tokens() };
    let (options, was) = (options::of_derive(&errors, &input.attrs), was::fields(&errors, &input));
    match check::check(&errors, &input, options, was) {
        Some(aggregate) if errors.is_empty() => expand::derive(&aggregate),
        _ => errors.into_tokens(),
    }
}

pub(crate) fn reference(args: TokenStream, item: TokenStream) -> TokenStream {
    let errors = Errors::default();
    let door = arguments(&errors, "aggregate_ref", "the name of the struct is the name of its streams", args);
    let Some(input) = structure(&errors, "aggregate_ref", &item) else { return errors.with_item(&item) };
    check::derives(&errors, "aggregate_ref", &input.attrs);
    let fields = check::fields(&errors, "aggregate_ref", &input);
    check::generics(&errors, &input);
    for field in fields.iter().filter(|field| is_sensitive(&field.ty)) {
        errors.at(&field.ty, "what is sensitive stays in its service, which answers it as `null`\nhelp: leave it out, and ask that service for what it exposes");
    }
    if !errors.is_empty() {
        return errors.with_item(&item);
    }
    expand::reference(&door, &input, &serial::types(&input.ident, fields))
}

/// Only `crate = …` can be said here.
fn arguments(errors: &Errors, name: &str, why: &str, args: TokenStream) -> Door {
    let parse = |input: ParseStream<'_>| {
        if input.is_empty() {
            return Ok(Door::default());
        }
        if Door::is_next(input) {
            return Door::parse(input);
        }
        let rest: TokenStream = input.parse()?;
        Err(syn::Error::new_spanned(rest, format!("`#[{name}]` takes no arguments here: {why}")))
    };
    errors.ok(parse.parse2(args)).unwrap_or_default()
}

fn structure(errors: &Errors, name: &str, item: &TokenStream) -> Option<DeriveInput> {
    match syn::parse2::<DeriveInput>(item.clone()) {
        Ok(input) => Some(input),
        Err(error) => {
            let or_impl = if name == "aggregate" { ", or on its `impl`" } else { "" };
            errors.at_span(error.span(), format!("`#[{name}]` goes on a struct with named fields{or_impl}"));
            None
        }
    }
}
