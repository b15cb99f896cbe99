//! `#[document]`: typed JSON that a projection keeps, and its fields as queries name them.

use crate::{
    aggregate::without,
    diag::Errors,
    door::{Door, at},
    index,
    item::{cfgs, plain},
    serial::{self, Fit},
};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{
    Data, DeriveInput, Field, Fields,
    parse::{ParseStream, Parser},
    spanned::Spanned,
};

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let errors = Errors::default();
    let door = errors.ok(arguments.parse2(args)).unwrap_or_default();
    let Ok(input) = syn::parse2::<DeriveInput>(item.clone()) else {
        errors.at_span(proc_macro2::Span::call_site(), "`#[document]` goes on a struct with named fields");
        return errors.with_item(&item);
    };
    let fields = check(&errors, &input);
    index::check(&errors, &input.attrs, &fields, None);
    if !errors.is_empty() {
        return errors.with_item(&without(&input, index::is_attr));
    }
    generate(&door, &input, &fields)
}

fn arguments(input: ParseStream<'_>) -> syn::Result<Door> {
    if input.is_empty() {
        return Ok(Door::default());
    }
    if Door::is_next(input) {
        return Door::parse(input);
    }
    let rest: TokenStream = input.parse()?;
    Err(syn::Error::new_spanned(rest, "`#[document]` takes no arguments: the name of the struct is the name of its collection"))
}

fn check<'i>(errors: &Errors, input: &'i DeriveInput) -> Vec<&'i Field> {
    if !input.generics.params.is_empty() {
        errors.at(&input.generics, "a document cannot be generic: its name is the name of its collection");
    }
    crate::aggregate::derives(errors, "document", &input.attrs);
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(named) => {
                open(errors, &named.named);
                return named.named.iter().collect();
            }
            Fields::Unnamed(unnamed) => {
                errors.at(unnamed, "a document has named fields: queries name them\nhelp: `struct Name { field: Type }`")
            }
            Fields::Unit => errors.at(&input.ident, "a document has at least one named field"),
        },
        Data::Enum(data) => errors.at(&data.enum_token, "`#[document]` goes on a struct\nhelp: keep this enum as the type of a field"),
        Data::Union(data) => errors.at(&data.union_token, "`#[document]` goes on a struct"),
    }
    Vec::new()
}

/// What is sensitive would be stored as `null`.
fn open<'f>(errors: &Errors, fields: impl IntoIterator<Item = &'f Field>) {
    for field in fields {
        if let Some(ident) = field.ident.as_ref().filter(|_| crate::aggregate::is_sensitive(&field.ty)) {
            errors.at(ident, format!("`{}` is sensitive, and a document is kept in the clear\nhelp: leave it out; or `Option<…>` of what `expose()` returns, which a function of `\"DataSubject.Forgotten\"` removes", plain(ident)));
        }
    }
}

fn generate(door: &Door, input: &DeriveInput, fields: &[&Field]) -> TokenStream {
    let (ident, name, cfgs) = (&input.ident, plain(&input.ident), cfgs(&input.attrs));
    let types = serial::types(ident, fields.iter().copied());
    let (derives, proofs) = (Fit::Store.derives(door, &types), Fit::Store.proofs(door, &types));
    let (columns, indexes) = (columns(door, ident, fields, &quote!(of_document)), index::expand(door, ident, &name, fields));
    let input = without(input, index::is_attr);
    quote! {
        #derives
        #input
        #cfgs
        const _: () = {
            #proofs
            #[automatically_derived]
            impl #door::Document for #ident
            where
                for<'minos> Self: #door::serde::Serialize + #door::serde::de::DeserializeOwned,
            {
                const COLLECTION: &'static str = #name;
            }
            #columns
            #indexes
        };
    }
}

/// Functions by which queries name the fields.
pub(crate) fn columns(door: &Door, owner: &syn::Ident, fields: &[&Field], made_by: &TokenStream) -> TokenStream {
    let columns = fields.iter().filter_map(|field| {
        let (ident, ty, vis) = (field.ident.as_ref()?, &field.ty, &field.vis);
        let stored = serial::renamed(&field.attrs).unwrap_or_else(|| plain(ident));
        let (cfgs, doc) = (cfgs(&field.attrs), format!(" The field `{}`, for queries.", plain(ident)));
        let column = quote_spanned!(at(ty.span())=> #door::Column<Self, #ty>);
        Some(quote! {
            #cfgs
            #[doc = #doc]
            #[allow(dead_code, clippy::all)]
            #vis const fn #ident() -> #column {
                #door::Column::#made_by(#stored)
            }
        })
    });
    quote!(#[automatically_derived] impl #owner { #(#columns)* })
}
