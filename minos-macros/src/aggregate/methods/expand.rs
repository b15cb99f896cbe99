//! The types of the events, the traits whose methods record them, and what is left of the methods on the bare type.

use super::{Block, EventMethod, Field, Versions};
use crate::{
    door::{Door, at},
    item::{capital, cfgs},
    look,
    purity::without_self_type,
};
use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use std::collections::BTreeMap;
use syn::{Attribute, FnArg, Ident, ImplItemFn, ItemImpl, Pat, ReturnType, Signature, Type, Visibility, spanned::Spanned};

pub(super) fn block(door: &Door, block: &ItemImpl, ty: &Type, name: &Ident, read: Block) -> TokenStream {
    let Block { events, moved, kept } = read;
    if events.is_empty() {
        let (attrs, self_ty) = (&block.attrs, &block.self_ty);
        return quote!(#(#attrs)* impl #self_ty { #(#kept)* });
    }
    let all = || events.iter().map(|event| &event.method.vis).chain(moved.iter().map(|method| &method.vis));
    let broadest = all().max_by_key(|vis| rank(vis)).cloned().unwrap_or(Visibility::Inherited);
    let types = events.iter().map(|event| event_type(door, ty, &broadest, event));
    let mut traits = BTreeMap::new();
    let mut left = Vec::new();
    for EventMethod { method, name, fields, .. } in &events {
        let event = Ident::new(&name.value(), name.span());
        let (docs, cfgs) = (docs(&method.attrs), cfgs(&method.attrs));
        let (sig, values) = (without_patterns(&method.sig), values(fields));
        Trait::of(&mut traits, &method.vis)
            .push(quote!(#(#docs)* #cfgs #sig;), quote!(#cfgs #sig { #door::Root::record(self, #event { #values }) }));
        left.extend([stub(door, method), body(method)]);
    }
    let self_ty = ty.to_token_stream();
    for method in &moved {
        let (docs, cfgs) = (docs(&method.attrs), cfgs(&method.attrs));
        let (sig, block) = on_root(method, &self_ty);
        let declaration = without_patterns(&sig);
        let lints = method.attrs.iter().filter(|attr| !attr.path().is_ident("doc"));
        Trait::of(&mut traits, &method.vis).push(quote!(#(#docs)* #cfgs #declaration;), quote!(#(#lints)* #sig #block));
        left.push(stub(door, method));
    }
    let (attrs, cfgs) = (&block.attrs, cfgs(&block.attrs));
    let traits = traits.values().map(|one| one.expand(door, ty, name, &broadest, &cfgs));
    quote! {
        #(#types)*
        #(#attrs)*
        impl #ty { #(#left)* #(#kept)* }
        #(#traits)*
    }
}

/// The methods of one visibility. A trait has one for all of its methods, so each visibility has a trait of its own.
struct Trait {
    vis: Visibility,
    declared: Vec<TokenStream>,
    defined: Vec<TokenStream>,
}

impl Trait {
    fn of<'t>(traits: &'t mut BTreeMap<String, Trait>, vis: &Visibility) -> &'t mut Trait {
        traits.entry(text(vis)).or_insert_with(|| Trait { vis: vis.clone(), declared: Vec::new(), defined: Vec::new() })
    }

    fn push(&mut self, declared: TokenStream, defined: TokenStream) {
        self.declared.push(declared);
        self.defined.push(defined);
    }

    fn expand(&self, door: &Door, ty: &Type, name: &Ident, broadest: &Visibility, cfgs: &TokenStream) -> TokenStream {
        let Trait { vis, declared, defined } = self;
        let whose = if text(vis) == text(broadest) { String::new() } else { whose(vis) };
        let ident = format_ident!("{name}{whose}Events");
        let doc = format!(" What can happen to [`{name}`]: methods of what `create` and `get` return, each of which records its event.");
        quote! {
            #cfgs
            #[doc = #doc]
            #[allow(missing_docs)]
            #vis trait #ident { #(#declared)* }
            #cfgs
            impl #ident for #door::Root<#ty> { #(#defined)* }
        }
    }
}

fn text(vis: &Visibility) -> String {
    vis.to_token_stream().to_string()
}

fn rank(vis: &Visibility) -> u8 {
    match vis {
        Visibility::Public(_) => 3,
        Visibility::Restricted(of) if of.path.is_ident("crate") => 2,
        Visibility::Restricted(_) => 1,
        Visibility::Inherited => 0,
    }
}

/// A word for a visibility: `Private`, `Crate` for `pub(crate)`, `CrateShop` for `pub(in crate::shop)`.
fn whose(vis: &Visibility) -> String {
    match vis {
        Visibility::Restricted(of) => of.path.segments.iter().map(|segment| capital(&segment.ident.to_string())).collect(),
        _ => "Private".to_owned(),
    }
}

fn docs(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attrs.iter().filter(|attr| attr.path().is_ident("doc"))
}

/// The names of the fields, as in a pattern, an expression or a call.
fn values(fields: &[Field]) -> TokenStream {
    let values = fields.iter().map(|Field { cfgs, name, .. }| quote!(#cfgs #name));
    quote!(#(#values),*)
}

fn event_type(door: &Door, ty: &Type, vis: &Visibility, event: &EventMethod) -> TokenStream {
    let EventMethod { method, name, versions, fields } = event;
    let ident = Ident::new(&name.value(), name.span());
    let (serde, cfgs, docs) = (door.serde(), cfgs(&method.attrs), docs(&method.attrs));
    let body = body_name(&method.sig.ident);
    let values = values(fields);
    let look = look::of_fields(door, &ident, fields.iter().map(|Field { cfgs, name, ty, .. }| (cfgs, name, ty)));
    let fields = fields.iter().map(|Field { cfgs, docs, was, name, ty }| {
        let aliases = was.iter().map(|old| quote!(#[serde(alias = #old)]));
        quote!(#cfgs #(#docs)* #(#aliases)* pub #name: #ty)
    });
    let upcast = upcast(door, versions);
    let doc = format!(" The event `{}`.", name.value());
    quote! {
        #cfgs
        #[doc = #doc]
        #(#docs)*
        #[derive(::core::fmt::Debug, ::core::clone::Clone, #door::serde::Serialize, #door::serde::Deserialize)]
        #[serde(crate = #serde)]
        #[allow(missing_docs, dead_code)]
        #vis struct #ident { #(#fields),* }
        #cfgs
        const _: () = {
            #[automatically_derived]
            impl #door::DomainEvent for #ident {
                type Aggregate = #ty;
                const NAME: &'static str = #name;
                fn apply(self, state: &mut #ty) {
                    let #ident { #values } = self;
                    <#ty>::#body(state, #values)
                }
                #upcast
            }
            #[allow(unused_imports)]
            use #door::NotTraced as _;
            #door::inventory::submit! { #door::EventDef::of::<#ident>(#look, ::core::module_path!(), ::core::file!(), ::core::line!()) }
            #[cfg(test)]
            #door::persisted! { event #ident }
        };
    }
}

/// The version of an event that has changed, and how those before it are read: from each on through all steps that follow.
fn upcast(door: &Door, versions: &Versions) -> TokenStream {
    let steps = versions.steps();
    if steps.is_empty() {
        return TokenStream::new();
    }
    let version = versions.current();
    let arms = (1u32..).zip(0..steps.len()).map(|(from, skipped)| {
        let calls = steps.iter().enumerate().skip(skipped).map(|(n, step)| {
            // Named, so that a step to something else is told where the step is.
            let to = if n + 1 == steps.len() { quote!(Self) } else { quote!(_) };
            let upcast = quote_spanned!(at(step.span())=> |old| #door::upcast::<_, _, #to>(#step, old));
            quote!(.and_then(#upcast))
        });
        let from = if skipped + 1 == steps.len() { quote!(_) } else { quote!(#from) };
        quote!(#from => #door::old_content(content) #(#calls)*,)
    });
    quote! {
        const VERSION: u32 = #version;
        fn upcast(version: u32, content: &str) -> #door::Result<Self> {
            match version { #(#arms)* }
        }
    }
}

fn body_name(method: &Ident) -> Ident {
    format_ident!("__minos_apply_{method}")
}

/// What the event does, under a name that nobody calls.
fn body(method: &ImplItemFn) -> TokenStream {
    let (cfgs, name, block) = (cfgs(&method.attrs), body_name(&method.sig.ident), &method.block);
    let inputs = &method.sig.inputs;
    // What is only told, such as a reason, is stored in the event and changes nothing.
    quote!(#cfgs #[doc(hidden)] #[allow(unused_variables)] fn #name(#inputs) #block)
}

/// What stays on the bare type: a call of it does not compile, and says why.
fn stub(door: &Door, method: &ImplItemFn) -> TokenStream {
    let (cfgs, vis) = (cfgs(&method.attrs), &method.vis);
    let mut sig = without_patterns(&method.sig);
    let clause: syn::WherePredicate = syn::parse_quote!(for<'minos> Self: #door::Recorded);
    sig.generics.make_where_clause().predicates.push(clause);
    quote!(#cfgs #[doc(hidden)] #[allow(unused, clippy::all)] #vis #sig { ::core::unreachable!() })
}

/// The same signature with names for parameters, as declarations want it.
fn without_patterns(sig: &Signature) -> Signature {
    let mut sig = sig.clone();
    for argument in &mut sig.inputs {
        if let FnArg::Typed(typed) = argument {
            typed.pat = match &*typed.pat {
                Pat::Ident(pattern) => {
                    let ident = &pattern.ident;
                    syn::parse_quote!(#ident)
                }
                _ => syn::parse_quote!(_),
            };
        }
    }
    sig
}

/// A method as one of the root: `Self` was the aggregate, and an `async fn` becomes one whose future is `Send`.
fn on_root(method: &ImplItemFn, ty: &TokenStream) -> (Signature, TokenStream) {
    let block = without_self_type(method.block.to_token_stream(), ty);
    let sig = without_self_type(method.sig.to_token_stream(), ty);
    let Ok(mut sig) = syn::parse2::<Signature>(sig) else { return (method.sig.clone(), block) };
    if sig.asyncness.take().is_none() {
        return (sig, block);
    }
    let output = match &sig.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) => quote!(#ty),
    };
    let span = at(method.sig.span());
    sig.output = syn::parse_quote_spanned!(span=> -> impl ::core::future::Future<Output = #output> + ::core::marker::Send);
    (sig, quote_spanned!(span=> { async move #block }))
}
