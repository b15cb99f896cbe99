//! How a struct of ours is seen: by its fields, each by its type, where serde is told nothing that makes it another one.

use crate::{
    door::Door,
    item::{cfgs, plain},
    serial,
};
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::{DeriveInput, Field, Type};

/// A struct that serde's derives read.
pub(crate) fn of_struct<'f>(door: &Door, input: &DeriveInput, fields: impl IntoIterator<Item = &'f Field>) -> TokenStream {
    let mut plain_fields = Vec::new();
    let is_told = |attrs: &[syn::Attribute]| serial::attrs(attrs).next().is_some() || serial::hides(attrs);
    let mut is_plain = !is_told(&input.attrs);
    for field in fields {
        is_plain &= !is_told(&field.attrs);
        match &field.ident {
            Some(name) => plain_fields.push((cfgs(&field.attrs), name, &field.ty)),
            // A tuple, or what is in it alone.
            None => is_plain = false,
        }
    }
    // One without fields may be no object.
    if !is_plain || plain_fields.is_empty() {
        return of_whole(door, &input.ident);
    }
    of_fields(door, &input.ident, plain_fields.iter().map(|(cfgs, name, ty)| (cfgs, *name, *ty)))
}

/// A struct of these fields, of which serde is told nothing.
pub(crate) fn of_fields<'f>(
    door: &Door,
    ident: &Ident,
    fields: impl Iterator<Item = (&'f TokenStream, &'f Ident, &'f Type)>,
) -> TokenStream {
    let mut parts = Vec::new();
    for (cfgs, name, ty) in fields {
        // Nobody can say it elsewhere.
        if mentions_self(ty.to_token_stream()) {
            return of_whole(door, ident);
        }
        let name = plain(name);
        parts.push(quote!(#cfgs (#name, #door::Of::<#ty>::SEEN)));
    }
    let name = plain(ident);
    quote!(#door::Look::Fields(#name, &[#(#parts),*]))
}

/// A type by how it is read, which is compiled for it.
pub(crate) fn of_whole(door: &Door, ident: &Ident) -> TokenStream {
    quote!(#door::Look::Whole(#door::Of::<#ident>::SEEN))
}

fn mentions_self(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        proc_macro2::TokenTree::Ident(word) => word == "Self",
        proc_macro2::TokenTree::Group(group) => mentions_self(group.stream()),
        _ => false,
    })
}
