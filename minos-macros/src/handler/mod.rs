//! `#[command]`, `#[query]`, `#[event]` and `#[periodic]`: one grammar, four kinds.

mod access;
mod check;
mod expand;
mod parse;

use crate::{diag::Errors, item::Function};
use proc_macro2::TokenStream;
use syn::parse::Parser;

/// What a handler is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Command,
    Query,
    Event,
    Periodic,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Command => "command",
            Kind::Query => "query",
            Kind::Event => "event",
            Kind::Periodic => "periodic",
        }
    }

    /// `a command handler`.
    fn noun(self) -> &'static str {
        match self {
            Kind::Command => "a command handler",
            Kind::Query => "a query handler",
            Kind::Event => "an event handler",
            Kind::Periodic => "a periodic handler",
        }
    }

    fn usage(self) -> &'static str {
        match self {
            Kind::Command => "usage: `#[command(\"Name\", POST \"/path\")]`, or either of the two alone",
            Kind::Query => "usage: `#[query(\"Name\", GET \"/path\")]`, or either of the two alone",
            Kind::Event => "usage: `#[event(\"FooCreated\")]` or `#[event(\"Account.MoneyDeposited\")]`",
            Kind::Periodic => "usage: `#[periodic(\"0 * * * *\")]`",
        }
    }
}

pub(crate) fn expand(kind: Kind, args: TokenStream, item: TokenStream) -> TokenStream {
    let errors = Errors::default();
    let attribute = errors.ok(parse::attribute(kind, &errors).parse2(args));
    let function = match syn::parse2::<Function>(item.clone()) {
        Ok(function) => Some(function),
        Err(error) => {
            errors.at_span(error.span(), format!("`#[{}]` goes on an `async fn`", kind.name()));
            None
        }
    };
    let (Some(attribute), Some(function)) = (attribute, function) else { return errors.with_item(&item) };
    match check::check(kind, &errors, &attribute, &function) {
        Some(handler) if errors.is_empty() => expand::expand(&attribute, &function, &handler),
        _ => errors.with_item(&item),
    }
}
