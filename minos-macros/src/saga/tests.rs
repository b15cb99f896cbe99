//! What is known where, which mistakes there are, and what comes back with them, on the text of sagas.

use super::{check, expand, model::Saga, parse, views::Views};
use crate::diag::Errors;
use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use syn::parse::{ParseStream, Parser};

/// `name -> output: Type` of steps, and blocks around them: what the tests are about. The rest is added.
fn saga(nodes: &str) -> String {
    format!("pub Trip {{ id: u32 }} {nodes}")
}

fn read(text: &str) -> (Saga, Errors) {
    let errors = Errors::default();
    let tokens: TokenStream = text.parse().unwrap();
    let saga = (|input: ParseStream<'_>| parse::saga(&errors, input)).parse2(tokens).unwrap_or_else(|error| panic!("{error}: {text}"));
    (saga, errors)
}

/// The first lines of all mistakes.
fn mistakes(text: &str) -> Vec<String> {
    let (saga, errors) = read(text);
    check::check(&errors, &saga, &Views::of(&saga));
    let mut all = Vec::new();
    literals(errors.into_tokens(), &mut all);
    all.iter().map(|text| text.split("\\n").next().unwrap().trim_matches('"').to_owned()).collect()
}

fn literals(tokens: TokenStream, all: &mut Vec<String>) {
    for token in tokens {
        match token {
            TokenTree::Literal(literal) => all.push(literal.to_string()),
            TokenTree::Group(group) => literals(group.stream(), all),
            _ => {}
        }
    }
}

/// What each step sees, and what is known at the end.
fn known(text: &str) -> Vec<(String, Vec<String>)> {
    let (saga, errors) = read(text);
    assert!(errors.is_empty(), "{}", errors.into_tokens());
    let views = Views::of(&saga);
    let names = |values: &[super::views::Value<'_>]| values.iter().map(|value| value.text()).collect::<Vec<_>>();
    let mut all: Vec<_> = views.steps.iter().map(|seen| (seen.step.stored_name(), names(&seen.before))).collect();
    all.push(("done".to_owned(), names(&views.done)));
    all
}

fn step(name: &str, more: &str) -> String {
    format!("local {name} -> {name}_out: u32 {{ on_execute: async |cx, saga| Ok(1), {more} }} ")
}

fn undone(name: &str) -> String {
    step(name, "on_failure: ()")
}

#[test]
fn what_is_known_follows_the_steps() {
    let [a, b, c, d] = ["a", "b", "c", "d"].map(undone);
    let of =
        |nodes: String| known(&saga(&nodes)).into_iter().map(|(step, known)| format!("{step}:{}", known.join(","))).collect::<Vec<_>>();
    assert_eq!(of(format!("{a}{b}")), ["a:id", "b:id,a_out", "done:id,a_out,b_out"]);
    assert_eq!(
        of(format!("when |saga| true {{ {a}{b} }} otherwise {{ {c} }} {d}")),
        ["a:id", "b:id,a_out", "c:id", "d:id", "done:id,d_out"]
    );
    assert_eq!(
        of(format!("parallel {{ {a} {{ {b}{c} }} }} {d}")),
        ["a:id", "b:id", "c:id,b_out", "d:id,a_out,b_out,c_out", "done:id,a_out,b_out,c_out,d_out"]
    );

    // The same name and type in both branches, and in all of three.
    let same = |name: &str, ty: &str| format!("local {name} -> x: {ty} {{ on_execute: async |cx, saga| Ok(1), on_failure: () }} ");
    let [p, q, r] = ["p", "q", "r"].map(|name| same(name, "u32"));
    assert_eq!(of(format!("when |saga| true {{ {p} }} otherwise {{ {q} }} {d}")), ["p:id", "q:id", "d:id,x", "done:id,x,d_out"]);
    let inner = format!("when |saga| false {{ {q} }} otherwise {{ {r} }}");
    assert_eq!(of(format!("when |saga| true {{ {p} }} otherwise {{ {inner} }}")).last().unwrap(), "done:id,x");
    let other = same("q", "Vec < u32 >");
    assert_eq!(of(format!("when |saga| true {{ {p} }} otherwise {{ {other} }}")).last().unwrap(), "done:id");
}

#[test]
fn conditions_end_where_their_block_begins() {
    let (then, more) = (undone("a"), undone("b"));
    for condition in [
        "|saga| saga.id > 3",
        "is_large",
        "crate::is_large",
        "|saga| { let id = saga.id; id > 3 }",
        "|saga| if saga.id > 3 { true } else { false }",
        "|saga| match saga.id { 3 => true, _ => false }",
        "|saga| saga.id == Point { x: 3 }.x",
        "|saga| saga.list.iter().any(|x| { *x > 3 })",
        "|saga| -> bool { true }",
        "|saga: &trip::A| true",
        "|saga| saga.",
    ] {
        let (saga, errors) =
            read(&saga(&format!("when {condition} {{ {then} }} otherwise {{ {more} }} /// Last.\n pivot local c {{ on_execute: c }}")));
        assert!(errors.is_empty(), "{condition}: {}", errors.into_tokens());
        assert_eq!(Views::of(&saga).steps.len(), 3, "{condition}");
    }
}

#[test]
fn values_end_where_the_next_begins() {
    for body in [
        "Ok(HashMap::<u8, u8>::new())",
        "saga.",
        "{ let x = saga. }",
        "f(|a, b| a), ",
        "HashMap::<A, b::B>",
        "match saga { a => 1, b => 2 }",
        "saga.a as F<A, B>",
    ] {
        let text = saga(&format!("local a {{ on_execute: async |cx, saga| {body}, on_failure: (), timeout: \"3s\", }}"));
        let (saga, _) = read(&text);
        let views = Views::of(&saga);
        let step = views.steps[0].step;
        assert!(step.callback("on_execute").is_some() && step.callback("on_failure").is_some() && step.timeout.is_some(), "{text}");
    }
    assert_eq!(mistakes(&saga("local a { on_execute: async |cx, saga| Ok(()) timeout: \"3s\" }")), ["a `,` is missing before this"]);
}

#[test]
fn kinds_are_those_that_can_be_carried_out() {
    let plain = |name: &str| step(name, "");
    let pivot = |name: &str| format!("pivot {}", plain(name));
    let retriable = |name: &str| format!("retriable {}", plain(name));
    let [a, b, c, d] = ["a", "b", "c", "d"];
    for right in [
        plain(a),
        format!("{}{}", undone(a), plain(b)),
        format!("{}{}{}", undone(a), pivot(b), retriable(c)),
        // Nothing can fail behind it.
        format!("{}{}", plain(a), retriable(b)),
        format!("{}when |saga| true {{ {} }} otherwise {{ {} }}", undone(a), pivot(b), pivot(c)),
        format!("when |saga| true {{ {} }} otherwise {{ {} }} {}", pivot(a), undone(b), retriable(c)),
        format!("{} parallel {{ {} {} }}", pivot(a), retriable(b), retriable(c)),
        format!("parallel {{ {} {} }}", undone(a), undone(b)),
    ] {
        assert_eq!(mistakes(&saga(&right)), [""; 0], "{right}");
    }
    for (wrong, told) in [
        (format!("{}{}", plain(a), plain(b)), "step `a` cannot be undone if `b` fails"),
        (format!("{}{}", plain(a), pivot(b)), "step `a` cannot be undone if `b` fails"),
        (format!("{}{}{}", undone(a), retriable(b), plain(c)), "step `b` is retriable, so it cannot be undone if `c` fails"),
        (format!("{}{}", retriable(a), plain(b)), "step `a` is retriable, so it cannot be undone if `b` fails"),
        (format!("when |saga| true {{ {} }} {}", plain(a), plain(b)), "step `a` cannot be undone if `b` fails"),
        (format!("{} when |saga| true {{ {} }}", plain(a), plain(b)), "step `a` cannot be undone if `b` fails"),
        (format!("parallel {{ {} {} }}", undone(a), plain(b)), "step `b` cannot be undone if `a` fails"),
        (format!("parallel {{ {} {} }}", undone(a), retriable(b)), "step `b` is retriable, so it cannot be undone if `a` fails"),
        (format!("parallel {{ {} {{ {} {} }} }}", undone(a), undone(b), pivot(c)), "a pivot cannot stand in `parallel`"),
        (format!("{}{}", pivot(a), plain(b)), "a step after the pivot `a` can only be retried"),
        (format!("{} parallel {{ {} {} }}", pivot(a), retriable(b), plain(c)), "a step after the pivot `a` can only be retried"),
        (format!("when |saga| true {{ {} }} {}", pivot(a), plain(b)), "a step after the pivot `a` can only be retried"),
        (format!("{}{}", pivot(a), pivot(b)), "a saga has one pivot, and that is `a`"),
        (format!("when |saga| true {{ {} }} {}", pivot(a), pivot(b)), "a saga has one pivot, and that is `a`"),
        (format!("pivot {}", undone(a)), "nothing is undone from the pivot on"),
        (format!("retriable {}", undone(a)), "a retriable step is never undone"),
        (format!("pivot retriable {}", plain(a)), "a step is the `pivot`, or it is `retriable`"),
    ] {
        let all = mistakes(&saga(&wrong));
        assert!(all.len() == 1 && all[0].starts_with(told), "{wrong}: {all:?}");
    }
    let four = format!("{}{}{}{}", plain(a), plain(b), plain(c), plain(d));
    assert_eq!(mistakes(&saga(&four)).len(), 3, "each of those that cannot be undone is told");
}

#[test]
fn what_comes_back_with_mistakes_names_what_others_use() {
    for wrong in [
        "remot a { on_execute: f }",
        "remote a -> out: u32 { on_exceute: f }",
        "remote a",
        "local a { on_execute: |saga| 3 }",
        "when { }",
        "parallel",
    ] {
        let output = super::expand(saga(wrong).parse().unwrap());
        let file: syn::File = syn::parse2(output.clone()).unwrap_or_else(|error| panic!("{wrong}: {error}: {output}"));
        let has = |wanted: &str| {
            file.items.iter().any(|item| {
                matches!(item, syn::Item::Struct(item) if item.ident == wanted)
                    || matches!(item, syn::Item::Mod(item) if item.ident == wanted)
            })
        };
        assert!(has("Trip") && has("trip") && output.to_string().contains("compile_error"), "{wrong}");
        assert!(!output.to_string().contains("inventory"), "{wrong}: what is wrong is not registered");
    }
}

/// The editor completes in bodies that are unfinished, in sagas that have mistakes elsewhere.
#[test]
fn bodies_are_where_the_editor_finds_them() {
    for more in ["", "remot b { on_execute: f }", "local b { }"] {
        let output =
            super::expand(saga(&format!("local a {{ on_execute: async |cx, saga| {{ let x = saga.; Ok(()) }} }} {more}")).parse().unwrap());
        let text = output.to_string().replace(' ', "");
        assert!(text.contains("asyncfnon_execute_of_a") && text.contains("letx=saga.;"), "{more}: {text}");
    }
}

#[test]
fn types_are_named_as_seen_from_the_module() {
    let (saga, _) = read(
        "pub Trip { a: super::A, b: self::B, c: Vec<super::super::C>, d: crate::D, e: [u8; self::N], f: Invoice, g: x::super_::Y }
        local invoice { on_execute: f }",
    );
    let views = Views::of(&saga);
    let text = expand::expand(&saga, &views).to_string();
    for there in [
        quote!(pub a: super::super::A),
        quote!(pub b: super::B),
        quote!(pub c: Vec<super::super::super::C>),
        quote!(pub d: crate::D),
        quote!(pub e: [u8; super::N]),
        quote!(pub f: named::f),
        quote!(
            pub type f = Invoice;
        ),
        quote!(pub g: x::super_::Y),
    ] {
        assert!(text.contains(&there.to_string()), "{there}: {text}");
    }
}
