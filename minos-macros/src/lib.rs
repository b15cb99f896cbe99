//! The macros of Minos. They are documented where users meet them, in the crate `minos`.
//!
//! Every macro is three steps: *parse* tokens into plain data, *check* it, *expand* it. Mistakes are collected along the way, each on the user's
//! own token, and the user's item always comes back with them, so that nothing else fails because of them.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

mod aggregate;
mod diag;
mod document;
mod door;
#[cfg(test)]
mod examples;
mod handler;
mod import;
mod index;
mod item;
mod lit;
mod look;
mod main_fn;
mod matrix;
mod message;
mod problem;
mod projection;
mod purity;
mod saga;
mod serial;
mod validate;
mod word;

use handler::Kind;
use proc_macro::TokenStream;

#[doc(hidden)]
#[proc_macro_attribute]
pub fn aggregate(args: TokenStream, item: TokenStream) -> TokenStream {
    aggregate::expand(args.into(), item.into()).into()
}

#[doc(hidden)]
#[proc_macro_derive(Aggregate, attributes(minos, validate, unique, index, subject))]
pub fn derive_aggregate(item: TokenStream) -> TokenStream {
    aggregate::derive(item.into()).into()
}

#[doc(hidden)]
#[proc_macro_attribute]
pub fn aggregate_ref(args: TokenStream, item: TokenStream) -> TokenStream {
    aggregate::reference(args.into(), item.into()).into()
}

#[doc(hidden)]
#[proc_macro_attribute]
pub fn command(args: TokenStream, item: TokenStream) -> TokenStream {
    handler::expand(Kind::Command, args.into(), item.into()).into()
}

#[doc(hidden)]
#[proc_macro_attribute]
pub fn query(args: TokenStream, item: TokenStream) -> TokenStream {
    handler::expand(Kind::Query, args.into(), item.into()).into()
}

#[doc(hidden)]
#[proc_macro_attribute]
pub fn event(args: TokenStream, item: TokenStream) -> TokenStream {
    handler::expand(Kind::Event, args.into(), item.into()).into()
}

#[doc(hidden)]
#[proc_macro_attribute]
pub fn periodic(args: TokenStream, item: TokenStream) -> TokenStream {
    handler::expand(Kind::Periodic, args.into(), item.into()).into()
}

#[doc(hidden)]
#[proc_macro_attribute]
pub fn message(args: TokenStream, item: TokenStream) -> TokenStream {
    message::expand(args.into(), item.into()).into()
}

#[doc(hidden)]
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    main_fn::expand(args.into(), item.into()).into()
}

#[doc(hidden)]
#[proc_macro_attribute]
pub fn document(args: TokenStream, item: TokenStream) -> TokenStream {
    document::expand(args.into(), item.into()).into()
}

#[doc(hidden)]
#[proc_macro_attribute]
pub fn projection(args: TokenStream, item: TokenStream) -> TokenStream {
    projection::expand(args.into(), item.into()).into()
}

#[doc(hidden)]
#[proc_macro_derive(Problem, attributes(problem))]
pub fn derive_problem(item: TokenStream) -> TokenStream {
    problem::expand(item.into()).into()
}

#[doc(hidden)]
#[proc_macro_derive(Validate, attributes(validate))]
pub fn derive_validate(item: TokenStream) -> TokenStream {
    validate::derive(item.into()).into()
}

#[doc(hidden)]
#[proc_macro]
pub fn import_contract(input: TokenStream) -> TokenStream {
    import::expand(input.into()).into()
}

#[doc(hidden)]
#[proc_macro]
pub fn saga(input: TokenStream) -> TokenStream {
    saga::expand(input.into()).into()
}

#[doc(hidden)]
#[proc_macro]
pub fn crash_matrix(input: TokenStream) -> TokenStream {
    matrix::expand(input.into()).into()
}
