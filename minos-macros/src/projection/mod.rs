//! `#[projection]` on an `impl`: functions that keep a read model up to date, each for its events.

mod check;
mod expand;
mod parse;

use crate::{diag::Errors, door::Door};
use proc_macro2::TokenStream;
use syn::{
    ItemImpl,
    parse::{ParseStream, Parser},
};

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let errors = Errors::default();
    let attribute = errors.ok((|input: ParseStream<'_>| parse::attribute(&errors, input)).parse2(args)).unwrap_or_default();
    let Ok(block) = syn::parse2::<ItemImpl>(item.clone()) else {
        errors.at_span(
            proc_macro2::Span::call_site(),
            "`#[projection]` goes on an `impl`, whose functions take the events\nhelp: `#[projection] impl Balances { #[event(\"AccountCreated\")] async fn opened(view: &mut View<Self>, event: AccountCreated) -> Result<()> { … } }`",
        );
        return errors.with_item(&item);
    };
    let (block, handlers) = parse::handlers(&errors, block);
    match check::check(&errors, &block, &handlers) {
        Some(projection) if errors.is_empty() => expand::expand(&attribute, &block, &projection),
        _ => errors.with_item(&block),
    }
}

/// What the attribute says.
#[derive(Default)]
struct Attribute {
    /// Whether it is part of the commit of its events.
    inline: bool,
    version: Option<u32>,
    door: Door,
}
