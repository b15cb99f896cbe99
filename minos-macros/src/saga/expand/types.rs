//! The type of the input, and what each step sees.

use super::super::check::is_ours;
use super::{Saga, Value, Views, cfgs, module_name, plain, slot};
use crate::{door::at, serial};
use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Attribute, Visibility, spanned::Spanned};

/// The struct of the input.
pub(super) fn input(saga: &Saga) -> TokenStream {
    let Saga { door, vis, name, .. } = saga;
    // A derive that is here twice is one mistake, and is told.
    let attrs = saga.attrs.iter().filter(|attr| !is_ours(attr));
    let types = serial::types(name, &saga.fields);
    let derives = serial::derives(door, &quote!(#door::saga::SagaValue), &types);
    let fields = saga.fields.iter().map(|field| {
        let (attrs, name, ty) = (&field.attrs, &field.ident, &field.ty);
        let vis = if matches!(field.vis, Visibility::Inherited) { vis } else { &field.vis };
        quote!(#(#attrs)* #vis #name: #ty)
    });
    quote! {
        #derives
        #[derive(::core::fmt::Debug, ::core::clone::Clone)]
        #(#attrs)*
        #vis struct #name { #(#fields),* }
    }
}

/// A type of which each part is a value.
struct Type<'s> {
    ident: Ident,
    docs: Vec<&'s Attribute>,
    /// What it is, in a sentence.
    what: String,
    values: Vec<Value<'s>>,
}

/// All views, each name once.
fn all<'s>(saga: &Saga, views: &Views<'s>) -> Vec<Type<'s>> {
    let mut all: Vec<Type<'s>> = Vec::new();
    for seen in &views.steps {
        let (step, name) = (seen.step, seen.step.stored_name());
        let docs: Vec<_> = step.docs.iter().filter(|attr| attr.path().is_ident("doc")).collect();
        all.extend(seen.view().map(|ident| Type { ident, docs, what: format!(" What step `{name}` sees."), values: seen.before.clone() }));
        let what = format!(" What step `{name}` sees when it has succeeded.");
        all.extend(seen.done_view().map(|ident| Type { ident, docs: Vec::new(), what, values: seen.after() }));
    }
    let what = format!(" What is known when [`{}`] has committed.", plain(&saga.name));
    all.push(Type { ident: Ident::new("Done", saga.name.span()), docs: Vec::new(), what, values: views.done.clone() });
    let mut names: Vec<Ident> = Vec::new();
    all.retain(|one| {
        let is_new = !names.contains(&one.ident);
        names.push(one.ident.clone());
        is_new
    });
    all
}

