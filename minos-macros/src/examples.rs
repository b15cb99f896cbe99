//! The examples of the README and the guide, expanded: as they are, and with each of their tokens taken out, doubled or empty.
//!
//! What the expansions of the README's service look like is in `tests/expand/`, to be read like code. After a change of theirs, run with
//! `EXPAND=overwrite` and read the difference.

use crate::{aggregate, document, handler, main_fn, message, problem, projection, saga, validate};
use proc_macro2::{Delimiter, Group, Literal, TokenStream, TokenTree};
use quote::ToTokens;
use std::{fs, path::Path};
use syn::{Attribute, Item, Meta};

/// An item with an attribute of ours.
struct Example {
    /// The attribute, or the trait that is derived.
    macro_name: String,
    /// What it is given.
    args: TokenStream,
    /// The item without it.
    item: TokenStream,
    /// A name for it: of the macro and the item.
    name: String,
}

/// Calls a macro by its name, as `lib.rs` does.
fn expand(macro_name: &str, args: TokenStream, item: TokenStream) -> TokenStream {
    match macro_name {
        "aggregate" => aggregate::expand(args, item),
        "aggregate_ref" => aggregate::reference(args, item),
        "command" => handler::expand(handler::Kind::Command, args, item),
        "query" => handler::expand(handler::Kind::Query, args, item),
        "event" => handler::expand(handler::Kind::Event, args, item),
        "periodic" => handler::expand(handler::Kind::Periodic, args, item),
        "message" => message::expand(args, item),
        "main" => main_fn::expand(args, item),
        "Problem" => problem::expand(item),
        "saga" => saga::expand(item),
        "document" => document::expand(args, item),
        "projection" => projection::expand(args, item),
        "Aggregate" => aggregate::derive(item),
        "Validate" => validate::derive(item),
        other => panic!("there is no macro `{other}`"),
    }
}

const ATTRIBUTES: &[&str] =
    &["aggregate", "aggregate_ref", "command", "query", "event", "periodic", "message", "main", "document", "projection"];
const DERIVES: &[&str] = &["Problem", "Aggregate", "Validate"];
/// Macros that are called: what they are given is no item.
const CALLS: &[&str] = &["saga"];

/// The examples in the Rust blocks of this file of the repository, or in all of it if it is no Markdown.
fn examples(file: &str) -> Vec<Example> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)).unwrap();
    if file.ends_with(".rs") {
        return in_source(&text);
    }
    text.split("```rust").skip(1).flat_map(|rest| in_source(&code(rest))).collect()
}

