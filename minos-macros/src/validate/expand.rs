//! Rules as calls, each of which stands where its rule does, and as what contracts tell of them.

use super::parse::{Limits, OfField, Rule, Rules, Said, Telling};
use crate::door::{Door, at};
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{DeriveInput, Expr, Lit};

/// `impl Validate`, and its registration for contracts.
pub(crate) fn implement(door: &Door, input: &DeriveInput, rules: &Rules) -> TokenStream {
    let (ident, (generics, types, bounds), body) = (&input.ident, input.generics.split_for_impl(), body(door, rules));
    let registration = registration(door, input, rules);
    quote! {
        #[automatically_derived]
        impl #generics #door::Validate for #ident #types #bounds {
            #body
        }
        #registration
    }
}

/// What contracts tell of the rules. Of a generic type, nothing: it is many.
fn registration(door: &Door, input: &DeriveInput, rules: &Rules) -> Option<TokenStream> {
    let ident = &input.ident;
    let told: Vec<_> = rules.iter().flat_map(|field| field.rules.iter().filter_map(|said| told(door, field, &said.rule))).collect();
    (!told.is_empty() && input.generics.params.is_empty()).then(|| {
        quote! {
            #door::inventory::submit! { #door::RulesDef { ty: ::core::any::type_name::<#ident>, rules: &[#(#told),*] } }
        }
    })
}

/// A rule as contracts tell it.
fn told(door: &Door, field: &OfField, rule: &Rule) -> Option<TokenStream> {
    let (name, cfgs) = (&field.name, &field.cfgs);
    let (rule, limits): (&str, Vec<TokenStream>) = match rule {
        _ if field.told == Telling::Nothing => return None,
        Rule::Plain(rule) => (rule, Vec::new()),
        Rule::Within("length", limits) if field.told == Telling::OfSet => ("length_of_set", in_words(door, limits)),
        Rule::Within(rule, limits) => (rule, in_words(door, limits)),
        Rule::OneOf(these) => {
            let is_text = matches!(these.first(), Some(Lit::Str(_)));
            let words = these.iter().map(|lit| literal(lit).map(|text| quote!(#door::Limit::Is(#text)))).collect::<Option<_>>()?;
            (if is_text { "one_of" } else { "one_of_numbers" }, words)
        }
        Rule::With(_) | Rule::Nested => return None,
    };
    Some(quote!(#cfgs (#name, #rule, &[#(#limits),*])))
}

/// The limits of a range. What is written as a number is told as that, and nothing is compiled for it.
fn in_words(door: &Door, Limits { low, high, closed }: &Limits) -> Vec<TokenStream> {
    let limit = |limit: Option<&Expr>, is_below: bool| {
        let Some(limit) = limit else { return quote!(#door::Limit::None) };
        match (written(limit), is_below) {
            (Some(text), false) => quote!(#door::Limit::Is(#text)),
            (Some(text), true) => quote!(#door::Limit::Below(#text)),
            (None, false) => quote!(#door::Limit::Computed(|| #door::ToString::to_string(&(#limit)))),
            (None, true) => quote!(#door::Limit::BelowComputed(|| #door::ToString::to_string(&(#limit)))),
        }
    };
    vec![limit(low.as_deref(), false), limit(high.as_deref(), !*closed)]
}

/// A number as it is written.
fn written(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Lit(lit) => literal(&lit.lit),
        Expr::Unary(syn::ExprUnary { op: syn::UnOp::Neg(_), expr, .. }) => written(expr).map(|text| format!("-{text}")),
        Expr::Group(syn::ExprGroup { expr, .. }) | Expr::Paren(syn::ExprParen { expr, .. }) => written(expr),
        _ => None,
    }
}

fn literal(lit: &Lit) -> Option<String> {
    match lit {
        Lit::Int(number) => Some(number.base10_digits().to_owned()),
        Lit::Float(number) => Some(number.base10_digits().to_owned()),
        Lit::Str(text) => Some(text.value()),
        _ => None,
    }
}

/// The function `validate`.
fn body(door: &Door, rules: &Rules) -> TokenStream {
    let here = at(Span::call_site());
    let calls = rules.iter().flat_map(|field| field.rules.iter().map(|said| call(door, field, said)));
    let used = (!rules.is_empty()).then(|| quote_spanned!(here=> let it = self;));
    quote_spanned! {here=>
        #[allow(unused_variables)]
        fn validate(&self, found: &mut #door::Violations) {
            #used
            #(#calls)*
        }
    }
}

fn call(door: &Door, field: &OfField, said: &Said) -> TokenStream {
    let (place, name, cfgs) = (at(said.span), &field.name, &field.cfgs);
    let door = door.at(place);
    let value = match field.member() {
        Some(member) => {
            let mut tokens = member.to_token_stream();
            tokens = tokens
                .into_iter()
                .map(|mut token| {
                    token.set_span(said.span);
                    token
                })
                .collect();
            quote_spanned!(place=> &it.#tokens)
        }
        None => quote_spanned!(place=> it),
    };
    let wrong = match &said.rule {
        Rule::Nested => return quote_spanned!(place=> #cfgs found.within(#name, #value);),
        Rule::With(path) => return quote_spanned!(place=> #cfgs found.with(#name, #path(#value));),
        Rule::Plain(rule) => {
            let rule = syn::Ident::new(rule, place);
            quote_spanned!(place=> #door::rules::#rule(#value))
        }
        Rule::Within(rule, Limits { low, high, closed }) => {
            let (rule, low, high) =
                (syn::Ident::new(rule, place), bound(&door, low.as_deref(), true), bound(&door, high.as_deref(), *closed));
            quote_spanned!(place=> #door::rules::#rule(#value, #low, #high))
        }
        Rule::OneOf(these) => {
            let rule = if matches!(these.first(), Some(Lit::Str(_))) { "one_of" } else { "one_of_numbers" };
            let rule = syn::Ident::new(rule, place);
            quote_spanned!(place=> #door::rules::#rule(#value, &[#(#these),*]))
        }
    };
    let rule = said.rule.name();
    quote_spanned!(place=> #cfgs found.rule(#name, #rule, #wrong);)
}

fn bound(door: &TokenStream, limit: Option<&Expr>, closed: bool) -> TokenStream {
    match limit {
        None => quote!(#door::rules::Bound::Unbounded),
        Some(limit) if closed => quote!(#door::rules::Bound::Included(#limit)),
        Some(limit) => quote!(#door::rules::Bound::Excluded(#limit)),
    }
}

impl Rule {
    fn name(&self) -> &'static str {
        match self {
            Rule::Plain(name) | Rule::Within(name, _) => name,
            Rule::OneOf(_) => "one_of",
            Rule::With(_) => "with",
            Rule::Nested => "nested",
        }
    }
}