/// The module of the views.
pub(super) fn module(saga: &Saga, views: &Views<'_>) -> TokenStream {
    let (vis, cfgs, module) = (&saga.vis, cfgs(&saga.attrs), module_name(saga));
    let all = all(saga, views);
    let names: Vec<&Ident> = all.iter().map(|view| &view.ident).collect();
    let mut aliases = Vec::new();
    let types = all.iter().map(|Type { ident, docs, what, values }| {
        let fields = values.iter().map(|value| {
            let (name, ty) = (value.name, value.ty.to_token_stream());
            let ty = if names.iter().any(|view| mentions(ty.clone(), view)) {
                if !aliases.iter().any(|(known, _)| known == name) {
                    aliases.push((name.clone(), from_within(ty, 2)));
                }
                quote!(named::#name)
            } else {
                from_within(ty, 1)
            };
            let docs = value_docs(value);
            quote!(#docs pub #name: #ty)
        });
        let blank = (!docs.is_empty()).then(|| quote!(#[doc = ""]));
        quote! {
            #[doc = #what]
            #blank
            #(#docs)*
            pub struct #ident { #(#fields),* }
        }
    });
    let types: Vec<_> = types.collect();
    let aliases = (!aliases.is_empty()).then(|| {
        let aliases = aliases.iter().map(|(name, ty)| quote!(pub type #name = #ty;));
        quote! {
            /// Types whose names are those of views here.
            mod named {
                use super::super::*;
                #(#aliases)*
            }
        }
    });
    let doc = format!(" What is known at each step of [`{}`].", plain(&saga.name));
    quote! {
        #cfgs
        #[doc = #doc]
        #[allow(dead_code, unused_imports, unreachable_pub, private_interfaces, non_camel_case_types, deprecated, missing_debug_implementations)]
        #vis mod #module {
            use super::*;
            #aliases
            #(#types)*
        }
    }
}

fn value_docs(value: &Value<'_>) -> TokenStream {
    match value.step {
        Some(step) => {
            let doc = format!(" What step `{}` has yielded.", step.stored_name());
            quote!(#[doc = #doc])
        }
        None => value.attrs.iter().filter(|attr| attr.path().is_ident("doc")).map(ToTokens::to_token_stream).collect(),
    }
}

fn mentions(tokens: TokenStream, name: &Ident) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == *name,
        TokenTree::Group(group) => mentions(group.stream(), name),
        _ => false,
    })
}

/// A type as it is written in a module that is `depth` modules further within.
fn from_within(tokens: TokenStream, depth: usize) -> TokenStream {
    let (mut all, mut after_colon) = (TokenStream::new(), false);
    for token in tokens {
        let is_colon = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == ':');
        match token {
            TokenTree::Ident(ident) if !after_colon && (ident == "super" || ident == "self") => {
                let count = depth + usize::from(ident == "super");
                let supers = (0..count).map(|_| Ident::new("super", ident.span()));
                all.extend(quote!(#(#supers)::*));
            }
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), from_within(group.stream(), depth));
                inner.set_span(group.span());
                all.extend([TokenTree::Group(inner)]);
            }
            other => all.extend([other]),
        }
        after_colon = is_colon;
    }
    all
}

/// How values and views are read from what is stored.
pub(super) fn reads(saga: &Saga, views: &Views<'_>) -> TokenStream {
    let (door, module) = (&saga.door, module_name(saga));
    let here = at(Span::call_site());
    let slots = views.values().into_iter().map(|value| {
        let (slot, name, text, ty) = (slot(&value), value.name, value.text(), value.ty);
        if !is_attributed(&value) {
            let new = quote_spanned!(at(ty.span())=> #door::saga::slot::<#ty>);
            return quote!(const #slot: #door::saga::Slot<#ty> = #new(#text););
        }
        let (attrs, serde, field) = (serial::attrs(value.attrs), door.serde(), format_ident!("__MinosField", span = here));
        quote_spanned! {here=>
            fn #slot(values: &#door::saga::Values) -> #door::Result<#ty> {
                #[derive(#door::serde::Deserialize)]
                #[serde(crate = #serde)]
                struct #field { #(#attrs)* #name: #ty }
                let field: #field = values.view()?;
                ::core::result::Result::Ok(field.#name)
            }
        }
    });
    let views = all(saga, views).into_iter().map(|Type { ident, values, .. }| {
        let fields = values.iter().map(|value| {
            let (name, slot) = (value.name, slot(value));
            let read =
                if is_attributed(value) { quote_spanned!(here=> #slot(values)?) } else { quote_spanned!(here=> #slot.read(values)?) };
            quote!(#name: #read)
        });
        quote_spanned! {here=>
            #[automatically_derived]
            impl #door::saga::View for #module::#ident {
                #[allow(unused_variables)]
                fn read(values: &#door::saga::Values) -> #door::Result<Self> {
                    ::core::result::Result::Ok(Self { #(#fields),* })
                }
            }
        }
    });
    let (slots, views): (Vec<_>, Vec<_>) = (slots.collect(), views.collect());
    quote!(#(#slots)* #(#views)*)
}

/// Whether attributes for serde say how a field is read.
fn is_attributed(value: &Value<'_>) -> bool {
    serial::attrs(value.attrs).next().is_some()
}
