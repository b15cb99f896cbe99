//! What the fields of an aggregate say of themselves.

use super::{subject, unique};
use crate::{
    diag::Errors,
    index,
    item::{last_segment, plain, type_arguments},
    serial, validate,
    word::{SENSITIVE, SETS},
};
use proc_macro2::TokenStream;
use syn::{Attribute, Data, DeriveInput, Field, Token, Type};

/// The item as Rust takes it: without attributes that only we know.
pub(super) fn without_ours(input: &DeriveInput) -> DeriveInput {
    without(input, |attr| validate::is_attr(attr) || is_ours(attr))
}

/// The item of which nothing is derived by us: without attributes that would not be known then.
pub(super) fn bare(input: &DeriveInput) -> DeriveInput {
    let derived = |name: &str| {
        let derives = input.attrs.iter().filter(|attr| attr.path().is_ident("derive"));
        derives.filter_map(|attr| attr.parse_args::<TokenStream>().ok()).any(|derive| derive.to_string().contains(name))
    };
    let (own_serde, own_rules) = (derived("erialize"), derived("Validate"));
    let ours = |attr: &Attribute| (!own_serde && serial::is_attr(attr)) || (!own_rules && validate::is_attr(attr));
    without(input, |attr| ours(attr) || is_ours(attr))
}

/// Whether an attribute is known to aggregates alone.
fn is_ours(attr: &Attribute) -> bool {
    unique::is_attr(attr) || index::is_attr(attr) || subject::is_attr(attr)
}

pub(crate) fn without(input: &DeriveInput, ours: impl Fn(&Attribute) -> bool) -> DeriveInput {
    let mut input = input.clone();
    input.attrs.retain(|attr| !ours(attr));
    let fields = match &mut input.data {
        Data::Struct(data) => data.fields.iter_mut().collect::<Vec<_>>(),
        Data::Enum(data) => data.variants.iter_mut().flat_map(|variant| variant.fields.iter_mut()).collect(),
        Data::Union(_) => Vec::new(),
    };
    for field in fields {
        field.attrs.retain(|attr| !ours(attr));
    }
    input
}

/// The names, as stored, of the fields that are sets by the text of their types.
pub(super) fn sets(errors: &Errors, input: &DeriveInput, fields: &[&Field]) -> Vec<String> {
    let mut names = Vec::new();
    for field in fields.iter().filter(|field| is_set(&field.ty)) {
        let name = name(field);
        if let (None, Some(ident)) = (&name, &field.ident)
            && renames_all(input)
        {
            let text = plain(ident);
            errors.at(
                ident,
                format!("`rename_all` hides under which name the set `{text}` is stored\nhelp: `#[serde(rename = \"…\")]` on this field"),
            );
        }
        if !is_skipped(field) {
            names.extend(name.or_else(|| field.ident.as_ref().map(plain)));
        }
    }
    names
}

fn name(field: &Field) -> Option<String> {
    serial::renamed(&field.attrs)
}

pub(super) fn is_set(ty: &Type) -> bool {
    is_one_of(ty, SETS)
}

/// Whether a field is sensitive, by the text of its type.
pub(crate) fn is_sensitive(ty: &Type) -> bool {
    is_one_of(ty, &[SENSITIVE])
}

fn is_one_of(ty: &Type, names: &[&str]) -> bool {
    let Some(segment) = last_segment(ty) else { return false };
    if segment.ident == "Option" {
        return type_arguments(segment).first().is_some_and(|ty| is_one_of(ty, names));
    }
    names.iter().any(|name| segment.ident == name)
}

pub(super) fn renames_all(input: &DeriveInput) -> bool {
    says(&input.attrs, "rename_all")
}

/// Whether serde does not write it, or does not read it.
pub(super) fn is_left_out(field: &Field) -> bool {
    ["skip", "skip_serializing", "skip_deserializing"].iter().any(|word| says(&field.attrs, word))
}

pub(super) fn is_skipped(field: &Field) -> bool {
    says(&field.attrs, "skip") || says(&field.attrs, "flatten")
}

/// Whether an attribute for serde has this word.
fn says(attrs: &[syn::Attribute], word: &str) -> bool {
    let mut said = false;
    for attr in serial::attrs(attrs) {
        // What is not understood here is for serde to refuse.
        let _ = attr.parse_nested_meta(|meta| {
            said |= meta.path.is_ident(word);
            if meta.input.peek(Token![=]) {
                meta.value()?.parse::<syn::Expr>()?;
            } else if meta.input.peek(syn::token::Paren) {
                meta.parse_nested_meta(|meta| meta.value()?.parse::<syn::Expr>().map(drop))?;
            }
            Ok(())
        });
    }
    said
}
