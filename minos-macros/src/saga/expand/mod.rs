//! A saga's types, its functions, and its definition.

mod callbacks;
mod definition;
mod types;

use super::{
    model::{Callback, Node, Saga, Step, When, each_node, first_step},
    views::{Seen, Value, Views},
};
use crate::{
    door::at,
    item::{cfgs, plain, snake},
};
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::Ident;

/// A saga without mistakes.
pub(super) fn expand(saga: &Saga, views: &Views<'_>) -> TokenStream {
    let functions = callbacks::functions(saga, views);
    let definition = definition::definition(saga, views);
    let door = &saga.door;
    let nodes = quote! {
        #functions
        const __minos_definition: #door::saga::SagaDef = #definition;
        #door::inventory::submit! { __minos_definition }
    };
    around(saga, views, &nodes, &quote!(&__minos_definition))
}

/// What others may name of a saga with mistakes. Its functions are there for the editor only, which completes what is in them: to rustc, the mistakes
/// are said already.
pub(super) fn incomplete(saga: &Saga, views: &Views<'_>) -> TokenStream {
    let functions = callbacks::functions(saga, views);
    let empty = definition::of_nodes(saga, views, &quote!());
    let nodes = quote! {
        #[cfg(rust_analyzer)]
        const _: () = { #functions };
    };
    around(saga, views, &nodes, &quote!(&#empty))
}

fn around(saga: &Saga, views: &Views<'_>, nodes: &TokenStream, definition: &TokenStream) -> TokenStream {
    let (door, name, cfgs) = (&saga.door, &saga.name, cfgs(&saga.attrs));
    let (input, module, reads) = (types::input(saga), types::module(saga, views), types::reads(saga, views));
    let (stored, views) = (plain(name), module_name(saga));
    quote! {
        #input
        #module
        #cfgs
        #[allow(non_upper_case_globals, deprecated, unexpected_cfgs, clippy::unused_async)]
        const _: () = {
            #reads
            #nodes
            #[automatically_derived]
            impl #door::saga::Saga for #name
            where
                for<'minos> Self: #door::serde::Serialize + #door::serde::de::DeserializeOwned,
            {
                const NAME: &'static str = #stored;
                type Done = #views::Done;
                fn definition() -> &'static #door::saga::SagaDef {
                    #definition
                }
            }
        };
    }
}

/// The name of the module of the views.
fn module_name(saga: &Saga) -> Ident {
    let (plain, span) = (plain(&saga.name), saga.name.span());
    let name = snake(&plain);
    match syn::parse_str::<Ident>(&name) {
        // The mistake is told, and something has to stand here.
        _ if name == plain || ["self", "super", "crate", "_", ""].contains(&name.as_str()) => format_ident!("{name}_saga", span = span),
        Ok(_) => Ident::new(&name, span),
        Err(_) => Ident::new_raw(&name, span),
    }
}

/// The path of what a callback of a step sees.
fn view_path(saga: &Saga, seen: &Seen<'_>, key: &str) -> Option<TokenStream> {
    let module = module_name(saga);
    let sees_output = matches!(key, "on_success" | "on_failure");
    let view = seen.done_view().filter(|_| sees_output).or_else(|| seen.view())?;
    Some(quote!(#module::#view))
}

/// The step with whose view the condition of a `when` is decided.
fn decider<'v, 's>(views: &'v Views<'s>, when: &When) -> Option<&'v Seen<'s>> {
    views.seen(first_step(&when.then)?)
}

/// The name of the function that a callback becomes.
fn function(key: &Ident, step: &Step) -> Ident {
    format_ident!("{key}_of_{}", step.stored_name(), span = at(key.span()))
}

/// The place of a value: a constant, or the function that reads it.
fn slot(value: &Value<'_>) -> Ident {
    format_ident!("__minos_{}", value.text(), span = at(Span::call_site()))
}
