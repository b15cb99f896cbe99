//! `#[minos::main]`.

use crate::{
    diag::Errors,
    door::{Door, at},
    item::Function,
};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{
    Ident, LitInt, ReturnType, Token,
    parse::{ParseStream, Parser},
    spanned::Spanned,
};

/// What the attribute says.
#[derive(Default)]
struct Attribute {
    threads: Option<LitInt>,
    door: Door,
}

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let errors = Errors::default();
    let attribute = errors.ok(parse.parse2(args)).unwrap_or_default();
    let function = match syn::parse2::<Function>(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            errors.at_span(error.span(), "`#[minos::main]` goes on `async fn main`");
            return errors.with_item(&item);
        }
    };
    check(&errors, &function);
    if errors.is_empty() { generate(&attribute, &function) } else { errors.with_item(&inside_main(&function)) }
}

fn parse(input: ParseStream<'_>) -> syn::Result<Attribute> {
    let mut attribute = Attribute::default();
    while !input.is_empty() {
        if Door::is_next(input) {
            attribute.door = Door::parse(input)?;
        } else {
            let key: Ident = input.parse()?;
            if key != "worker_threads" {
                return Err(syn::Error::new(
                    key.span(),
                    format!("`#[minos::main]` has no `{key}`; it has worker_threads\nhelp: `worker_threads = 4`"),
                ));
            }
            input.parse::<Token![=]>()?;
            let threads: LitInt = input.parse()?;
            if !threads.base10_parse::<u16>().is_ok_and(|count| count > 0) {
                return Err(syn::Error::new(threads.span(), "a number of threads is from 1 to 65535"));
            }
            attribute.threads = Some(threads);
        }
        input.parse::<Option<Token![,]>>()?;
    }
    Ok(attribute)
}

fn check(errors: &Errors, function: &Function) {
    let sig = &function.sig;
    if sig.asyncness.is_none() {
        errors.at(&sig.fn_token, "`#[minos::main]` goes on an `async fn`\nhelp: `async fn main() -> Result<()>`");
    }
    if !sig.inputs.is_empty() {
        errors.at(&sig.inputs, "`main` takes no parameters\nhelp: `std::env::args()` has those of the command line");
    }
    if !sig.generics.params.is_empty() {
        errors.at(&sig.generics, "`main` cannot be generic");
    }
    if matches!(sig.output, ReturnType::Default) {
        errors.at(&sig.ident, "`main` says whether it went well\nhelp: `async fn main() -> Result<()>`");
    }
}

/// The user's function in a `main` that rustc does not complain about, too.
fn inside_main(function: &Function) -> TokenStream {
    let (vis, ident) = (&function.vis, &function.sig.ident);
    quote! {
        #[allow(dead_code)]
        #vis fn #ident() { #function }
    }
}

fn generate(attribute: &Attribute, function: &Function) -> TokenStream {
    let Function { attrs, vis, sig, .. } = function;
    let (door, ident) = (&attribute.door, &sig.ident);
    let here = at(ident.span());
    let threads = match &attribute.threads {
        Some(threads) => quote_spanned!(here=> ::core::option::Option::Some(#threads)),
        None => quote_spanned!(here=> ::core::option::Option::None),
    };
    let (inner, body) = (sig, &function.body);
    let run = quote_spanned!(at(sig.output.span())=> #door::main);
    quote_spanned! {here=>
        #(#attrs)*
        #vis fn #ident() -> #door::ExitCode {
            #inner #body
            #run(#threads, #ident())
        }
    }
}
