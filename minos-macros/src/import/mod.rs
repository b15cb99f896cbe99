//! `import_contract!`: the messages of another service, as types.

mod check;
mod expand;
mod json;
mod parse;
mod types;

use crate::diag::Errors;
use proc_macro2::TokenStream;
use syn::parse::Parser;

pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let errors = Errors::default();
    let Some(import) = errors.ok(parse::import.parse2(input)) else { return errors.into_tokens() };
    match check::contract(&errors, &import) {
        Some(contract) if errors.is_empty() => expand::expand(&import, &contract),
        _ => errors.into_tokens(),
    }
}
