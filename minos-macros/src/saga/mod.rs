//! `saga!`.

mod callback;
mod check;
mod expand;
mod model;
mod parse;
#[cfg(test)]
mod tests;
mod views;

use crate::diag::Errors;
use proc_macro2::TokenStream;
use syn::parse::{ParseStream, Parser};
use views::Views;

pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let errors = Errors::default();
    let saga = errors.ok((|input: ParseStream<'_>| parse::saga(&errors, input)).parse2(input));
    let Some(saga) = saga else { return errors.into_tokens() };
    let views = Views::of(&saga);
    check::check(&errors, &saga, &views);
    if errors.is_empty() {
        return expand::expand(&saga, &views);
    }
    errors.with_item(&expand::incomplete(&saga, &views))
}
