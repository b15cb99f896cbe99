//! `#[message("Name", reply = Type)]`.

use crate::{
    diag::{Errors, did_you_mean},
    door::Door,
    item::cfgs,
    look,
    serial::{self, Fit},
};
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{
    Data, DeriveInput, Fields, Ident, LitStr, Token, Type,
    parse::{ParseStream, Parser},
};

const USAGE: &str = "usage: `#[message(\"Name\", reply = Type)]`; without an answer, `#[message(\"Name\")]`";
const KEYS: &[&str] = &["reply", "key"];

/// What the attribute says.
#[derive(Default)]
struct Attribute {
    name: Option<LitStr>,
    reply: Option<Type>,
    key: Option<Ident>,
    door: Door,
}

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let errors = Errors::default();
    let attribute = errors.ok((|input: ParseStream<'_>| parse(&errors, input)).parse2(args));
    let input = match syn::parse2::<DeriveInput>(item.clone()) {
        Ok(input) => Some(input),
        Err(error) => {
            errors.at_span(error.span(), "`#[message]` goes on a struct");
            None
        }
    };
    let (Some(attribute), Some(input)) = (attribute, input) else { return errors.with_item(&item) };
    check(&errors, &attribute, &input);
    match &attribute.name {
        Some(name) if errors.is_empty() => generate(&attribute, name, &input),
        _ => errors.with_item(&item),
    }
}

fn parse(errors: &Errors, input: ParseStream<'_>) -> syn::Result<Attribute> {
    let mut attribute = Attribute::default();
    while !input.is_empty() {
        if input.peek(LitStr) {
            attribute.name = Some(input.parse()?);
        } else if Door::is_next(input) {
            attribute.door = Door::parse(input)?;
        } else {
            let key: Ident = input.parse()?;
            input.parse::<Token![=]>()?;
            if key == "reply" {
                attribute.reply = Some(input.parse()?);
            } else if key == "key" {
                attribute.key = Some(input.parse()?);
            } else {
                input.parse::<syn::Expr>()?;
                errors.at(&key, format!("a message has no `{key}`; it has {}{}", KEYS.join(", "), did_you_mean(&key.to_string(), KEYS)));
            }
        }
        if input.parse::<Option<Token![,]>>()?.is_none() && !input.is_empty() {
            return Err(input.error(format!("a `,` is missing here\n{USAGE}")));
        }
    }
    if attribute.name.is_none() {
        errors.at_span(Span::call_site(), format!("a message needs a name: the topic that its receiver listens to\n{USAGE}"));
    }
    Ok(attribute)
}

fn check(errors: &Errors, attribute: &Attribute, input: &DeriveInput) {
    if !input.generics.params.is_empty() {
        errors.at(&input.generics, "a message cannot be generic: it is written and read as one type");
    }
    let fields = match &input.data {
        Data::Struct(data) => &data.fields,
        Data::Enum(data) => {
            return errors.at(&data.enum_token, "`#[message]` goes on a struct\nhelp: keep this enum as the type of a field");
        }
        Data::Union(data) => return errors.at(&data.union_token, "`#[message]` goes on a struct"),
    };
    for field in fields.iter().filter(|field| crate::aggregate::is_sensitive(&field.ty)) {
        errors.at(&field.ty, "what is sensitive is sent as `null`\nhelp: the type within it, and what `expose()` returns, if the receiver is to know the value");
    }
    let names: Vec<_> = match fields {
        Fields::Named(named) => named.named.iter().filter_map(|field| field.ident.as_ref()).collect(),
        _ => Vec::new(),
    };
    if let Some(key) = attribute.key.as_ref().filter(|key| !names.contains(key)) {
        let known: Vec<_> = names.iter().map(ToString::to_string).collect();
        errors.at(
            key,
            format!(
                "`{}` has no field `{key}`; it has {}",
                input.ident,
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            ),
        );
    }
}

fn generate(attribute: &Attribute, name: &LitStr, input: &DeriveInput) -> TokenStream {
    let Attribute { reply, key, door, .. } = attribute;
    let (ident, cfgs) = (&input.ident, cfgs(&input.attrs));
    let reply = reply.as_ref().map_or_else(|| quote!(()), |reply| quote!(#reply));
    let key = key.as_ref().map(|key| {
        quote! {
            fn key(&self) -> ::core::option::Option<#door::String> {
                ::core::option::Option::Some(#door::ToString::to_string(&self.#key))
            }
        }
    });
    let fields = match &input.data {
        Data::Struct(data) => data.fields.iter().collect(),
        _ => Vec::new(),
    };
    let types = serial::types(ident, fields);
    let look = match &input.data {
        Data::Struct(data) => look::of_struct(door, input, &data.fields),
        _ => look::of_whole(door, ident),
    };
    let (derives, proofs) = (Fit::Send.derives(door, &types), Fit::Send.proofs(door, &types));
    quote! {
        #derives
        #input
        #cfgs
        const _: () = {
            #proofs
            #[automatically_derived]
            impl #door::Message for #ident
            where
                for<'minos> Self: #door::serde::Serialize,
            {
                const NAME: &'static str = #name;
                type Reply = #reply;
                #key
            }
            #[allow(unused_imports)]
            use #door::NotTraced as _;
            #door::inventory::submit! { #door::MessageDef {
                name: #name, content: #look, reply: #door::Of::<#reply>::SEEN,
                module: ::core::module_path!(), file: ::core::file!(), line: ::core::line!(),
            } }
            #[automatically_derived]
            impl #door::Replies<#reply> for #ident where for<'minos> Self: #door::serde::Serialize {}
        };
    }
}
