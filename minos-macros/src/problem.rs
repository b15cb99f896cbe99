//! `#[derive(Problem)]`: the HTTP status of a user's own errors.

use crate::{diag::Errors, door::Door};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Fields, Ident, LitInt, Token, parse::ParseStream};

pub(crate) fn expand(item: TokenStream) -> TokenStream {
    let errors = Errors::default();
    let Some(input) = errors.ok(syn::parse2::<DeriveInput>(item)) else { return errors.into_tokens() };
    if !input.generics.params.is_empty() {
        errors.at(&input.generics, "an error with a status cannot be generic: it is registered once");
    }
    let arms = arms(&errors, &input);
    if errors.is_empty() { generate(&input, &arms) } else { errors.into_tokens() }
}

/// The status of each variant, or of the struct.
fn arms(errors: &Errors, input: &DeriveInput) -> Vec<(TokenStream, Option<LitInt>)> {
    let of_type = status(errors, &input.attrs);
    match &input.data {
        Data::Enum(data) => {
            let arm = |variant: &syn::Variant| {
                let status = status(errors, &variant.attrs).or_else(|| of_type.clone());
                if status.is_none() {
                    missing(errors, &variant.ident, &variant.attrs);
                }
                let (ident, pattern) = (&variant.ident, pattern(&variant.fields));
                (quote!(Self::#ident #pattern => #status), status)
            };
            data.variants.iter().map(arm).collect()
        }
        _ => {
            if of_type.is_none() {
                missing(errors, &input.ident, &input.attrs);
            }
            vec![(quote!(_ => #of_type), of_type)]
        }
    }
}

/// That there is no status, unless what is wrong with it is told already.
fn missing(errors: &Errors, ident: &Ident, attrs: &[Attribute]) {
    if attrs.iter().any(|attr| attr.path().is_ident("problem")) {
        return;
    }
    errors.at(ident, format!("`{ident}` has no status\nhelp: `#[problem(status = 422)]`, here or for all on the type"));
}

fn pattern(fields: &Fields) -> TokenStream {
    match fields {
        Fields::Named(_) => quote!({ .. }),
        Fields::Unnamed(_) => quote!((..)),
        Fields::Unit => TokenStream::new(),
    }
}

fn status(errors: &Errors, attrs: &[Attribute]) -> Option<LitInt> {
    let attr = attrs.iter().find(|attr| attr.path().is_ident("problem"))?;
    let status = errors.ok(attr.parse_args_with(|input: ParseStream<'_>| {
        let key: Ident = input.parse()?;
        if key != "status" {
            return Err(syn::Error::new(key.span(), format!("a problem has no `{key}`\nhelp: `#[problem(status = 422)]`")));
        }
        input.parse::<Token![=]>()?;
        input.parse::<LitInt>()
    }))?;
    if !status.base10_parse::<u16>().is_ok_and(|code| (400..=599).contains(&code)) {
        errors.at(&status, "the status of an error is from 400 to 599\nhelp: `422`, or `409` for a conflict");
    }
    Some(status)
}

fn generate(input: &DeriveInput, arms: &[(TokenStream, Option<LitInt>)]) -> TokenStream {
    let (door, ident) = (Door::default(), &input.ident);
    let (arms, statuses): (Vec<_>, Vec<_>) = arms.iter().map(|(arm, status)| (arm, status)).unzip();
    quote! {
        const _: () = {
            #[automatically_derived]
            impl #door::Problem for #ident {
                fn status(&self) -> u16 {
                    match self { #(#arms),* }
                }
            }
            #door::inventory::submit! { #door::ProblemDef::of::<#ident>(&[#(#statuses),*]) }
        };
    }
}
