//! An aggregate's derives, its registration, and the names of its events.

use super::check::Aggregate;
use crate::{
    door::{Door, at},
    item::{cfgs, plain},
};
use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{DeriveInput, spanned::Spanned};

/// `#[aggregate]`: the derives, and all that `#[derive(Aggregate)]` gives.
///
/// Serde's derives assume of each field what the assertion beside them proves, so that a field that cannot be stored is one error and not five.
/// `for<'minos>` keeps an assumption that is false from being an error where it is written.
pub(super) fn attribute(door: &Door, aggregate: &Aggregate<'_>) -> TokenStream {
    let input = aggregate.input;
    let derives = derives(door, &aggregate.types);
    let rest = derive(door, aggregate);
    quote!(#derives #input #rest)
}

fn derives(door: &Door, types: &[&syn::Type]) -> TokenStream {
    let serde = door.serde();
    let bounds: Vec<String> = types.iter().map(|ty| quote!(for<'minos> #ty: #door::Field).to_string()).collect();
    let bound = bounds.join(", ");
    quote! {
        #[derive(#door::serde::Serialize, #door::serde::Deserialize)]
        #[serde(crate = #serde, bound = #bound)]
    }
}

pub(super) fn derive(door: &Door, aggregate: &Aggregate<'_>) -> TokenStream {
    let Aggregate { input, types, stored } = aggregate;
    let (ident, vis, cfgs) = (&input.ident, &input.vis, cfgs(&input.attrs));
    let name = plain(ident);
    let proofs = types.iter().map(|ty| quote_spanned!(at(ty.span())=> #door::field::<#ty>();));
    let events = [
        ("Created", "was created: its first state, which reads as the aggregate itself."),
        ("Updated", "was changed: the fields with their new values."),
        ("Deleted", "was deleted."),
    ];
    let events = events.map(|(suffix, what)| {
        let (alias, event) = (format_ident!("{name}{suffix}", span = ident.span()), format_ident!("{suffix}"));
        let doc = format!(" A [`{name}`] {what}");
        quote!(#cfgs #[doc = #doc] #[allow(dead_code)] #vis type #alias = #door::#event<#ident>;)
    });
    quote! {
        #cfgs
        const _: () = {
            #(#proofs)*
            #[automatically_derived]
            impl #door::Aggregate for #ident
            where
                for<'minos> Self: #door::serde::Serialize + #door::serde::de::DeserializeOwned,
            {
                const NAME: &'static str = #name;
                const FIELDS: &'static [&'static str] = &[#(#stored),*];
            }
            #door::inventory::submit! { #door::AggregateDef {
                name: #name, fields: &[#(#stored),*],
                module: ::core::module_path!(), file: ::core::file!(), line: ::core::line!(),
            } }
        };
        #(#events)*
    }
}

/// `#[aggregate_ref]`.
pub(super) fn reference(door: &Door, input: &DeriveInput) -> TokenStream {
    let (ident, cfgs, serde) = (&input.ident, cfgs(&input.attrs), door.serde());
    let name = plain(ident);
    quote! {
        #[derive(#door::serde::Serialize, #door::serde::Deserialize)]
        #[serde(crate = #serde)]
        #[allow(dead_code)]
        #input
        #cfgs
        #[automatically_derived]
        impl #door::AggregateRef for #ident {
            const NAME: &'static str = #name;
        }
    }
}
