//! A handler's registration: its parameters read, its answer written, and where it stands.

use super::{
    Kind,
    check::{Answer, Handler},
    parse::Attribute,
};
use crate::{
    door::{Door, at},
    item::{Function, cfgs, last_segment, plain, type_arguments},
};
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;

pub(super) fn expand(attribute: &Attribute, function: &Function, handler: &Handler<'_>) -> TokenStream {
    let Attribute { names, routes, consistency, access, door } = attribute;
    let here = at(Span::call_site());
    let ident = &function.sig.ident;
    let (mut reads, mut arguments) = (Vec::new(), Vec::new());
    for (n, param) in handler.params.iter().enumerate() {
        let cfgs = &param.cfgs;
        let Some(ty) = param.extract else {
            arguments.push(quote_spanned!(here=> #cfgs cx));
            continue;
        };
        let value = format_ident!("p{n}", span = here);
        let extract = match handler.kind {
            Kind::Query => quote_spanned!(at(ty.span())=> #door::extract_for_query::<#ty>),
            _ => quote_spanned!(at(ty.span())=> #door::extract::<#ty>),
        };
        reads.push(quote_spanned! {here=>
            #cfgs
            let #value = match #extract(request) {
                ::core::result::Result::Ok(value) => value,
                ::core::result::Result::Err(error) => return #door::fail(error),
            };
        });
        arguments.push(quote_spanned!(here=> #cfgs #value));
    }
    let answer = answer(door, &handler.answer, here);
    let place = at(ident.span());
    let run = quote_spanned!(place=> #door::run);
    let call = quote_spanned!(place=> #ident(#(#arguments),*));
    let kind = kind(handler.kind);
    let name = plain(ident);
    let routes = routes.iter().map(|(method, path)| {
        let method = method.to_string();
        quote!((#method, #path))
    });
    let access = match (access.is_public(), access.roles(), access.scopes()) {
        (true, ..) => quote!(#door::Access::PUBLIC),
        (false, [], []) => quote!(#door::Access::CLOSED),
        (false, roles, scopes) => quote!(#door::Access::of(&[#(#roles),*], &[#(#scopes),*])),
    };
    // What listens to events, or to the clock, answers nobody.
    let is_asked = matches!(handler.kind, Kind::Command | Kind::Query);
    let about = if is_asked { about(door, &handler.answer, &function.attrs) } else { quote!(#door::About::NOTHING) };
    let untraced = is_asked.then(|| quote_spanned!(here=> #[allow(unused_imports)] use #door::NotTraced as _;));
    let cfgs = cfgs(&function.attrs);
    let consistency = consistency.iter().map(|view| {
        let consistent = quote_spanned!(at(view.span())=> #door::consistent::<#view>);
        quote_spanned!(here=> #consistent(cx);)
    });
    quote_spanned! {here=>
        #function
        #cfgs
        #[doc(hidden)]
        const _: () = {
            #[allow(unused_variables, deprecated)]
            fn __minos_handle<'a>(cx: &'a mut #door::Context, request: &#door::Request) -> #door::BoxFuture<'a, #door::Result<#door::Response>> {
                #(#reads)*
                #(#consistency)*
                #run(#call, #answer)
            }
            #untraced
            #door::inventory::submit! { #door::HandlerDef {
                kind: #door::Kind::#kind, function: #name, names: &[#(#names),*], routes: &[#(#routes),*], access: #access,
                handle: __minos_handle, about: #about,
                module: ::core::module_path!(), file: ::core::file!(), line: ::core::line!(),
            } }
        };
    }
}

/// What is told of it to those who call it.
fn about(door: &Door, answer: &Answer<'_>, attrs: &[syn::Attribute]) -> TokenStream {
    let doc = doc(attrs);
    let ty = match answer {
        Answer::Nothing => None,
        Answer::Plain(ty) => Some(*ty),
        Answer::Result(_, arguments) => arguments.first().copied(),
    };
    let written = ty.map_or_else(|| "()".to_owned(), |ty| quote!(#ty).to_string().replace(' ', ""));
    let (mut around, mut inner) = (String::new(), ty);
    while let Some(segment) = inner.and_then(last_segment) {
        let word = match segment.ident.to_string().as_str() {
            "Vec" => 'v',
            "Option" => 'o',
            _ => break,
        };
        around.push(word);
        inner = type_arguments(segment).first().copied();
    }
    let seen = match (answer, inner) {
        (Answer::Nothing, _) => quote!(#door::Of::<()>::SEEN),
        // `&'static str`, as nothing else that is borrowed lives long enough.
        (_, Some(syn::Type::Reference(_))) => quote!(#door::Of::<#door::String>::SEEN),
        (_, Some(ty)) if can_be_seen(ty) => {
            quote!(#door::Of::<#ty>::SEEN)
        }
        _ => quote!(::core::option::Option::None),
    };
    quote!(#door::About { doc: #doc, answer: #seen, around: #around, answer_type: #written })
}

/// Whether the type can stand elsewhere: not if it says what only a signature says.
fn can_be_seen(ty: &syn::Type) -> bool {
    !quote!(#ty).into_iter().any(|token| matches!(&token, proc_macro2::TokenTree::Ident(word) if word == "impl"))
        && !quote!(#ty).to_string().contains('\'')
}

/// The comment above a function.
fn doc(attrs: &[syn::Attribute]) -> String {
    let lines = attrs.iter().filter(|attr| attr.path().is_ident("doc")).filter_map(|attr| match &attr.meta {
        syn::Meta::NameValue(syn::MetaNameValue { value: syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }), .. }) => {
            let text = text.value();
            Some(text.strip_prefix(' ').unwrap_or(&text).to_owned())
        }
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// How the answer is written. Each type of the user's is named once, where it was written.
fn answer(door: &Door, answer: &Answer<'_>, here: Span) -> TokenStream {
    match answer {
        Answer::Nothing => quote_spanned!(here=> #door::answer::<()>),
        Answer::Plain(ty) => quote_spanned!(at(ty.span())=> #door::answer::<#ty>),
        Answer::Result(ty, arguments) => match arguments.as_slice() {
            [value, error] => quote_spanned!(at(value.span())=> #door::answer_result::<#value, #error>),
            [value] => quote_spanned!(at(value.span())=> #door::answer_result::<#value, _>),
            _ => quote_spanned!(at(ty.span())=> #door::answer_result),
        },
    }
}

fn kind(kind: Kind) -> TokenStream {
    match kind {
        Kind::Command => quote!(Command),
        Kind::Query => quote!(Query),
        Kind::Event => quote!(Event),
        Kind::Periodic => quote!(Periodic),
    }
}
