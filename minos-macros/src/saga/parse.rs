//! Tokens to a saga. What is wrong in one block does not keep the others from being read.

use super::{
    callback,
    model::{Callback, Node, Parallel, Place, Retry, Saga, Step, When},
};
use crate::{
    diag::{Errors, did_you_mean},
    door::Door,
    lit,
    word::{ISOLATED, LOCAL_KEYS, NODES, REMOTE_KEYS, RETRY_KEYS},
};
use proc_macro2::{Delimiter, TokenTree};
use std::time::Duration;
use syn::{Attribute, Field, Ident, LitInt, LitStr, Token, Type, braced, parse::ParseStream, token::Brace};

const USAGE: &str = "usage: `saga! { pub Name { field: Type } remote step -> output: Type { on_execute: |saga| Message { … } } }`";
const RETRY: &str = "help: `retry: { attempts: 5, first_pause: \"1s\", longest_pause: \"1m\" }`";

/// Pauses that are not given.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
const ATTEMPTS: u32 = 5;

pub(super) fn saga(errors: &Errors, input: ParseStream<'_>) -> syn::Result<Saga> {
    let door = if Door::is_next(input) {
        let door = Door::parse(input)?;
        input.parse::<Token![;]>()?;
        door
    } else {
        Door::default()
    };
    let (attrs, isolated) = isolated(errors, input.call(Attribute::parse_outer)?);
    let vis = input.parse()?;
    if input.peek(Token![struct]) {
        let word: Token![struct] = input.parse()?;
        errors.at(&word, "a saga is named without `struct`");
    }
    if input.peek(Ident) && input.peek2(Token![<]) {
        return Err(input.error("a saga cannot be generic: its executions are stored under one name"));
    }
    if !input.peek(Ident) || !input.peek2(Brace) {
        return Err(input.error(format!("a saga begins with its name and the fields of its input\n{USAGE}")));
    }
    let name = input.parse()?;
    let block;
    braced!(block in input);
    let fields = fields(errors, &block);
    let nodes = nodes(errors, input);
    Ok(Saga { door, attrs, isolated, vis, name, fields, nodes })
}

/// The attributes but for `#[isolated]`, and whether it is there.
fn isolated(errors: &Errors, attrs: Vec<Attribute>) -> (Vec<Attribute>, bool) {
    let (ours, others): (Vec<_>, Vec<_>) = attrs.into_iter().partition(|attr| attr.path().is_ident(ISOLATED));
    for attr in &ours {
        if attr.meta.require_path_only().is_err() {
            errors.at(&attr.meta, "`#[isolated]` takes nothing\nhelp: `#[isolated]`");
        }
    }
    for attr in ours.iter().skip(1) {
        errors.at(attr, "this saga is isolated already\nhelp: remove one `#[isolated]`");
    }
    (others, !ours.is_empty())
}

fn fields(errors: &Errors, block: ParseStream<'_>) -> Vec<Field> {
    let mut fields = Vec::new();
    while !block.is_empty() {
        match block.call(Field::parse_named) {
            Ok(field) => {
                if let Some((_, value)) = &field.default {
                    errors.at(value, "a field of a saga has no value here\nhelp: `#[serde(default = \"function\")]` before it");
                }
                fields.push(field);
            }
            Err(error) => {
                errors.push(syn::Error::new(error.span(), "a field of a saga has a name and a type\nhelp: `name: Type`"));
                while !block.is_empty() && !block.peek(Token![,]) && block.parse::<TokenTree>().is_ok() {}
            }
        }
        comma(errors, block);
    }
    fields
}

/// All nodes up to the end of the block.
fn nodes(errors: &Errors, input: ParseStream<'_>) -> Vec<Node> {
    let mut nodes = Vec::new();
    while !input.is_empty() {
        match node(errors, input) {
            Ok(node) => nodes.extend(node),
            Err(error) => {
                errors.push(error);
                skip_block(input);
            }
        }
    }
    nodes
}

/// Goes on behind the next `{ … }`.
fn skip_block(input: ParseStream<'_>) {
    while let Ok(token) = input.parse::<TokenTree>() {
        if matches!(&token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace) {
            break;
        }
    }
}

fn node(errors: &Errors, input: ParseStream<'_>) -> syn::Result<Option<Node>> {
    let docs = input.call(Attribute::parse_outer)?;
    for attr in docs.iter().filter(|attr| !attr.path().is_ident("doc")) {
        errors.at(attr, "a step has no attributes but its documentation: stored executions need the same steps in every build");
    }
    let (mut pivot, mut retriable) = (None, None);
    loop {
        let word: Ident = input.parse().map_err(|error| syn::Error::new(error.span(), format!("a step is missing here\n{USAGE}")))?;
        let kind = if word == "pivot" {
            &mut pivot
        } else if word == "retriable" {
            &mut retriable
        } else {
            let kinds = [pivot, retriable];
            return other(errors, input, docs, kinds, word);
        };
        if kind.is_some() {
            errors.at(&word, format!("this step is `{word}` already"));
        }
        *kind = Some(word);
    }
}

