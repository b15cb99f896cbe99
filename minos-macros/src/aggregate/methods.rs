//! `#[aggregate]` on an `impl`: methods that are events, and those that call them.
//!
//! They become methods of `Root<Account>`, through a trait, so that no change can slip by unrecorded. What stays on the bare type under their names
//! tells who calls it there.

use crate::{
    diag::Errors,
    door::{Door, at},
    item::cfgs,
    purity::{calls_on_self, impure_call, without_self_type},
    word::OWN_EVENTS,
};
use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{
    Attribute, FnArg, Ident, ImplItem, ImplItemFn, ItemImpl, LitStr, Pat, ReturnType, Signature, Type, Visibility, spanned::Spanned,
};

/// A method that is an event.
struct EventMethod {
    method: ImplItemFn,
    name: LitStr,
    fields: Vec<(Ident, Type)>,
}

/// What the impl block holds.
#[derive(Default)]
struct Block {
    events: Vec<EventMethod>,
    /// Methods that call events: they need the root, too.
    moved: Vec<ImplItemFn>,
    /// The rest stays as it is.
    kept: Vec<ImplItem>,
}

pub(super) fn expand(errors: Errors, door: &Door, mut block: ItemImpl) -> TokenStream {
    let original = without_event_attrs(&block);
    let ty = (*block.self_ty).clone();
    let name = owner(&errors, &block);
    let items = std::mem::take(&mut block.items);
    let read = read(&errors, items, name.as_ref());
    match name {
        Some(name) if errors.is_empty() => generate(door, &block, &ty, &name, read),
        _ => errors.with_item(&original),
    }
}

/// The user's block as rustc would read it without us: `#[event]` there would only make more errors.
fn without_event_attrs(block: &ItemImpl) -> ItemImpl {
    let mut block = block.clone();
    for item in &mut block.items {
        if let ImplItem::Fn(method) = item {
            method.attrs.retain(|attr| !attr.path().is_ident("event"));
        }
    }
    block
}

fn owner(errors: &Errors, block: &ItemImpl) -> Option<Ident> {
    if let Some((path, _)) = &block.trait_ {
        errors.at(path, "`#[aggregate]` goes on the aggregate's own `impl`, not on that of a trait");
    }
    if !block.generics.params.is_empty() {
        errors.at(&block.generics, "an aggregate cannot be generic: its name is the name of its stream");
    }
    match &*block.self_ty {
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.clone()),
        other => {
            errors.at(other, "`#[aggregate]` goes on the `impl` of an aggregate");
            None
        }
    }
}

fn read(errors: &Errors, items: Vec<ImplItem>, owner: Option<&Ident>) -> Block {
    let (mut block, mut plain) = (Block::default(), Vec::new());
    for item in items {
        match item {
            ImplItem::Fn(mut method) => match method.attrs.iter().position(|attr| attr.path().is_ident("event")) {
                Some(place) => {
                    let attr = method.attrs.remove(place);
                    event(errors, attr, method, owner, &mut block);
                }
                None => plain.push(method),
            },
            other => block.kept.push(other),
        }
    }
    let mut names: Vec<String> = block.events.iter().map(|event| event.method.sig.ident.to_string()).collect();
    // Until no more are found: what calls a moved method moves, too.
    loop {
        let (moves, stays): (Vec<_>, Vec<_>) =
            plain.into_iter().partition(|method| changes_self(&method.sig) && calls_on_self(method.block.to_token_stream(), &names));
        plain = stays;
        if moves.is_empty() {
            break;
        }
        names.extend(moves.iter().map(|method| method.sig.ident.to_string()));
        block.moved.extend(moves);
    }
    block.kept.extend(plain.into_iter().map(ImplItem::Fn));
    block
}

/// Whether it takes `&mut self`.
fn changes_self(sig: &Signature) -> bool {
    sig.receiver().is_some_and(|receiver| receiver.to_token_stream().to_string() == "& mut self")
}

