//! `#[subject]` on a field: whose data the sensitive fields are.

use super::fields;
use crate::{diag::Errors, item::plain};
use syn::{Attribute, DeriveInput, Field, Meta};

/// Whether an attribute says that a field is the subject.
pub(super) fn is_attr(attr: &Attribute) -> bool {
    attr.path().is_ident("subject")
}

/// The field that says whose data the sensitive fields are, if one does.
pub(super) fn field<'i>(errors: &Errors, input: &DeriveInput, fields: &[&'i Field]) -> Option<&'i Field> {
    for attr in input.attrs.iter().filter(|attr| is_attr(attr)) {
        errors.at(attr, "`#[subject]` stands on a field: the `Uuid` or `Ref` of whose data the sensitive fields are\nhelp: put it on that field; without one, they are data of the aggregate itself");
    }
    let mut found: Option<&'i Field> = None;
    for field in fields {
        let mut attrs = field.attrs.iter().filter(|attr| is_attr(attr));
        let (Some(attr), Some(ident)) = (attrs.next(), &field.ident) else { continue };
        if !matches!(attr.meta, Meta::Path(_)) {
            errors.at(attr, "`#[subject]` has no arguments\nhelp: `#[subject]`");
        }
        if let Some(again) = attrs.next() {
            errors.at(again, format!("`{}` is already the subject\nhelp: remove this", plain(ident)));
        }
        if fields::is_skipped(field) {
            errors.at(
                ident,
                format!(
                    "`{}` is not stored as a field of its own, so it would not be known any more whose data this is\nhelp: store it, or leave out `#[subject]`",
                    plain(ident)
                ),
            );
        }
        match found.and_then(|first| first.ident.as_ref()) {
            Some(first) => errors.at(attr, format!("`{}` is the subject already, and there is one\nhelp: remove this", plain(first))),
            None => found = Some(field),
        }
    }
    found
}