/// The code of a block, with the lines that documentation hides.
fn code(rest: &str) -> String {
    let block = rest.split("```").next().unwrap_or_default();
    block.lines().skip(1).map(|line| line.strip_prefix("# ").unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

fn in_source(text: &str) -> Vec<Example> {
    let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    file.items.into_iter().flat_map(examples_of).collect()
}

/// The examples of an item, or in a module.
fn examples_of(item: Item) -> Vec<Example> {
    match item {
        Item::Mod(syn::ItemMod { content: Some((_, items)), .. }) => items.into_iter().flat_map(examples_of).collect(),
        item => example(item),
    }
}

fn example(mut item: Item) -> Vec<Example> {
    let ident = match &item {
        Item::Fn(function) => function.sig.ident.to_string(),
        Item::Struct(item) => item.ident.to_string(),
        Item::Enum(item) => item.ident.to_string(),
        Item::Impl(block) => block.self_ty.to_token_stream().to_string() + "_events",
        Item::Macro(call) => return called(call),
        _ => return Vec::new(),
    };
    let (Item::Fn(syn::ItemFn { attrs, .. })
    | Item::Struct(syn::ItemStruct { attrs, .. })
    | Item::Enum(syn::ItemEnum { attrs, .. })
    | Item::Impl(syn::ItemImpl { attrs, .. })) = &mut item
    else {
        return Vec::new();
    };
    let all = std::mem::take(attrs);
    let last = |attr: &Attribute| attr.path().segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
    if let Some(place) = all.iter().position(|attr| ATTRIBUTES.contains(&last(attr).as_str())) {
        let macro_name = last(&all[place]);
        let args = match &all[place].meta {
            Meta::List(list) => list.tokens.clone(),
            _ => TokenStream::new(),
        };
        attrs.extend(all.into_iter().enumerate().filter(|(n, _)| *n != place).map(|(_, attr)| attr));
        return vec![Example { name: format!("{macro_name}_{ident}"), macro_name, args, item: item.to_token_stream() }];
    }
    let derived =
        all.iter().filter(|attr| attr.path().is_ident("derive")).map(|attr| attr.to_token_stream().to_string()).collect::<String>();
    attrs.extend(all.into_iter().filter(|attr| !attr.path().is_ident("derive")));
    let derives = DERIVES.iter().filter(|name| derived.contains(**name));
    derives
        .map(|name| Example {
            name: format!("{name}_{ident}"),
            macro_name: (*name).to_owned(),
            args: TokenStream::new(),
            item: item.to_token_stream(),
        })
        .collect()
}

/// The call of a macro of ours. It is named after the first word that begins with a capital letter.
fn called(call: &syn::ItemMacro) -> Vec<Example> {
    let Some(macro_name) = CALLS.iter().find(|name| call.mac.path.is_ident(name)) else { return Vec::new() };
    let item = call.mac.tokens.clone();
    let name = names(item.clone()).into_iter().find(|name| name.starts_with(char::is_uppercase)).unwrap_or_default();
    vec![Example { name: format!("{macro_name}_{name}"), macro_name: (*macro_name).to_owned(), args: TokenStream::new(), item }]
}

/// The expansion as one reads code.
fn printed(example: &Example) -> String {
    let tokens = expand(&example.macro_name, example.args.clone(), example.item.clone());
    let file = syn::parse2::<syn::File>(tokens.clone()).unwrap_or_else(|error| panic!("{}: {error}: {tokens}", example.name));
    prettyplease::unparse(&file)
}

#[test]
fn expansions_are_as_they_were_reviewed() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expand");
    let overwrite = std::env::var_os("EXPAND").is_some_and(|value| value == "overwrite");
    let is_shown = |example: &Example| ["aggregate_Account_events", "message_Reserve", "saga_AddFoobar"].contains(&example.name.as_str());
    let mut shown = examples("README.md");
    shown.extend(examples("docs/guide.md").into_iter().filter(is_shown));
    assert!(shown.len() >= 7, "the README's service, domain events and a message");
    for example in &shown {
        let (file, printed) = (directory.join(format!("{}.rs", example.name)), printed(example));
        if overwrite {
            fs::write(&file, printed).unwrap();
            continue;
        }
        let reviewed = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert_eq!(printed, reviewed, "{}: if that is meant, run with EXPAND=overwrite and read the difference", file.display());
    }
    let files = fs::read_dir(&directory).unwrap().count();
    assert_eq!(files, shown.len(), "{} has files of examples that are gone", directory.display());
}

/// What the readers of an expansion see of one handler: the lines beside the function itself.
#[test]
fn a_handler_costs_few_lines() {
    for example in examples("examples/foo/main.rs").iter().filter(|example| example.item.to_string().contains("async fn")) {
        let own = prettyplease::unparse(&syn::parse2(example.item.clone()).unwrap());
        let more = printed(example).lines().count() - own.lines().count();
        assert!(more <= 42, "{}: {more} lines", example.name);
    }
}

#[derive(Clone, Copy, Debug)]
enum Change {
    TakeOut,
    Double,
    /// Nothing in a string or between brackets.
    Empty,
}

impl Change {
    fn of(self, token: TokenTree) -> TokenStream {
        match (self, token) {
            (Change::Double, token) => [token.clone(), token].into_iter().collect(),
            (Change::Empty, TokenTree::Group(group)) => TokenTree::from(Group::new(group.delimiter(), TokenStream::new())).into(),
            (Change::Empty, TokenTree::Literal(_)) => TokenTree::from(Literal::string("")).into(),
            (Change::TakeOut | Change::Empty, _) => TokenStream::new(),
        }
    }
}

/// The same tokens with one of them changed, counted through all groups; `None` if there are not so many.
fn changed(tokens: TokenStream, change: Change, place: &mut usize) -> Option<TokenStream> {
    let (mut all, mut found) = (Vec::new(), false);
    for token in tokens {
        if found {
            all.push(token);
            continue;
        }
        if *place == 0 {
            found = true;
            all.extend(change.of(token));
            continue;
        }
        *place -= 1;
        match token {
            TokenTree::Group(group) => {
                let inner = changed(group.stream(), change, place);
                found = inner.is_some();
                all.push(Group::new(group.delimiter(), inner.unwrap_or_else(|| group.stream())).into());
            }
            other => all.push(other),
        }
    }
    found.then(|| all.into_iter().collect())
}

/// All names in these tokens outside of attributes, but for words that rustc would refuse as well.
fn names(tokens: TokenStream) -> Vec<String> {
    let (mut names, mut after_hash) = (Vec::new(), false);
    for token in tokens {
        match &token {
            TokenTree::Ident(ident) => names.push(ident.to_string()),
            TokenTree::Group(group) if !(after_hash && group.delimiter() == Delimiter::Bracket) => {
                names.extend(self::names(group.stream()))
            }
            _ => {}
        }
        after_hash = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '#');
    }
    names
}

