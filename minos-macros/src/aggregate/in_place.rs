//! `#[aggregate(in_place)]`: updates set fields one by one.

use super::{check::Aggregate, options::Options};
use crate::{diag::Errors, item::plain, serial};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, DeriveInput, Field, Token};

/// What serde may be told of a field that is still read by its type alone, under a name that is known.
const ALLOWED: &[&str] = &["rename", "default", "skip_serializing_if"];

/// What serde is told that would be another thing when a field is read alone.
pub(super) fn check(errors: &Errors, input: &DeriveInput, fields: &[&Field]) {
    let why = "`in_place` reads each field by its type alone";
    let help = "help: leave out `in_place`, and updates are applied to the whole";
    for attr in serial::attrs(&input.attrs) {
        errors.at(attr, format!("{why}, and this says otherwise of all of them\n{help}"));
    }
    for attr in fields.iter().flat_map(|field| serial::attrs(&field.attrs)).filter(|attr| !is_allowed(attr)) {
        errors.at(attr, format!("{why}, and this says otherwise\n{help}"));
    }
}

fn is_allowed(attr: &Attribute) -> bool {
    let mut allowed = true;
    let read = attr.parse_nested_meta(|meta| {
        allowed &= ALLOWED.iter().any(|word| meta.path.is_ident(word));
        if meta.input.peek(Token![=]) {
            meta.value()?.parse::<syn::Expr>()?;
        }
        Ok(())
    });
    allowed && read.is_ok()
}

/// The constant of the aggregate's trait, and the trait that it is about.
pub(super) fn expand(aggregate: &Aggregate<'_>) -> Option<(TokenStream, TokenStream)> {
    let Aggregate { input, fields, options: Options { door, in_place, .. }, .. } = aggregate;
    in_place.as_ref()?;
    let ident = &input.ident;
    let arms = fields.iter().filter_map(|field| {
        let name = field.ident.as_ref()?;
        let stored = serial::renamed(&field.attrs).unwrap_or_else(|| plain(name));
        Some(quote!(#stored => self.#name = #door::serde::de::MapAccess::next_value(values)?,))
    });
    let constant = quote! {
        const IN_PLACE: ::core::option::Option<#door::Apply<Self>> = ::core::option::Option::Some(#door::in_place::<Self>);
    };
    let implementation = quote! {
        #[automatically_derived]
        impl #door::InPlace for #ident {
            fn set<'de, M: #door::serde::de::MapAccess<'de>>(
                &mut self,
                field: &str,
                values: &mut M,
            ) -> ::core::result::Result<bool, M::Error> {
                match field {
                    #(#arms)*
                    _ => return ::core::result::Result::Ok(false),
                }
                ::core::result::Result::Ok(true)
            }
        }
    };
    Some((constant, implementation))
}
