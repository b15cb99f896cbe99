//! The definition that the runtime carries out.

use super::{
    Node, Saga, Seen, Value, Views,
    callbacks::{adapter, condition},
    plain, slot,
};
use crate::{
    door::at,
    saga::model::{Place, Retry},
};
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use std::time::Duration;

pub(super) fn definition(saga: &Saga, views: &Views<'_>) -> TokenStream {
    of_nodes(saga, views, &nodes(saga, views, &saga.nodes))
}

/// The definition with these nodes.
pub(super) fn of_nodes(saga: &Saga, views: &Views<'_>, nodes: &TokenStream) -> TokenStream {
    let (door, name) = (&saga.door, plain(&saga.name));
    let input = views.input.iter().map(|value| output(saga, value));
    let isolated = saga.isolated;
    quote! {
        #door::saga::SagaDef {
            name: #name,
            input: &[#(#input),*],
            isolated: #isolated,
            nodes: &[#nodes],
            module: ::core::module_path!(), file: ::core::file!(), line: ::core::line!(),
        }
    }
}

fn nodes(saga: &Saga, views: &Views<'_>, all: &[Node]) -> TokenStream {
    let door = &saga.door;
    let nodes = all.iter().map(|node| match node {
        Node::Step(one) => {
            let step = views.seen(one).map(|seen| step(saga, seen));
            quote!(#door::saga::Node::Step(#step))
        }
        Node::When(when) => {
            let condition = condition(saga, views, when);
            let (then, otherwise) = (nodes(saga, views, &when.then), nodes(saga, views, when.otherwise()));
            quote!(#door::saga::Node::When { condition: #condition, then: &[#then], otherwise: &[#otherwise] })
        }
        Node::Parallel(parallel) => {
            let branches = parallel.branches.iter().map(|branch| nodes(saga, views, branch));
            quote!(#door::saga::Node::Parallel(&[#(&[#branches]),*]))
        }
    });
    quote!(#(#nodes),*)
}

fn step(saga: &Saga, seen: &Seen<'_>) -> TokenStream {
    let (door, step) = (&saga.door, seen.step);
    let name = step.stored_name();
    let kind = match (&step.pivot, &step.retriable) {
        (Some(_), _) => quote!(Pivot),
        (None, Some(_)) => quote!(Retriable),
        (None, None) => quote!(Compensable),
    };
    let output = option(step.value().map(|value| output(saga, &value)));
    let timeout = option(step.timeout.map(|timeout| duration(saga, timeout)));
    let retry = option(step.retry.map(|retry| self::retry(saga, retry)));
    let sample = match step.value() {
        Some(value) => slot(&value).into_token_stream(),
        None => quote!(#door::saga::NOTHING),
    };
    let work = work(saga, seen);
    quote! {
        #door::saga::Step {
            name: #name, kind: #door::saga::StepKind::#kind, output: #output, timeout: #timeout, retry: #retry,
            sample: #sample.sample(), work: #work,
        }
    }
}

fn work(saga: &Saga, seen: &Seen<'_>) -> TokenStream {
    let (door, step) = (&saga.door, seen.step);
    let (execute, undo) = (adapter(saga, seen, "on_execute"), option(adapter(saga, seen, "on_failure")));
    if step.place == Place::Local {
        return quote!(#door::saga::Work::Local { execute: #execute, undo: #undo });
    }
    let (on_success, on_error) = (option(adapter(saga, seen, "on_success")), option(adapter(saga, seen, "on_error")));
    let read = match step.value() {
        Some(value) => {
            let slot = slot(&value);
            quote_spanned!(at(Span::call_site())=> |answer| #slot.answer(answer))
        }
        None => quote!(#door::saga::unread),
    };
    quote! {
        #door::saga::Work::Remote { execute: #execute, read: #read, on_success: #on_success, on_error: #on_error, undo: #undo }
    }
}

fn output(saga: &Saga, value: &Value<'_>) -> TokenStream {
    let (door, name, ty) = (&saga.door, value.stored(), value.type_text());
    quote!(#door::saga::Output { name: #name, ty: #ty })
}

fn retry(saga: &Saga, Retry { attempts, first_pause, longest_pause }: Retry) -> TokenStream {
    let (door, first, longest) = (&saga.door, duration(saga, first_pause), duration(saga, longest_pause));
    quote!(#door::saga::Retry { attempts: #attempts, first_pause: #first, longest_pause: #longest })
}

fn duration(saga: &Saga, duration: Duration) -> TokenStream {
    let (door, milliseconds) = (&saga.door, u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    quote!(#door::saga::Duration::from_millis(#milliseconds))
}

fn option(value: Option<impl ToTokens>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}
