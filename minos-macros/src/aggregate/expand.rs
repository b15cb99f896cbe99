//! An aggregate's derives, its registration, and the names of its events.

use super::{check::Aggregate, fields::without_ours, options::Options};
use crate::{
    document::columns,
    door::{Door, at},
    item::{cfgs, plain},
    serial::Fit,
    validate,
};
use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{DeriveInput, Type};

/// `#[aggregate]`: the derives, and all that `#[derive(Aggregate)]` gives.
pub(super) fn attribute(options: &Options, aggregate: &Aggregate<'_>) -> TokenStream {
    let input = aggregate.input;
    let derives = Fit::Store.derives(&options.door, &aggregate.types);
    let (input, rest) = (without_ours(input), glue(options, aggregate));
    quote!(#derives #input #rest)
}

/// `#[derive(Aggregate)]`: the derives of serde are the user's.
pub(super) fn derive(options: &Options, aggregate: &Aggregate<'_>) -> TokenStream {
    let door = &options.door;
    let (ident, cfgs) = (&aggregate.input.ident, cfgs(&aggregate.input.attrs));
    let (proof, glue) = (quote_spanned!(at(ident.span())=> #door::stored::<#ident>()), glue(options, aggregate));
    quote!(#cfgs const _: () = #proof; #glue)
}

fn glue(options: &Options, aggregate: &Aggregate<'_>) -> TokenStream {
    let Options { door, queryable, resolvable, .. } = options;
    let Aggregate { input, types, stored, fields, sets, rules } = aggregate;
    let (ident, vis, cfgs) = (&input.ident, &input.vis, cfgs(&input.attrs));
    let name = plain(ident);
    let proofs = Fit::Store.proofs(door, types);
    let has_sets = (!sets.is_empty()).then(|| quote!(const SETS: &'static [&'static str] = &[#(#sets),*];));
    let submit_sets =
        has_sets.as_ref().map(|_| quote!(#door::inventory::submit! { #door::SetsDef { aggregate: #name, sets: &[#(#sets),*] } }));
    let (look, validated) = (!rules.is_empty())
        .then(|| {
            let look = quote! {
                fn look_at(&self, found: &mut #door::Violations) {
                    #door::Validate::validate(self, found);
                }
            };
            (look, validate::implement(door, input, rules))
        })
        .unzip();
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
    let is_queryable = queryable.then(|| {
        quote!(
            const QUERYABLE: bool = true;
        )
    });
    let queryable = queryable.then(|| {
        let columns = columns(door, ident, fields, &quote!(of_aggregate));
        quote! {
            #columns
            #door::inventory::submit! { #door::QueryableDef::of::<#ident>(::core::module_path!(), ::core::file!(), ::core::line!()) }
        }
    });
    let resolvable = resolvable.then(|| {
        let topic = format!("{name}.states");
        quote! {
            #door::inventory::submit! { #door::HandlerDef {
                kind: #door::Kind::Query, function: #topic, names: &[#topic], routes: &[], handle: #door::states::<#ident>,
                module: ::core::module_path!(), file: ::core::file!(), line: ::core::line!(),
            } }
        }
    });
    quote! {
        #cfgs
        const _: () = {
            #proofs
            #[automatically_derived]
            impl #door::Aggregate for #ident
            where
                for<'minos> Self: #door::serde::Serialize + #door::serde::de::DeserializeOwned,
            {
                const NAME: &'static str = #name;
                const FIELDS: &'static [&'static str] = &[#(#stored),*];
                #is_queryable
                #has_sets
                #look
            }
            #queryable
            #resolvable
            #validated
            #door::inventory::submit! { #door::AggregateDef {
                name: #name, fields: &[#(#stored),*],
                module: ::core::module_path!(), file: ::core::file!(), line: ::core::line!(),
            } }
            #submit_sets
        };
        #(#events)*
    }
}

/// `#[aggregate_ref]`.
pub(super) fn reference(door: &Door, input: &DeriveInput, types: &[&Type]) -> TokenStream {
    let (ident, cfgs) = (&input.ident, cfgs(&input.attrs));
    let (derives, proofs, name) = (Fit::Store.derives(door, types), Fit::Store.proofs(door, types), plain(ident));
    quote! {
        #derives
        #[allow(dead_code)]
        #input
        #cfgs
        const _: () = {
            #proofs
            #[automatically_derived]
            impl #door::AggregateRef for #ident
            where
                for<'minos> Self: #door::serde::Serialize + #door::serde::de::DeserializeOwned,
            {
                const NAME: &'static str = #name;
            }
        };
    }
}