/// What comes behind the kind of a step.
fn other(
    errors: &Errors,
    input: ParseStream<'_>,
    docs: Vec<Attribute>,
    kinds: [Option<Ident>; 2],
    word: Ident,
) -> syn::Result<Option<Node>> {
    let kind = kinds.iter().flatten().next();
    if word == "remote" {
        return step(errors, input, docs, kinds, Place::Remote).map(Some);
    }
    if word == "local" {
        return step(errors, input, docs, kinds, Place::Local).map(Some);
    }
    if let Some(kind) = kind.filter(|_| word == "when" || word == "parallel") {
        errors.at(kind, format!("`{kind}` stands before a step, not before `{word}`"));
    }
    if word == "when" {
        return when(errors, input, word).map(Some);
    }
    if word == "parallel" {
        return parallel(errors, input, word).map(Some);
    }
    let message = if word == "otherwise" {
        "`otherwise` stands behind the block of a `when`".to_owned()
    } else {
        let hint = did_you_mean(&word.to_string(), NODES);
        format!("`{word}` is not a step; expected `remote`, `local`, `when` or `parallel`{hint}")
    };
    errors.at(&word, message);
    skip_block(input);
    Ok(None)
}

fn when(errors: &Errors, input: ParseStream<'_>, word: Ident) -> syn::Result<Node> {
    let condition = callback::condition(input, &word)?;
    let block;
    braced!(block in input);
    let then = nodes(errors, &block);
    let is_otherwise = input.cursor().ident().is_some_and(|(word, _)| word == "otherwise");
    let otherwise = if is_otherwise {
        let word: Ident = input.parse()?;
        if !input.peek(Brace) {
            return Err(
                input.error("`otherwise` has a block of steps\nhelp: `otherwise { … }`; a second condition is a `when` inside of it")
            );
        }
        let block;
        braced!(block in input);
        Some((word, nodes(errors, &block)))
    } else {
        None
    };
    Ok(Node::When(When { word, condition, then, otherwise }))
}

fn parallel(errors: &Errors, input: ParseStream<'_>, word: Ident) -> syn::Result<Node> {
    if !input.peek(Brace) {
        return Err(syn::Error::new(word.span(), "`parallel` has a block of steps\nhelp: `parallel { … }`"));
    }
    let block;
    braced!(block in input);
    let mut branches = Vec::new();
    while !block.is_empty() {
        if block.peek(Brace) {
            let branch;
            let brace = braced!(branch in block);
            let branch = nodes(errors, &branch);
            if branch.is_empty() {
                errors.at_span(brace.span.join(), "this branch has no steps\nhelp: remove it");
            } else {
                branches.push(branch);
            }
            continue;
        }
        match node(errors, &block) {
            Ok(node) => branches.extend(node.map(|node| vec![node])),
            Err(error) => {
                errors.push(error);
                skip_block(&block);
            }
        }
    }
    Ok(Node::Parallel(Parallel { word, branches }))
}

fn step(errors: &Errors, input: ParseStream<'_>, docs: Vec<Attribute>, kinds: [Option<Ident>; 2], place: Place) -> syn::Result<Node> {
    let word = place.word();
    let name: Ident = input.parse().map_err(|error| {
        syn::Error::new(error.span(), format!("a step has a name: what the stored saga resumes at\nhelp: `{word} name {{ … }}`"))
    })?;
    let output = if input.parse::<Option<Token![->]>>()?.is_some() { Some(output(input)?) } else { None };
    if !input.peek(Brace) {
        return Err(syn::Error::new(name.span(), format!("step `{name}` has no block\nhelp: `{word} {name} {{ on_execute: … }}`")));
    }
    let block;
    braced!(block in input);
    let [pivot, retriable] = kinds;
    let mut step = Step { docs, pivot, retriable, place, name, output, callbacks: Vec::new(), timeout: None, retry: None };
    let mut given = Vec::new();
    while !block.is_empty() {
        if let Err(error) = entry(errors, &block, &mut step, &mut given) {
            errors.push(error);
            callback::skip(&block);
        }
        comma(errors, &block);
    }
    Ok(Node::Step(Box::new(step)))
}

fn output(input: ParseStream<'_>) -> syn::Result<(Ident, Type)> {
    let help = "what a step yields has a name, by which later steps read it\nhelp: `-> name: Type`";
    let name: Ident = input.parse().map_err(|error| syn::Error::new(error.span(), help))?;
    if !input.peek(Token![:]) || input.peek(Token![::]) {
        return Err(syn::Error::new(name.span(), help));
    }
    input.parse::<Token![:]>()?;
    Ok((name, input.parse()?))
}

/// The `,` between two entries.
fn comma(errors: &Errors, block: ParseStream<'_>) {
    if block.is_empty() || block.parse::<Token![,]>().is_ok() {
        return;
    }
    errors.push(block.error("a `,` is missing before this"));
    if !(block.peek(Ident) && block.peek2(Token![:])) {
        callback::skip(block);
        let _ = block.parse::<Token![,]>();
    }
}

