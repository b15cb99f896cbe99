//! A projection's registration.

use super::{
    Attribute,
    check::{Function, Projection},
};
use crate::{
    door::at,
    item::{cfgs, plain},
};
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{ItemImpl, spanned::Spanned};

pub(super) fn expand(attribute: &Attribute, block: &ItemImpl, projection: &Projection<'_>) -> TokenStream {
    let (Attribute { inline, version, door }, Projection { name, ty, has_tables, functions }) = (attribute, projection);
    let here = at(Span::call_site());
    let (name, version, cfgs_of_block) = (plain(name), version.unwrap_or(1), cfgs(&block.attrs));
    let tables = if *has_tables { quote!(::core::option::Option::Some(<#ty>::TABLES)) } else { quote!(::core::option::Option::None) };
    let (mut glue, mut registered) = (Vec::new(), Vec::new());
    for Function { ident, names, event, function } in functions {
        let (cfgs, call, label) = (cfgs(&function.attrs), format_ident!("__minos_{}", plain(ident), span = here), plain(ident));
        let read = quote_spanned!(at(event.span())=> #door::projected::<#event>);
        let run = quote_spanned!(at(ident.span())=> #door::project(<#ty>::#ident(&mut view, event)).await);
        glue.push(quote_spanned! {here=>
            #cfgs
            fn #call<'a>(work: &'a #door::Work, event: &'a #door::ProjectedEvent<'a>) -> #door::BoxFuture<'a, #door::Result<()>> {
                match #read(event) {
                    ::core::result::Result::Ok(event) => {
                        let mut view = #door::View::<#ty>::of(work);
                        #door::boxed(async move { #run })
                    }
                    ::core::result::Result::Err(error) => #door::not_projected(error),
                }
            }
        });
        registered.push(quote!(#cfgs #door::ProjectionHandler { function: #label, events: &[#(#names),*], handle: #call }));
    }
    quote_spanned! {here=>
        #block
        #cfgs_of_block
        #[doc(hidden)]
        const _: () = {
            #(#glue)*
            #[automatically_derived]
            impl #door::Projection for #ty {
                const NAME: &'static str = #name;
            }
            #door::inventory::submit! { #door::ProjectionDef {
                name: #name, inline: #inline, version: #version, tables: #tables, handlers: &[#(#registered),*],
                module: ::core::module_path!(), file: ::core::file!(), line: ::core::line!(),
            } }
        };
    }
}
