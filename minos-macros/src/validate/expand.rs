//! Rules as calls, each of which stands where its rule does.

use super::parse::{Limits, OfField, Rule, Rules, Said};
use crate::door::{Door, at};
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{DeriveInput, Expr, Lit};

/// `impl Validate`.
pub(crate) fn implement(door: &Door, input: &DeriveInput, rules: &Rules) -> TokenStream {
    let (ident, (generics, types, bounds), body) = (&input.ident, input.generics.split_for_impl(), body(door, rules));
    quote! {
        #[automatically_derived]
        impl #generics #door::Validate for #ident #types #bounds {
            #body
        }
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
