//! What `#[aggregate(…)]` says.

use crate::{
    diag::{Errors, did_you_mean},
    door::Door,
    word::AGGREGATE_KEYS,
};
use syn::{Ident, Token, parse::ParseStream};

/// What is said of an aggregate beside its fields.
#[derive(Default)]
pub(super) struct Options {
    pub(super) door: Door,
    /// Whether it is found by its fields.
    pub(super) queryable: bool,
    /// Whether other services may resolve references to it.
    pub(super) resolvable: bool,
    /// Where the options stand, to be told on an `impl`, which has none.
    pub(super) keys: Vec<Ident>,
}

pub(super) fn parse(errors: &Errors, input: ParseStream<'_>) -> syn::Result<Options> {
    let mut options = Options::default();
    while !input.is_empty() {
        if Door::is_next(input) {
            options.door = Door::parse(input)?;
        } else {
            let key: Ident = input.call(syn::ext::IdentExt::parse_any).map_err(|error| syn::Error::new(error.span(), usage()))?;
            option(errors, input, &mut options, key)?;
        }
        if input.parse::<Option<Token![,]>>()?.is_none() && !input.is_empty() {
            return Err(input.error(format!("a `,` is missing here\n{}", usage())));
        }
    }
    Ok(options)
}

fn option(errors: &Errors, input: ParseStream<'_>, options: &mut Options, key: Ident) -> syn::Result<()> {
    let word = key.to_string();
    let twice = options.keys.contains(&key);
    match word.as_str() {
        "queryable" => options.queryable = true,
        "resolvable" => options.resolvable = true,
        _ => {
            let hint = did_you_mean(&word, AGGREGATE_KEYS);
            errors.at(&key, format!("an aggregate has no option `{word}`; it has {}{hint}", AGGREGATE_KEYS.join(", ")));
            if input.parse::<Option<Token![=]>>()?.is_some() {
                input.parse::<syn::Expr>()?;
            }
            return Ok(());
        }
    }
    if twice {
        errors.at(&key, format!("`{word}` is said twice"));
    }
    options.keys.push(key);
    Ok(())
}

fn usage() -> String {
    format!(
        "usage: `#[aggregate]`, or with options: {}",
        AGGREGATE_KEYS.iter().map(|key| format!("`#[aggregate({key})]`")).collect::<Vec<_>>().join(", ")
    )
}
