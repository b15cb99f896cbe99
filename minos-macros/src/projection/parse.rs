//! The arguments of the attribute, and the functions of the block with the names of their events.

use super::Attribute;
use crate::{
    diag::{Errors, did_you_mean},
    door::Door,
    word::PROJECTION_KEYS,
};
use syn::{Ident, ImplItem, ImplItemFn, ItemImpl, LitInt, LitStr, Token, parse::ParseStream, punctuated::Punctuated};

/// A function, and the events that it takes.
pub(super) struct Handler {
    pub(super) function: ImplItemFn,
    pub(super) names: Vec<LitStr>,
}

pub(super) fn attribute(errors: &Errors, input: ParseStream<'_>) -> syn::Result<Attribute> {
    let mut attribute = Attribute::default();
    while !input.is_empty() {
        if Door::is_next(input) {
            attribute.door = Door::parse(input)?;
        } else {
            let key: Ident = input.parse()?;
            if key == "inline" {
                attribute.inline = true;
            } else if key == "version" {
                input.parse::<Token![=]>()?;
                attribute.version = version(errors, input)?;
            } else {
                let hint = did_you_mean(&key.to_string(), PROJECTION_KEYS);
                errors.at(&key, format!("a projection has no `{key}`; it has {}{hint}", PROJECTION_KEYS.join(", ")));
                if input.parse::<Option<Token![=]>>()?.is_some() {
                    input.parse::<syn::Expr>()?;
                }
            }
        }
        if input.parse::<Option<Token![,]>>()?.is_none() && !input.is_empty() {
            return Err(input.error("a `,` is missing here\nusage: `#[projection]`, `#[projection(inline)]`, `#[projection(version = 2)]`"));
        }
    }
    Ok(attribute)
}

fn version(errors: &Errors, input: ParseStream<'_>) -> syn::Result<Option<u32>> {
    let expression: syn::Expr = input.parse()?;
    let number = match &expression {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Int(number), .. }) => {
            LitInt::base10_parse::<u32>(number).ok().filter(|number| *number > 0)
        }
        _ => None,
    };
    if number.is_none() {
        errors
            .at(&expression, "the version of a projection is a number from 1\nhelp: `version = 2`, when what its functions do has changed");
    }
    Ok(number)
}

/// The block without the attributes of ours, and what they say.
pub(super) fn handlers(errors: &Errors, mut block: ItemImpl) -> (ItemImpl, Vec<Handler>) {
    let mut handlers = Vec::new();
    for item in &mut block.items {
        let ImplItem::Fn(function) = item else { continue };
        let Some(place) = function.attrs.iter().position(|attr| attr.path().is_ident("event")) else { continue };
        let attr = function.attrs.remove(place);
        let names = match attr.parse_args_with(Punctuated::<LitStr, Token![,]>::parse_terminated) {
            Ok(names) if !names.is_empty() => names.into_iter().collect(),
            _ => {
                errors.at(&attr, "the names of the events are string literals\nhelp: `#[event(\"AccountCreated\")]`");
                Vec::new()
            }
        };
        handlers.push(Handler { function: function.clone(), names });
    }
    (block, handlers)
}
