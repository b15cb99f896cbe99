//! Closures become functions, so that nothing in them has to be annotated, and mistakes are told in them.

use super::{Callback, Node, Saga, Seen, Views, When, decider, each_node, function, slot, view_path};
use crate::{
    door::at,
    saga::model::{Closure, Place},
};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;

/// The functions that the closures of all steps and conditions become.
pub(super) fn functions(saga: &Saga, views: &Views<'_>) -> TokenStream {
    let mut functions = TokenStream::new();
    for seen in &views.steps {
        for (key, callback) in &seen.step.callbacks {
            if let Callback::Closure(closure) = callback {
                functions.extend(of_step(saga, seen, key, closure));
            }
        }
    }
    each_node(&saga.nodes, &mut |node| {
        if let Node::When(when) = node
            && let Callback::Closure(closure) = &when.condition
        {
            functions.extend(of_when(saga, views, when, closure));
        }
    });
    functions
}

fn of_step(saga: &Saga, seen: &Seen<'_>, key: &Ident, closure: &Closure) -> Option<TokenStream> {
    let (door, step, name) = (&saga.door, seen.step, function(key, seen.step));
    let view = view_path(saga, seen, &key.to_string())?;
    let yields = step.output.as_ref().map(|(_, ty)| quote!(#ty)).unwrap_or_else(|| quote!(()));
    let body = closure.block();
    let span = at(closure.body.span());
    let given = |n: usize, default: TokenStream| closure.params.get(n).map(|(pat, ty)| typed(pat, ty.as_ref(), default));
    if step.place == Place::Local {
        // A value of another type is told where the type stands.
        let (yields, there) = match &step.output {
            Some((_, ty)) if key == "on_execute" => (yields, at(ty.span())),
            _ => (quote!(()), at(key.span())),
        };
        let (cx, saga) = (given(0, quote!(&mut #door::Context))?, given(1, quote!(&#view))?);
        let door = door.at(there);
        let output = output(closure, quote_spanned!(there=> #door::Result<#yields>));
        let header = quote_spanned!(span=> async fn #name(#cx, #saga) -> #output);
        return Some(quote!(#header #body));
    }
    let seen = given(0, quote!(&#view))?;
    let (more, default) = match key.to_string().as_str() {
        "on_success" => (None, quote_spanned!(span=> #door::Result<()>)),
        "on_error" => {
            let error = given(1, quote!(#door::Error))?;
            (Some(quote!(, #error)), quote_spanned!(span=> impl #door::saga::Recovery<#yields> + use<>))
        }
        "on_execute" if step.output.is_some() => (None, quote_spanned!(span=> impl #door::Replies<#yields> + use<>)),
        _ => (None, quote_spanned!(span=> impl #door::Message + use<>)),
    };
    let output = output(closure, default);
    let header = quote_spanned!(span=> fn #name(#seen #more) -> #output);
    Some(quote!(#header #body))
}

fn of_when(saga: &Saga, views: &Views<'_>, when: &When, closure: &Closure) -> Option<TokenStream> {
    let decider = decider(views, when)?;
    let (view, name) = (view_path(saga, decider, "when")?, function(&when.word, decider.step));
    let span = at(closure.body.span());
    let seen = closure.params.first().map(|(pat, ty)| typed(pat, ty.as_ref(), quote!(&#view)))?;
    let (output, body) = (output(closure, quote_spanned!(span=> bool)), closure.block());
    let header = quote_spanned!(span=> fn #name(#seen) -> #output);
    Some(quote!(#header #body))
}

/// A parameter with the type that the user has written, or the one that it has here.
fn typed(pat: &syn::Pat, ty: Option<&syn::Type>, default: TokenStream) -> TokenStream {
    match ty {
        Some(ty) => quote!(#pat: #ty),
        None => quote!(#pat: #default),
    }
}

fn output(closure: &Closure, default: TokenStream) -> TokenStream {
    closure.output.as_ref().map(|ty| quote!(#ty)).unwrap_or(default)
}

/// A callback as the definition has it: what it sees is read from the values, and it is called.
pub(super) fn adapter(saga: &Saga, seen: &Seen<'_>, key: &str) -> Option<TokenStream> {
    let (door, step) = (&saga.door, seen.step);
    let (key, callback) = step.key(key)?;
    let view = view_path(saga, seen, &key.to_string())?;
    let yields = step.value().filter(|_| key == "on_execute" || key == "on_error");
    let (slot, ty) = match &yields {
        Some(value) => (slot(value).to_token_stream(), value.ty.to_token_stream()),
        None => (quote!(#door::saga::NOTHING), quote!(())),
    };
    if step.place == Place::Local {
        let (call, span) = match callback {
            Callback::Closure(_) => (function(key, step).to_token_stream(), at(key.span())),
            Callback::Function(path) => (path.clone(), at(path.span())),
            Callback::Nothing => return None,
        };
        let there = door.at(span);
        let future = quote_spanned!(span=> |cx, saga| #there::saga::future(#call(cx, saga)));
        return Some(quote_spanned!(at(Span::call_site())=> |cx, values| #door::saga::local::<#view, #ty>(cx, values, &#slot, #future)));
    }
    let parts = match key.to_string().as_str() {
        "on_success" => Parts { function: "accept", generics: quote!(#view), slot: None },
        "on_error" => Parts { function: "recover", generics: quote!(#view, #ty, _), slot: Some(slot) },
        "on_execute" if yields.is_some() => Parts { function: "request", generics: quote!(#view, _, #ty), slot: None },
        _ => Parts { function: "message", generics: quote!(#view, _), slot: None },
    };
    read_and_call(saga, &view, &function(key, step), callback, parts)
}

/// A condition as the definition has it.
pub(super) fn condition(saga: &Saga, views: &Views<'_>, when: &When) -> Option<TokenStream> {
    let decider = decider(views, when)?;
    let view = view_path(saga, decider, "when")?;
    let parts = Parts { function: "decide", generics: quote!(#view), slot: None };
    read_and_call(saga, &view, &function(&when.word, decider.step), &when.condition, parts)
}

/// A call of the runtime's.
struct Parts {
    function: &'static str,
    generics: TokenStream,
    /// Where the value goes that `on_error` may give; it is given the error, too.
    slot: Option<TokenStream>,
}

fn read_and_call(saga: &Saga, view: &TokenStream, name: &Ident, callback: &Callback, parts: Parts) -> Option<TokenStream> {
    let (door, here) = (&saga.door, at(Span::call_site()));
    let (values, error) = (Ident::new("values", here), Ident::new("error", here));
    let (error, sees_error, slot) = match parts.slot {
        Some(slot) => (Some(quote!(#error,)), Some(quote!(, #door::Error)), Some(quote!(&#slot,))),
        None => (None, None, None),
    };
    let (bind, call, span) = match callback {
        Callback::Closure(_) => (None, name.clone(), name.span()),
        Callback::Function(path) => {
            let span = at(path.span());
            let call = Ident::new("callback", span);
            (Some(quote_spanned!(span=> let #call: fn(&#view #sees_error) -> _ = #path;)), call, span)
        }
        Callback::Nothing => return None,
    };
    let (function, generics) = (Ident::new(parts.function, span), parts.generics);
    let there = door.at(span);
    let function = quote_spanned!(span=> #there::saga::#function::<#generics>);
    Some(quote!(|#values, #error| { #bind #function(#values, #error #slot #call) }))
}
