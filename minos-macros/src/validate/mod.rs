//! `#[validate(…)]` on fields and structs, and `#[derive(Validate)]`.

mod expand;
mod parse;

pub(crate) use expand::implement;
pub(crate) use parse::{OfField, rules};

use crate::{diag::Errors, door::Door, word::VALIDATE};
use proc_macro2::TokenStream;
use syn::{Attribute, Data, DeriveInput, Fields};

/// `#[derive(Validate)]`.
pub(crate) fn derive(item: TokenStream) -> TokenStream {
    let errors = Errors::default();
    let Some(input) = errors.ok(syn::parse2::<DeriveInput>(item)) else { return errors.into_tokens() };
    let fields = match &input.data {
        Data::Struct(data) if matches!(data.fields, Fields::Named(_)) => data.fields.iter().collect(),
        _ => {
            errors.at(
                &input.ident,
                "`#[derive(Validate)]` goes on a struct with named fields\nhelp: `impl Validate` by hand, with `found.put(…)` for what is wrong",
            );
            Vec::new()
        }
    };
    let rules = rules(&errors, &input, &fields);
    if errors.is_empty() && rules.is_empty() {
        errors.at(
            &input.ident,
            "there are no rules on this struct or its fields\nhelp: `#[validate(not_empty)]` on a field, or `#[validate(with = path)]` on the struct",
        );
    }
    // Without the impl, whoever uses it would be told so, too.
    let implemented = implement(&Door::default(), &input, if errors.is_empty() { &rules } else { &[] });
    let errors = errors.into_tokens();
    quote::quote!(#implemented #errors)
}

/// Whether an attribute is one of ours.
pub(crate) fn is_attr(attr: &Attribute) -> bool {
    attr.path().is_ident(VALIDATE)
}