/// `key: value`.
fn entry(errors: &Errors, block: ParseStream<'_>, step: &mut Step, given: &mut Vec<String>) -> syn::Result<()> {
    let (keys, word) = match step.place {
        Place::Remote => (REMOTE_KEYS, "remote"),
        Place::Local => (LOCAL_KEYS, "local"),
    };
    let expected = || keys.join(", ");
    let mut key: Ident =
        block.parse().map_err(|error| syn::Error::new(error.span(), format!("a key is missing here; expected {}", expected())))?;
    let text = key.to_string();
    let hint = did_you_mean(&text, keys);
    if !keys.contains(&text.as_str()) {
        let only_remote = REMOTE_KEYS.contains(&text.as_str());
        let help = if only_remote { "\nhelp: only a `remote` step has an answer to react to" } else { &hint };
        errors.at(&key, format!("a `{word}` step has no `{key}`; expected {}{help}", expected()));
        // What was meant is taken as said, so that nothing else is missing because of it.
        key = keys.iter().find(|known| hint.contains(&format!("`{known}`"))).map_or(key.clone(), |known| Ident::new(known, key.span()));
    } else if !block.peek(Token![:]) {
        return Err(syn::Error::new(key.span(), format!("`{key}` has no value\nhelp: `{key}: …`")));
    }
    block.parse::<Token![:]>()?;
    let text = key.to_string();
    if given.contains(&text) {
        errors.at(&key, format!("`{key}` is already given for step `{}`", step.name));
        callback::skip(block);
        return Ok(());
    }
    match text.as_str() {
        "timeout" => step.timeout = duration(errors, block)?,
        "retry" => step.retry = Some(retry(errors, block)?),
        _ => {
            let callback = callback::callback(block)?;
            if let (Callback::Nothing, true) = (&callback, text != "on_failure") {
                return Err(syn::Error::new(key.span(), format!("`{key}` is a closure or the path of a function\nhelp: leave it out")));
            }
            if keys.contains(&text.as_str()) {
                step.callbacks.push((key, callback));
            }
        }
    }
    given.push(text);
    Ok(())
}

fn duration(errors: &Errors, block: ParseStream<'_>) -> syn::Result<Option<Duration>> {
    if block.peek(LitStr) {
        return Ok(lit::duration(errors, &block.parse()?));
    }
    let value = callback::value(block);
    Err(syn::Error::new_spanned(value, lit::DURATION))
}

fn retry(errors: &Errors, input: ParseStream<'_>) -> syn::Result<Retry> {
    if !input.peek(Brace) {
        let value = callback::value(input);
        return Err(syn::Error::new_spanned(value, format!("`retry` says how often and when a step is tried again\n{RETRY}")));
    }
    let block;
    let brace = braced!(block in input);
    if block.is_empty() {
        errors.at_span(brace.span.join(), format!("this `retry` says nothing\n{RETRY}"));
    }
    let retry = pauses(errors, &block);
    // What is left is not told a second time.
    while block.parse::<TokenTree>().is_ok() {}
    retry
}

fn pauses(errors: &Errors, block: ParseStream<'_>) -> syn::Result<Retry> {
    let (mut attempts, mut first, mut longest) = (None, None, None);
    let mut given: Vec<String> = Vec::new();
    while !block.is_empty() {
        let key: Ident = block.parse()?;
        let text = key.to_string();
        if !RETRY_KEYS.contains(&text.as_str()) {
            let hint = did_you_mean(&text, RETRY_KEYS);
            errors.at(&key, format!("`retry` has no `{key}`; it has {}{hint}", RETRY_KEYS.join(", ")));
        } else if given.contains(&text) {
            errors.at(&key, format!("`{key}` is already given for this `retry`"));
        }
        block.parse::<Token![:]>()?;
        match text.as_str() {
            "attempts" => attempts = count(errors, block)?,
            "first_pause" => first = duration(errors, block)?.map(|pause| (pause, key)),
            "longest_pause" => longest = duration(errors, block)?,
            _ => callback::skip(block),
        }
        given.push(text);
        comma(errors, block);
    }
    if let (Some((first, key)), Some(longest)) = (&first, longest)
        && *first > longest
    {
        errors.at(key, "the first pause is longer than the longest\nhelp: pauses grow from `first_pause` to `longest_pause`");
    }
    let first = first.map_or(PAUSES.0.min(longest.unwrap_or(PAUSES.0)), |(pause, _)| pause);
    Ok(Retry { attempts: attempts.unwrap_or(ATTEMPTS), first_pause: first, longest_pause: longest.unwrap_or(PAUSES.1.max(first)) })
}

fn count(errors: &Errors, block: ParseStream<'_>) -> syn::Result<Option<u32>> {
    let help = "`attempts` is how often the step is tried in all: a number from 1 on";
    if !block.peek(LitInt) {
        return Err(syn::Error::new_spanned(callback::value(block), help));
    }
    let number: LitInt = block.parse()?;
    let count = number.base10_parse::<u32>().ok().filter(|count| *count > 0);
    if count.is_none() {
        errors.at(&number, help);
    }
    Ok(count)
}
