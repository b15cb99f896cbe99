//! Types from schemas.

use super::{
    check::{Contract, fields_of, reference},
    json::Json,
};
use crate::{
    door::Door,
    item::{camel, snake},
};
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use std::collections::{BTreeMap, BTreeSet};

/// Types, as they are needed.
pub(super) struct Types<'c> {
    contract: &'c Contract,
    door: &'c Door,
    /// Their definitions by their names; none while it is made.
    pub(super) made: BTreeMap<String, Option<TokenStream>>,
    /// Names of messages, events and aggregates.
    taken: BTreeSet<String>,
}

impl<'c> Types<'c> {
    pub(super) fn new(contract: &'c Contract, door: &'c Door) -> Self {
        let names = contract.messages.keys().chain(contract.events.keys()).chain(contract.aggregates.keys());
        Types { contract, door, made: BTreeMap::new(), taken: names.map(|name| type_name(name)).collect() }
    }

    /// The type of a schema. `name` is for one that has none of its own.
    pub(super) fn of(&mut self, schema: &Json, name: &str) -> TokenStream {
        let door = self.door;
        if let Some(named) = reference(schema) {
            return self.named(named);
        }
        if let Some(inner) = without_null(schema) {
            let inner = self.of(&inner, name);
            return quote!(::core::option::Option<#inner>);
        }
        if schema.get("enum").is_some() || schema.get("oneOf").is_some() || schema.get("properties").is_some() {
            return self.define(name, schema);
        }
        match schema.get("type").and_then(Json::text) {
            Some("boolean") => quote!(bool),
            Some("string") => match schema.get("format").and_then(Json::text) {
                Some("uuid") => quote!(#door::Uuid),
                Some("date-time") => quote!(#door::Timestamp),
                _ => quote!(#door::String),
            },
            Some("integer") => number(schema),
            Some("number") if schema.get("format").and_then(Json::text) == Some("float") => quote!(f32),
            Some("number") => quote!(f64),
            Some("null") => quote!(()),
            Some("array") => self.list(schema, name),
            Some("object") => {
                let of = schema.get("additionalProperties").cloned().unwrap_or(Json::Null);
                let of = self.of(&of, &format!("{name}Value"));
                quote!(#door::BTreeMap<#door::String, #of>)
            }
            // It is not described, or in a way that types do not have.
            _ => quote!(#door::Json),
        }
    }

    fn list(&mut self, schema: &Json, name: &str) -> TokenStream {
        let door = self.door;
        let items = schema.get("prefixItems").map(Json::list).unwrap_or_default();
        if !items.is_empty() {
            let items: Vec<_> = items.iter().enumerate().map(|(n, item)| self.of(item, &format!("{name}{n}"))).collect();
            return quote!((#(#items,)*));
        }
        let item = schema.get("items").cloned().unwrap_or(Json::Null);
        let item = self.of(&item, &format!("{name}Item"));
        quote!(#door::Vec<#item>)
    }

    fn named(&mut self, name: &str) -> TokenStream {
        let door = self.door;
        let Some(schema) = self.contract.schemas.get(name) else { return quote!(#door::Json) };
        let ty = type_name(name);
        let ty = if self.taken.contains(&ty) { format!("{ty}Data") } else { ty };
        let ident = ident(&ty);
        match self.made.get(&ty) {
            // It is in itself.
            Some(None) => quote!(#door::Box<#ident>),
            Some(Some(_)) => quote!(#ident),
            None => self.define(&ty, schema),
        }
    }

    /// A type of this name.
    fn define(&mut self, name: &str, schema: &Json) -> TokenStream {
        let ident = ident(name);
        self.made.insert(name.to_owned(), None);
        let definition = match schema.get("oneOf") {
            Some(all) => self.variants(&ident, all.list()),
            None if schema.get("enum").is_some() => self.variants(&ident, std::slice::from_ref(schema)),
            None if schema.get("properties").is_some() => {
                let fields = self.fields(name, &fields_of(schema));
                let derives = self.derives();
                Some(quote!(#derives pub struct #ident { #fields }))
            }
            None => None,
        };
        let Some(definition) = definition else {
            // Another name for what it is.
            self.made.remove(name);
            return if reference(schema).is_none() && schema.get("oneOf").is_none() { self.of(schema, name) } else { self.anything() };
        };
        self.made.insert(name.to_owned(), Some(definition));
        quote!(#ident)
    }

    fn anything(&self) -> TokenStream {
        let door = self.door;
        quote!(#door::Json)
    }

    pub(super) fn derives(&self) -> TokenStream {
        let (door, serde) = (self.door, self.door.serde());
        quote! {
            #[derive(::core::fmt::Debug, ::core::clone::Clone, ::core::cmp::PartialEq, #door::serde::Serialize, #door::serde::Deserialize)]
            #[serde(crate = #serde)]
        }
    }

    /// The fields of a struct. Of those that may be missing, one that is has its default.
    pub(super) fn fields(&mut self, of: &str, fields: &[(String, Json, bool)]) -> TokenStream {
        self.fields_that_are(&quote!(pub), of, fields)
    }

    fn fields_that_are(&mut self, vis: &TokenStream, of: &str, fields: &[(String, Json, bool)]) -> TokenStream {
        let fields = fields.iter().map(|(name, schema, is_needed)| {
            let ty = self.of(schema, &format!("{of}{}", type_name(name)));
            let is_option = ty.to_string().contains(":: Option <");
            let (ty, default) = match (is_needed, is_option) {
                (true, _) => (ty, quote!()),
                (false, true) => (ty, quote!(#[serde(default, skip_serializing_if = "::core::option::Option::is_none")])),
                (false, false) => (
                    quote!(::core::option::Option<#ty>),
                    quote!(#[serde(default, skip_serializing_if = "::core::option::Option::is_none")]),
                ),
            };
            let field = ident(&snake(name));
            let rename = (field != *name).then(|| quote!(#[serde(rename = #name)]));
            quote!(#default #rename #vis #field: #ty)
        });
        let fields: Vec<_> = fields.collect();
        quote!(#(#fields),*)
    }

    /// An enum whose variants are told apart by a tag, if these are the variants of one.
    fn tagged(&mut self, ident: &Ident, all: &[Json]) -> Option<TokenStream> {
        let mut variants = Vec::new();
        let tag = fields_of(all.first()?).into_iter().find(|(_, schema, _)| schema.get("const").is_some())?.0;
        for one in all {
            let (tags, fields): (Vec<_>, Vec<_>) = fields_of(one).into_iter().partition(|(name, ..)| *name == tag);
            let [(_, schema, true)] = &tags[..] else { return None };
            let word = schema.get("const").and_then(Json::text)?;
            let variant = self::ident(&type_name(word));
            let rename = (variant != *word).then(|| quote!(#[serde(rename = #word)]));
            let fields = (!fields.is_empty()).then(|| self.fields_that_are(&quote!(), &format!("{ident}{variant}"), &fields));
            variants.push(match fields {
                Some(fields) => quote!(#rename #variant { #fields }),
                None => quote!(#rename #variant),
            });
        }
        let derives = self.derives();
        Some(quote!(#derives #[serde(tag = #tag)] pub enum #ident { #(#variants),* }))
    }

    /// An enum, if these are the variants of one.
    fn variants(&mut self, ident: &Ident, all: &[Json]) -> Option<TokenStream> {
        if let Some(tagged) = self.tagged(ident, all) {
            return Some(tagged);
        }
        let mut variants = Vec::new();
        for one in all {
            let words = one.get("enum").map(Json::list).unwrap_or_default();
            for word in words {
                let name = word.text()?;
                let variant = self::ident(&type_name(name));
                let rename = (variant != *name).then(|| quote!(#[serde(rename = #name)]));
                variants.push(quote!(#rename #variant));
            }
            if !words.is_empty() {
                continue;
            }
            // Beside its name there is nothing.
            let is_closed = matches!(one.get("additionalProperties"), Some(Json::Bool(false)));
            let [(name, content, true)] = &fields_of(one).into_iter().filter(|_| is_closed).collect::<Vec<_>>()[..] else { return None };
            let variant = self::ident(&type_name(name));
            let rename = (variant != *name).then(|| quote!(#[serde(rename = #name)]));
            let content = self.of(content, &format!("{ident}{variant}"));
            variants.push(quote!(#rename #variant(#content)));
        }
        let derives = self.derives();
        Some(quote!(#derives pub enum #ident { #(#variants),* }))
    }
}

/// What is there, of a schema that may be nothing.
fn without_null(schema: &Json) -> Option<Json> {
    let is_null = |one: &Json| one.get("type").and_then(Json::text) == Some("null");
    if let [one, other] = schema.get("anyOf").map(Json::list).unwrap_or_default() {
        return if is_null(other) { Some(one.clone()) } else { None };
    }
    let [kind, Json::Text(null)] = schema.get("type").map(Json::list).unwrap_or_default() else { return None };
    let Json::Object(mut fields) = schema.clone() else { return None };
    if null != "null" {
        return None;
    }
    fields.insert("type".to_owned(), kind.clone());
    Some(Json::Object(fields))
}

/// The smallest type that takes it as its bounds say.
fn number(schema: &Json) -> TokenStream {
    let bound = |name: &str| match schema.get(name) {
        Some(Json::Number(number)) => number.parse::<i128>().ok(),
        _ => None,
    };
    let is_unsigned = bound("minimum").is_some_and(|least| least >= 0);
    let most = bound("maximum");
    let up_to = |limit: i128| most.is_some_and(|most| most <= limit);
    match is_unsigned {
        true if up_to(u8::MAX.into()) => quote!(u8),
        true if up_to(u16::MAX.into()) => quote!(u16),
        true if up_to(u32::MAX.into()) => quote!(u32),
        true if up_to(u64::MAX.into()) => quote!(u64),
        true => quote!(u128),
        false if up_to(i8::MAX.into()) => quote!(i8),
        false if up_to(i16::MAX.into()) => quote!(i16),
        false if up_to(i32::MAX.into()) => quote!(i32),
        false if up_to(i64::MAX.into()) => quote!(i64),
        false => quote!(i128),
    }
}

/// A name for a type: `PlaceOrder` of `place-order`.
pub(super) fn type_name(name: &str) -> String {
    let words: String = name.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    camel(&words)
}

/// A name that Rust takes.
pub(super) fn ident(name: &str) -> Ident {
    let span = Span::call_site();
    let plain: String = name.chars().map(|c| if c.is_alphanumeric() || c == '_' { c } else { '_' }).collect();
    let starts_well = plain.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
    let plain = if starts_well { plain } else { format!("_{plain}") };
    match plain.as_str() {
        "self" | "Self" | "super" | "crate" | "_" => Ident::new(&format!("{plain}_"), span),
        _ => syn::parse_str::<Ident>(&plain).unwrap_or_else(|_| Ident::new_raw(&plain, span)),
    }
}
