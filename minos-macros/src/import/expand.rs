//! A module with the messages, the events and the aggregates that were imported.

use super::{
    check::{Contract, Message, fields_of},
    json::Json,
    parse::Import,
    types::{Types, ident, type_name},
};
use crate::item::snake;
use proc_macro2::TokenStream;
use quote::quote;
use std::collections::BTreeSet;
use syn::Visibility;

pub(super) fn expand(import: &Import, contract: &Contract) -> TokenStream {
    let Import { vis, module, door, .. } = import;
    let mut types = Types::new(contract, door);
    let mut items = Vec::new();
    for (topic, message) in &contract.messages {
        items.push(self::message(import, &mut types, topic, message));
    }
    for (event, (aggregate, content)) in &contract.events {
        let (name, fields) = (ident(&type_name(event)), fields_of(contract.resolved(content)));
        let (fields, derives) = (types.fields(&type_name(event), &fields), types.derives());
        let doc =
            format!(" The event `{aggregate}.{event}`: the parameter of `#[event(\"{aggregate}.{event}\")]`, alone or as `Event<{name}>`.");
        items.push(quote!(#[doc = #doc] #derives pub struct #name { #fields }));
    }
    // Whose events are imported without it.
    let owners: BTreeSet<_> = contract.events.values().map(|(aggregate, _)| aggregate).collect();
    for name in owners.into_iter().filter(|name| !contract.aggregates.contains_key(*name)) {
        let door = &import.door;
        items.push(quote!(const _: () = { #door::inventory::submit! { #door::AggregateRefDef { name: #name } } };));
    }
    for (aggregate, content) in &contract.aggregates {
        items.push(self::aggregate(import, &mut types, aggregate, contract.resolved(content)));
    }
    let made = types.made.values().flatten();
    let module = module.clone().unwrap_or_else(|| ident(&snake(&contract.service.replace(['-', '.'], "_"))));
    let vis = if matches!(vis, Visibility::Inherited) && import.module.is_none() { quote!(pub) } else { quote!(#vis) };
    let (file, doc) = (&contract.file, format!(" What the service `{}` promises, as its contract says.", contract.service));
    quote! {
        #[doc = #doc]
        #[allow(dead_code, missing_docs, unreachable_pub, clippy::large_enum_variant)]
        #vis mod #module {
            // So that it is compiled again when the contract changes.
            const _: &[u8] = ::core::include_bytes!(#file);
            #(#items)*
            #(#made)*
        }
    }
}

fn message(import: &Import, types: &mut Types<'_>, topic: &str, message: &Message) -> TokenStream {
    let name = type_name(topic);
    let fields = types.fields(&name, &message.fields);
    let reply = match &message.answer {
        None => quote!(()),
        Some(answer) => types.of(answer, &format!("{name}Answer")),
    };
    let mut doc = message.doc.clone();
    if doc.is_empty() {
        doc = format!("What `{topic}` takes.");
    }
    let docs = doc.lines().map(|line| format!(" {line}"));
    let name = ident(&name);
    let path = import.door.facade();
    quote! {
        #(#[doc = #docs])*
        #[#path::message(#topic, reply = #reply, crate = #path)]
        #[derive(::core::fmt::Debug, ::core::clone::Clone, ::core::cmp::PartialEq)]
        pub struct #name { #fields }
    }
}

fn aggregate(import: &Import, types: &mut Types<'_>, name: &str, state: &Json) -> TokenStream {
    let fields = types.fields(&type_name(name), &fields_of(state));
    let doc = format!(
        " The part of the aggregate `{name}` that its service tells: what `{name}Created` has, and what a `Ref<{name}>` resolves to."
    );
    let (name, path) = (ident(name), import.door.facade());
    quote! {
        #[doc = #doc]
        #[#path::aggregate_ref(crate = #path)]
        #[derive(::core::fmt::Debug, ::core::clone::Clone, ::core::cmp::PartialEq)]
        pub struct #name { #fields }
    }
}
