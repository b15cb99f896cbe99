//! `#[index]` on a field that queries name.

use crate::{
    aggregate::is_sensitive,
    diag::Errors,
    door::{Door, at},
    item::{cfgs, plain},
};
use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Attribute, Field, Meta, spanned::Spanned};

/// Whether an attribute says that a field has an index.
pub(crate) fn is_attr(attr: &Attribute) -> bool {
    attr.path().is_ident("index")
}

/// What is wrong with the attributes of an item and its fields. `why_not` says what the item lacks for queries to name its fields.
pub(crate) fn check(errors: &Errors, attrs: &[Attribute], fields: &[&Field], why_not: Option<&str>) {
    for attr in attrs.iter().filter(|attr| is_attr(attr)) {
        errors.at(attr, "`#[index]` stands on a field");
    }
    for field in fields {
        let mut attrs = field.attrs.iter().filter(|attr| is_attr(attr));
        let Some(attr) = attrs.next() else { continue };
        if !matches!(attr.meta, Meta::Path(_)) {
            errors.at(attr, "`#[index]` has no arguments: it is of the field that it stands on");
        }
        if let Some(again) = attrs.next() {
            errors.at(again, "this field has an index already\nhelp: remove this");
        }
        if let Some(why) = why_not {
            errors.at(attr, why);
        } else if is_sensitive(&field.ty) {
            errors.at(attr, "what is sensitive is sealed in the store, so queries do not name it\nhelp: remove this");
        }
    }
}

/// The registrations.
pub(crate) fn expand(door: &Door, owner: &Ident, collection: &str, fields: &[&Field]) -> TokenStream {
    let indexed = fields.iter().filter(|field| field.attrs.iter().any(is_attr)).filter_map(|field| Some((field, field.ident.as_ref()?)));
    let indexes = indexed.map(|(field, ident)| {
        let (cfgs, name) = (cfgs(&field.attrs), plain(ident));
        let indexed = quote_spanned!(at(field.ty.span())=> #door::Column::indexed(<#owner>::#ident()));
        quote! {
            #cfgs
            #door::inventory::submit! { #door::IndexDef {
                collection: #collection, name: #name, field: || #indexed, module: ::core::module_path!(),
            } }
        }
    });
    quote!(#(#indexes)*)
}
