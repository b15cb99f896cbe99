//! `#[unique]` on a field, and `unique(…)` for several fields: the values that only one aggregate has.

use super::fields;
use crate::{
    diag::{Errors, did_you_mean},
    item::plain,
    serial,
};
use proc_macro2::Ident;
use syn::{Attribute, DeriveInput, Field, Meta};

/// Whether an attribute says that a field is unique.
pub(super) fn is_attr(attr: &Attribute) -> bool {
    attr.path().is_ident("unique")
}

/// The names, as stored, of what is unique: fields alone, then fields together.
pub(super) fn keys(errors: &Errors, input: &DeriveInput, fields: &[&Field], together: &[Vec<Ident>]) -> Vec<Vec<String>> {
    for attr in input.attrs.iter().filter(|attr| is_attr(attr)) {
        errors.at(attr, "`#[unique]` stands on a field\nhelp: `#[aggregate(unique(tenant, email))]` for fields that are unique together");
    }
    let mut keys: Vec<Vec<String>> = Vec::new();
    for field in fields {
        let mut attrs = field.attrs.iter().filter(|attr| is_attr(attr));
        let (Some(attr), Some(ident)) = (attrs.next(), &field.ident) else { continue };
        if !matches!(attr.meta, Meta::Path(_)) {
            errors
                .at(attr, "`#[unique]` has no arguments\nhelp: `#[aggregate(unique(tenant, email))]` for fields that are unique together");
        }
        if let Some(again) = attrs.next() {
            errors.at(again, format!("`{}` is already unique\nhelp: remove this", plain(ident)));
        }
        keys.extend(stored(errors, input, ident, field).map(|name| vec![name]));
    }
    for list in together {
        let mut key = Vec::new();
        for ident in list {
            let text = plain(ident);
            let Some(field) = fields.iter().find(|field| field.ident.as_ref().is_some_and(|name| *name == text)) else {
                let known: Vec<_> = fields.iter().filter_map(|field| field.ident.as_ref().map(plain)).collect();
                let known: Vec<_> = known.iter().map(String::as_str).collect();
                errors.at(ident, format!("there is no field `{text}`{}", did_you_mean(&text, &known)));
                continue;
            };
            let Some(name) = stored(errors, input, ident, field) else { continue };
            if key.contains(&name) {
                errors.at(ident, format!("`{text}` is already in this list\nhelp: remove it here"));
            } else {
                key.push(name);
            }
        }
        let sorted = |key: &[String]| {
            let mut key = key.to_vec();
            key.sort();
            key
        };
        if key.len() == list.len() && keys.iter().any(|other| sorted(other) == sorted(&key)) {
            // The list is not empty, or the parser has said so.
            list.iter().take(1).for_each(|ident| errors.at(ident, "this is already unique\nhelp: say it once"));
        }
        keys.push(key);
    }
    keys
}

/// The name under which a field that is to be unique is stored.
fn stored(errors: &Errors, input: &DeriveInput, at: &Ident, field: &Field) -> Option<String> {
    let text = plain(at);
    if fields::is_skipped(field) {
        errors.at(at, format!("`{text}` is not stored under a name of its own, so its values cannot be compared\nhelp: store it, or do not let it be unique"));
        return None;
    }
    if fields::is_set(&field.ty) {
        errors.at(
            at,
            format!(
                "`{text}` is a set, and only what is stored as a whole can be unique\nhelp: `Vec<T>`, or a field for what is to be unique"
            ),
        );
        return None;
    }
    if fields::is_sensitive(&field.ty) {
        errors.at(
            at,
            format!("`{text}` is sensitive, and what is unique stands in the clear in the database\nhelp: do not let it be unique, or let a keyed hash of it be, in a field of its own"),
        );
        return None;
    }
    let renamed = serial::renamed(&field.attrs);
    if renamed.is_none() && fields::renames_all(input) {
        errors.at(at, format!("`rename_all` hides under which name `{text}` is stored\nhelp: `#[serde(rename = \"…\")]` on this field"));
    }
    Some(renamed.unwrap_or(text))
}