fn event(errors: &Errors, attr: Attribute, method: ImplItemFn, owner: Option<&Ident>, block: &mut Block) {
    let sig = &method.sig;
    let name = event_name(errors, &attr, sig, owner);
    if let Some(asyncness) = &sig.asyncness {
        errors.at(asyncness, "an event method is a state change that replay repeats, so it cannot be `async`\nhelp: await in a plain method, then call this one");
    }
    if let ReturnType::Type(arrow, ty) = &sig.output {
        errors.at(
            &quote!(#arrow #ty),
            "an event method cannot fail or answer: what happened has happened\nhelp: check the rule in a plain method, then call this one",
        );
    }
    if !sig.generics.params.is_empty() {
        errors.at(&sig.generics, "an event method cannot be generic: its parameters are the fields of the event");
    }
    if !changes_self(sig) {
        match sig.receiver() {
            Some(receiver) => errors.at(receiver, "an event method takes `&mut self`"),
            None => errors.at(&sig.ident, "an event method takes `&mut self`"),
        }
    }
    if let Some(call) = impure_call(method.block.to_token_stream()) {
        let message = format!(
            "replay would get another value from `{call}()`\nhelp: take the value as a parameter of `{}`, so that the event stores it",
            sig.ident
        );
        errors.at(&call, message);
    }
    let fields = fields(errors, sig);
    let Some(name) = name else { return };
    if block.events.iter().any(|other| other.name.value() == name.value()) {
        errors.at(&name, format!("there is already an event `{}`: the name is what is stored", name.value()));
    }
    block.events.push(EventMethod { method, name, fields });
}

fn event_name(errors: &Errors, attr: &Attribute, sig: &Signature, owner: Option<&Ident>) -> Option<LitStr> {
    let Ok(name) = attr.parse_args::<LitStr>() else {
        errors.at(attr, format!("an event needs a name, in the past tense\nhelp: `#[event(\"{}\")]`", camel(&sig.ident)));
        return None;
    };
    let text = name.value();
    if syn::parse_str::<Ident>(&text).is_err() {
        errors.at(&name, format!("`{text}` cannot be the name of a type\nhelp: `\"{}\"`", camel(&sig.ident)));
        return None;
    }
    if OWN_EVENTS.iter().any(|suffix| owner.is_some_and(|owner| text == format!("{owner}{suffix}"))) {
        errors.at(&name, format!("every aggregate already has an event `{text}`\nhelp: name what happened in words of the domain"));
    }
    Some(name)
}

fn camel(ident: &Ident) -> String {
    let words = ident.to_string();
    let capital = |word: &str| word.chars().next().map(|first| first.to_uppercase().chain(word.chars().skip(1)).collect::<String>());
    words.split('_').filter_map(capital).collect()
}

fn fields(errors: &Errors, sig: &Signature) -> Vec<(Ident, Type)> {
    let mut fields = Vec::new();
    for argument in &sig.inputs {
        let FnArg::Typed(typed) = argument else { continue };
        match (&*typed.pat, &*typed.ty) {
            (_, Type::Reference(reference)) => {
                errors.at(&reference.and_token, "an event owns its data\nhelp: `String` for `&str`, `Vec<T>` for `&[T]`")
            }
            (Pat::Ident(pattern), ty) => fields.push((pattern.ident.clone(), ty.clone())),
            (pattern, _) => errors.at(pattern, "name this parameter: it becomes a field of the event"),
        }
    }
    fields
}

fn generate(door: &Door, block: &ItemImpl, ty: &Type, name: &Ident, read: Block) -> TokenStream {
    let Block { events, moved, kept } = read;
    if events.is_empty() {
        let (attrs, self_ty) = (&block.attrs, &block.self_ty);
        return quote!(#(#attrs)* impl #self_ty { #(#kept)* });
    }
    let vis = broadest(events.iter().map(|event| &event.method.vis).chain(moved.iter().map(|method| &method.vis)));
    let cfgs = cfgs(&block.attrs);
    let types = events.iter().map(|event| event_type(door, ty, &vis, event));
    let (mut declared, mut defined, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for EventMethod { method, name, fields } in &events {
        let event = Ident::new(&name.value(), name.span());
        let (sig, docs) = (&method.sig, docs(&method.attrs));
        let names = fields.iter().map(|(name, _)| name);
        declared.push(quote!(#(#docs)* #sig;));
        defined.push(quote!(#sig { #door::Root::record(self, #event { #(#names),* }) }));
        left.extend([stub(door, method), body(method)]);
    }
    let self_ty = ty.to_token_stream();
    for method in &moved {
        let docs = docs(&method.attrs);
        let (sig, block) = on_root(method, &self_ty);
        let declaration = without_patterns(&sig);
        declared.push(quote!(#(#docs)* #declaration;));
        let lints = method.attrs.iter().filter(|attr| !attr.path().is_ident("doc"));
        defined.push(quote!(#(#lints)* #sig #block));
        left.push(stub(door, method));
    }
    let events_trait = format_ident!("{name}Events");
    let doc = format!(" What can happen to [`{name}`]: methods of what `create` and `get` return, each of which records its event.");
    let attrs = &block.attrs;
    quote! {
        #(#types)*
        #(#attrs)*
        impl #ty { #(#left)* #(#kept)* }
        #cfgs
        #[doc = #doc]
        #[allow(missing_docs)]
        #vis trait #events_trait { #(#declared)* }
        #cfgs
        impl #events_trait for #door::Root<#ty> { #(#defined)* }
    }
}

fn docs(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attrs.iter().filter(|attr| attr.path().is_ident("doc"))
}

/// The broadest of the methods' visibilities: a trait has one for all.
fn broadest<'v>(all: impl Iterator<Item = &'v Visibility>) -> Visibility {
    let rank = |vis: &Visibility| match vis {
        Visibility::Public(_) => 2,
        Visibility::Restricted(_) => 1,
        Visibility::Inherited => 0,
    };
    all.max_by_key(|vis| rank(vis)).cloned().unwrap_or(Visibility::Inherited)
}

fn event_type(door: &Door, ty: &Type, vis: &Visibility, event: &EventMethod) -> TokenStream {
    let EventMethod { method, name, fields } = event;
    let ident = Ident::new(&name.value(), name.span());
    let (serde, cfgs, docs) = (door.serde(), cfgs(&method.attrs), docs(&method.attrs));
    let body = body_name(&method.sig.ident);
    let names: Vec<_> = fields.iter().map(|(name, _)| name).collect();
    let fields = fields.iter().map(|(name, ty)| quote!(pub #name: #ty));
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
                    let #ident { #(#names),* } = self;
                    <#ty>::#body(state, #(#names),*)
                }
            }
            #door::inventory::submit! { #door::EventDef::of::<#ident>(::core::module_path!(), ::core::file!(), ::core::line!()) }
        };
    }
}

fn body_name(method: &Ident) -> Ident {
    format_ident!("__minos_apply_{method}")
}

/// What the event does, under a name that nobody calls.
fn body(method: &ImplItemFn) -> TokenStream {
    let (cfgs, name, block) = (cfgs(&method.attrs), body_name(&method.sig.ident), &method.block);
    let inputs = &method.sig.inputs;
    quote!(#cfgs #[doc(hidden)] fn #name(#inputs) #block)
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