/// That the macro does not panic, that what it gives for a right item is right, and that the user's item is still there.
fn survives(example: &Example, args: TokenStream, item: TokenStream) {
    let what = || format!("#[{}({args})] {item}", example.macro_name);
    let output = expand(&example.macro_name, args.clone(), item.clone());
    let has_errors = output.to_string().contains("compile_error");
    if !has_errors && syn::parse2::<Item>(item.clone()).is_ok() && !CALLS.contains(&example.macro_name.as_str()) {
        assert!(syn::parse2::<syn::File>(output.clone()).is_ok(), "{}\n{output}", what());
    }
    if DERIVES.contains(&example.macro_name.as_str()) {
        return;
    }
    if CALLS.contains(&example.macro_name.as_str()) {
        // Bodies are the user's, finished or not; of a saga that has a name and fields, the types come back.
        let is_there = names(output).contains(&"Done".to_owned());
        assert!(is_there || has_errors, "neither types nor a mistake: {}", what());
        return;
    }
    let there = names(output);
    for name in names(item.clone()) {
        // In methods that moved to the root, `Self` has another name.
        assert!(there.contains(&name) || name == "Self", "`{name}` is gone: {}\n{there:?}", what());
    }
}

#[test]
fn every_token_may_be_missing_doubled_or_empty() {
    let files = [
        "README.md",
        "docs/guide.md",
        "examples/foo/main.rs",
        "tests/service/app/account.rs",
        "tests/service/app/trouble.rs",
        "tests/saga_macro.rs",
    ];
    let all: Vec<Example> = files.into_iter().flat_map(examples).collect();
    let known = |name: &&str| all.iter().any(|example| example.macro_name == **name);
    assert!(ATTRIBUTES.iter().chain(DERIVES).chain(CALLS).all(|name| known(name) || *name == "Aggregate"), "each macro has an example");
    let mut count = 0;
    for example in &all {
        survives(example, example.args.clone(), example.item.clone());
        for change in [Change::TakeOut, Change::Double, Change::Empty] {
            let changes = |tokens: &TokenStream| {
                let tokens = tokens.clone();
                (0..).map_while(move |place| changed(tokens.clone(), change, &mut { place })).collect::<Vec<_>>()
            };
            for args in changes(&example.args) {
                survives(example, args, example.item.clone());
                count += 1;
            }
            for item in changes(&example.item) {
                survives(example, example.args.clone(), item);
                count += 1;
            }
        }
    }
    assert!(count > 2_000, "{count}");
}
