//! What makes a struct an aggregate.

use super::{fields, options::Options, subject, unique, was::Was};
use crate::{diag::Errors, index, item::plain, serial, validate, word::RESERVED_FIELDS};
use syn::{Attribute, Data, DeriveInput, Field, Fields, LitStr, Path, Token, Type, punctuated::Punctuated};

/// An aggregate that can be expanded.
pub(super) struct Aggregate<'i> {
    pub(super) input: &'i DeriveInput,
    /// The types of fields that Minos vouches for.
    pub(super) types: Vec<&'i Type>,
    /// The names of the fields as stored; empty where attributes of serde make them unknown.
    pub(super) stored: Vec<String>,
    pub(super) fields: Vec<&'i Field>,
    /// The names of those that are sets.
    pub(super) sets: Vec<String>,
    /// The names of those whose values only one has, alone or together.
    pub(super) unique: Vec<Vec<String>>,
    /// The field that says whose data the sensitive ones are.
    pub(super) subject: Option<&'i Field>,
    /// What has to hold for what is stored.
    pub(super) rules: Vec<validate::OfField>,
    pub(super) options: Options,
    /// The names that fields had.
    pub(super) was: Vec<Was>,
}

pub(super) fn check<'i>(errors: &Errors, input: &'i DeriveInput, options: Options, was: Vec<Was>) -> Option<Aggregate<'i>> {
    generics(errors, input);
    let fields = self::fields(errors, "aggregate", input);
    for name in fields.iter().filter_map(|field| field.ident.as_ref()) {
        let text = plain(name);
        if RESERVED_FIELDS.contains(&text.as_str()) {
            errors.at(name, format!("every aggregate already has `{text}`\nhelp: read it with `root.{text}()`"));
        }
    }
    let sets = fields::sets(errors, input, &fields);
    let unique = unique::keys(errors, input, &fields, &options.unique);
    let subject = subject::field(errors, input, &fields);
    let rules = validate::rules(errors, input, &fields);
    let why_not = (!options.queryable)
        .then_some("queries do not name the fields of this aggregate, so none has an index\nhelp: `#[aggregate(queryable)]`");
    index::check(errors, &input.attrs, &fields, why_not);
    for field in fields.iter().filter(|field| options.snapshot.is_some() && fields::is_left_out(field)) {
        errors.at(
            &field.ident,
            "a snapshot holds what serde writes and reads, and this field is left out: it would be another one behind a snapshot\nhelp: store it, or leave out `snapshot`",
        );
    }
    errors.is_empty().then(|| Aggregate {
        input,
        types: serial::types(&input.ident, fields.iter().copied()),
        stored: stored(input, &fields),
        fields,
        sets,
        unique,
        subject,
        rules,
        options,
        was,
    })
}

pub(super) fn generics(errors: &Errors, input: &DeriveInput) {
    if let Some(lifetime) = input.generics.lifetimes().next() {
        errors.at(lifetime, "an aggregate owns its data, so it has no lifetime parameters\nhelp: `String` for `&str`, `Vec<T>` for `&[T]`");
    } else if !input.generics.params.is_empty() {
        errors.at(&input.generics, "an aggregate cannot be generic: its name is the name of its stream");
    }
}

pub(super) fn fields<'i>(errors: &Errors, name: &str, input: &'i DeriveInput) -> Vec<&'i Field> {
    match &input.data {
        Data::Struct(data) => match &data.fields {
            // Of another service's, nothing may be known but whose it is.
            Fields::Named(named) if named.named.is_empty() && name != "aggregate_ref" => {
                errors.at(&input.ident, "an aggregate has at least one named field")
            }
            Fields::Named(named) => return named.named.iter().collect(),
            Fields::Unit if name == "aggregate_ref" => {
                let ident = &input.ident;
                errors.at(
                    ident,
                    format!("what is known of an aggregate are named fields\nhelp: `struct {ident} {{}}` if nothing is known but its name"),
                );
            }
            Fields::Unit => errors.at(&input.ident, "an aggregate has at least one named field"),
            Fields::Unnamed(unnamed) => {
                errors.at(unnamed, "an aggregate has named fields: the names are stored\nhelp: `struct Name { field: Type }`")
            }
        },
        Data::Enum(data) => errors.at(
            &data.enum_token,
            format!("`#[{name}]` goes on a struct\nhelp: keep this enum as the type of a field, for example `status`"),
        ),
        Data::Union(data) => errors.at(&data.union_token, format!("`#[{name}]` goes on a struct")),
    }
    Vec::new()
}

/// A derive of serde beside the attribute would be a second one.
pub(crate) fn derives(errors: &Errors, name: &str, attrs: &[Attribute]) {
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("derive")) {
        let Ok(paths) = attr.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated) else { continue };
        for path in &paths {
            let last = path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
            if matches!(last.as_str(), "Serialize" | "Deserialize") || (name == "aggregate" && last == "Validate") {
                errors.at(path, format!("`#[{name}]` derives `{last}` already\nhelp: remove it here"));
            }
        }
    }
}

fn stored(input: &DeriveInput, fields: &[&Field]) -> Vec<String> {
    if serial::attrs(&input.attrs).next().is_some() {
        return Vec::new();
    }
    let mut names = Vec::new();
    for field in fields {
        let mut name = field.ident.as_ref().map(plain);
        for attr in serial::attrs(&field.attrs) {
            let mut followed = true;
            let read = attr.parse_nested_meta(|meta| {
                if meta.path.is_ident("rename") {
                    name = Some(meta.value()?.parse::<LitStr>()?.value());
                } else if meta.path.is_ident("skip") {
                    name = None;
                } else if meta.path.is_ident("flatten") {
                    followed = false;
                } else if meta.input.peek(Token![=]) {
                    meta.value()?.parse::<syn::Expr>()?;
                }
                Ok(())
            });
            if read.is_err() || !followed {
                return Vec::new();
            }
        }
        names.extend(name);
    }
    names
}
