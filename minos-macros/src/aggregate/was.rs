//! `#[minos(was = "…")]`: the names under which a field was stored.

use crate::{diag::Errors, item::plain, serial};
use syn::{Attribute, Data, DeriveInput, Fields, LitStr, Token, parse::ParseStream, punctuated::Punctuated};

/// A name that a field had, and the one that it has.
pub(super) struct Was {
    pub(super) old: LitStr,
    pub(super) name: String,
}

/// Whether an attribute is for Minos.
pub(super) fn is_ours(attr: &Attribute) -> bool {
    attr.path().is_ident("minos")
}

/// The names that one field had.
pub(super) fn names(errors: &Errors, attrs: &[Attribute]) -> Vec<LitStr> {
    let mut names = Vec::new();
    for attr in attrs.iter().filter(|attr| is_ours(attr)) {
        let parse = |input: ParseStream<'_>| {
            let all = Punctuated::<(syn::Ident, LitStr), Token![,]>::parse_terminated_with(input, |input| {
                let word: syn::Ident = input.parse()?;
                input.parse::<Token![=]>()?;
                Ok((word, input.parse()?))
            })?;
            match all.iter().find(|(word, _)| word != "was") {
                Some((word, _)) => {
                    Err(syn::Error::new_spanned(word, format!("there is no `{word}` here\nhelp: `#[minos(was = \"old_name\")]`")))
                }
                None => Ok(all),
            }
        };
        match attr.parse_args_with(parse) {
            Ok(all) => names.extend(all.into_iter().map(|(_, name)| name)),
            Err(error) if error.to_string().contains("help:") => errors.push(error),
            Err(_) => errors.at(attr, "the name that a field had is a string\nhelp: `#[minos(was = \"old_name\")]`"),
        }
    }
    names
}

/// The names that the fields of a struct had.
pub(super) fn fields(errors: &Errors, input: &DeriveInput) -> Vec<Was> {
    let Data::Struct(data) = &input.data else { return Vec::new() };
    let (mut all, mut current) = (Vec::new(), Vec::new());
    for field in &data.fields {
        let Some(name) = serial::renamed(&field.attrs).or_else(|| field.ident.as_ref().map(plain)) else { continue };
        all.extend(names(errors, &field.attrs).into_iter().map(|old| Was { old, name: name.clone() }));
        current.push(name);
    }
    if let (Some(attr), Some(_)) = (serial::attrs(&input.attrs).find(|attr| renames(attr)), all.first()) {
        errors.at(attr, "with this, it is not known here how fields are named, and `was` needs that\nhelp: give fields their names with `#[serde(rename = \"…\")]`");
    }
    distinct(errors, &all, &current);
    all
}

/// No name may be that of two fields, now or before.
pub(super) fn distinct(errors: &Errors, all: &[Was], current: &[String]) {
    for (n, Was { old, .. }) in all.iter().enumerate() {
        let text = old.value();
        if current.contains(&text) {
            errors.at(old, format!("`{text}` is the name of a field, so what is stored under it is that field's\nhelp: give that field another name, or remove this"));
        } else if all.iter().take(n).any(|other| other.old.value() == text) {
            errors.at(old, format!("`{text}` was already the name of a field"));
        }
    }
}

fn renames(attr: &Attribute) -> bool {
    use quote::ToTokens;
    attr.meta.to_token_stream().to_string().contains("rename_all")
}

/// Takes the attributes away, which only we understand.
pub(super) fn strip(input: &mut DeriveInput) {
    let Data::Struct(data) = &mut input.data else { return };
    let (Fields::Named(syn::FieldsNamed { named: fields, .. }) | Fields::Unnamed(syn::FieldsUnnamed { unnamed: fields, .. })) =
        &mut data.fields
    else {
        return;
    };
    fields.iter_mut().for_each(|field| field.attrs.retain(|attr| !is_ours(attr)));
}
