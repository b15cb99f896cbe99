//! `snapshot(every = 100, age = "1d", schema = 1)`: when the state of an aggregate is kept.

use crate::{
    diag::{Errors, did_you_mean},
    door::Door,
    lit::{DURATION, duration},
    word::SNAPSHOT_KEYS,
};
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use std::time::Duration;
use syn::{LitInt, LitStr, Token, ext::IdentExt, parenthesized, parse::ParseStream, token::Paren};

const HELP: &str = "help: `snapshot(every = 100)` keeps the state once 100 events lie behind the last one kept";

/// What it says.
#[derive(Default)]
pub(super) struct Snapshot {
    every: Option<u64>,
    age: Option<Duration>,
    schema: Option<u32>,
}

/// The word and what stands behind it, if that comes next.
pub(super) fn parse(errors: &Errors, input: ParseStream<'_>) -> syn::Result<Option<(Ident, Snapshot)>> {
    let ahead = input.fork();
    if !matches!(ahead.call(Ident::parse_any), Ok(word) if word == "snapshot") {
        return Ok(None);
    }
    let word = input.call(Ident::parse_any)?;
    if !input.peek(Paren) {
        return Err(syn::Error::new_spanned(word, format!("`snapshot` says when one is taken\n{HELP}")));
    }
    let list;
    parenthesized!(list in input);
    let mut snapshot = Snapshot::default();
    while !list.is_empty() {
        key(errors, &mut snapshot, &list)?;
        if !list.is_empty() {
            list.parse::<Token![,]>()?;
        }
    }
    if errors.is_empty() && snapshot.every.is_none() && snapshot.age.is_none() {
        errors.at(&word, format!("`snapshot` says when one is taken, by `every` or by `age`\n{HELP}"));
    }
    Ok(Some((word, snapshot)))
}

fn key(errors: &Errors, snapshot: &mut Snapshot, list: ParseStream<'_>) -> syn::Result<()> {
    let key = list.call(Ident::parse_any)?;
    if !SNAPSHOT_KEYS.iter().any(|known| key == known) {
        let known: Vec<_> = SNAPSHOT_KEYS.iter().map(|known| format!("`{known}`")).collect();
        let message = format!("there is no `{key}` here; there are {}{}", known.join(", "), did_you_mean(&key.to_string(), SNAPSHOT_KEYS));
        return Err(syn::Error::new_spanned(key, message));
    }
    list.parse::<Token![=]>()?;
    let is_given = if key == "age" {
        if !list.peek(LitStr) {
            return Err(list.error(format!("{DURATION}\nhelp: `age = \"1d\"`")));
        }
        duration(errors, &list.parse()?).and_then(|age| snapshot.age.replace(age)).is_some()
    } else if key == "every" {
        number(errors, &key, list)?.and_then(|every| snapshot.every.replace(every)).is_some()
    } else {
        number(errors, &key, list)?.and_then(|schema| snapshot.schema.replace(schema)).is_some()
    };
    if is_given {
        errors.at(&key, format!("`{key}` is already given"));
    }
    Ok(())
}

/// A number from 1 on.
fn number<N: TryFrom<u64>>(errors: &Errors, key: &Ident, list: ParseStream<'_>) -> syn::Result<Option<N>> {
    let message = if key == "every" {
        "this is a number of events\nhelp: `every = 100`"
    } else {
        "this is a number of yours: another one leaves aside what was kept before\nhelp: `schema = 1`"
    };
    if !list.peek(LitInt) {
        return Err(list.error(message));
    }
    let number: LitInt = list.parse()?;
    let value = number.base10_parse::<u64>().ok().filter(|value| *value > 0).and_then(|value| N::try_from(value).ok());
    if value.is_none() {
        errors.at(&number, message);
    }
    Ok(value)
}

/// How such an aggregate is loaded.
pub(super) fn expand(door: &Door, snapshot: &Snapshot) -> TokenStream {
    let Snapshot { every, age, schema } = snapshot;
    let option = |value: Option<TokenStream>| {
        value.map_or_else(|| quote!(::core::option::Option::None), |value| quote!(::core::option::Option::Some(#value)))
    };
    let (every, schema) = (option(every.map(|every| quote!(#every))), option(schema.map(|schema| quote!(#schema))));
    let age = option(age.map(|age| {
        let milliseconds = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        quote!(::core::time::Duration::from_millis(#milliseconds))
    }));
    quote! {
        fn load(
            cx: &#door::Context,
            uuid: #door::Uuid,
            recalls: bool,
        ) -> impl ::core::future::Future<Output = #door::Result<::core::option::Option<#door::Root<Self>>>> + ::core::marker::Send {
            const SNAPSHOTS: #door::Snapshots = #door::Snapshots { every: #every, age: #age, schema: #schema };
            #door::load_from_snapshot(cx, uuid, recalls, &SNAPSHOTS)
        }
    }
}
