//! An aggregate's derives, its registration, and the names of its events.

use super::{
    check::Aggregate,
    fields::{is_sensitive, without_ours},
    options::Options,
    set_field, snapshot,
    was::Was,
};
use crate::{
    document::columns,
    door::{Door, at},
    index,
    item::{cfgs, plain},
    look,
    serial::Fit,
    validate,
};
use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{DeriveInput, Type, spanned::Spanned};

/// `#[aggregate]`: the derives, and all that `#[derive(Aggregate)]` gives.
pub(super) fn attribute(aggregate: &Aggregate<'_>) -> TokenStream {
    let (input, door) = (aggregate.input, &aggregate.options.door);
    let derives = Fit::Store.derives(door, &aggregate.types);
    let look = look::of_struct(door, input, aggregate.fields.iter().copied());
    let (input, rest) = (without_ours(input), glue(aggregate, &look, set_field::expand(door, aggregate)));
    quote!(#derives #input #rest)
}

/// `#[derive(Aggregate)]`: the derives of serde are the user's, or what stands in their place, so nothing is known of how fields are read.
pub(super) fn derive(aggregate: &Aggregate<'_>) -> TokenStream {
    let (door, ident, cfgs) = (&aggregate.options.door, &aggregate.input.ident, cfgs(&aggregate.input.attrs));
    let look = look::of_whole(door, ident);
    let (proof, glue) = (quote_spanned!(at(ident.span())=> #door::stored::<#ident>()), glue(aggregate, &look, None));
    quote!(#cfgs const _: () = #proof; #glue)
}

fn glue(aggregate: &Aggregate<'_>, look: &TokenStream, set_field: Option<TokenStream>) -> TokenStream {
    let Aggregate { input, types, stored, fields, sets, unique, subject, rules, options, .. } = aggregate;
    let Options { door, queryable, resolvable, snapshot, .. } = options;
    let (ident, vis, cfgs) = (&input.ident, &input.vis, cfgs(&input.attrs));
    let name = plain(ident);
    let stream = options.name.as_ref().map_or_else(|| name.clone(), syn::LitStr::value);
    let (evolution, registration) = evolution(door, aggregate, &stream);
    let proofs = Fit::Store.proofs(door, types);
    let has_sets = (!sets.is_empty()).then(|| quote!(const SETS: &'static [&'static str] = &[#(#sets),*];));
    let submit_sets =
        has_sets.as_ref().map(|_| quote!(#door::inventory::submit! { #door::SetsDef { aggregate: #stream, sets: &[#(#sets),*] } }));
    let (has_unique, submit_unique) = (!unique.is_empty())
        .then(|| {
            let keys = unique.iter().map(|names| quote!(&[#(#names),*]));
            let submit = quote! {
                #door::inventory::submit! { #door::UniqueDef::of::<#ident>(::core::module_path!(), ::core::file!(), ::core::line!()) }
            };
            (quote!(const UNIQUE: &'static [&'static [&'static str]] = &[#(#keys),*];), submit)
        })
        .unzip();
    let subject = subject.and_then(|field| Some((field.ident.as_ref()?, &field.ty))).map(|(field, ty)| {
        let subject = quote_spanned!(at(ty.span())=> #door::subject::<#ty>);
        quote! {
            fn data_subject(&self) -> ::core::option::Option<#door::Uuid> {
                #subject(&self.#field)
            }
        }
    });
    let (look_at, validated) = (!rules.is_empty())
        .then(|| {
            let look_at = quote! {
                fn look_at(&self, found: &mut #door::Violations) {
                    #door::Validate::validate(self, found);
                }
            };
            (look_at, validate::implement(door, input, rules))
        })
        .unzip();
    let events = [
        ("Created", "was created: its first state, which reads as the aggregate itself."),
        ("Updated", "was changed: the fields with their new values."),
        ("Deleted", "was deleted."),
    ];
    let events = events.map(|(suffix, what)| {
        let (alias, event) = (format_ident!("{name}{suffix}", span = ident.span()), format_ident!("{suffix}"));
        let doc = format!(" A [`{name}`] {what}");
        quote!(#cfgs #[doc = #doc] #[allow(dead_code)] #vis type #alias = #door::#event<#ident>;)
    });
    let load = snapshot.as_ref().map(|snapshot| snapshot::expand(door, snapshot));
    let is_queryable = queryable.then(|| {
        quote!(
            const QUERYABLE: bool = true;
        )
    });
    let queryable = queryable.then(|| {
        // What is sealed cannot be compared.
        let open: Vec<_> = fields.iter().copied().filter(|field| !is_sensitive(&field.ty)).collect();
        let (columns, indexes) = (columns(door, ident, &open, &quote!(of_aggregate)), index::expand(door, ident, &stream, &open));
        quote! {
            #columns
            #indexes
            #door::inventory::submit! { #door::QueryableDef::of::<#ident>(::core::module_path!(), ::core::file!(), ::core::line!()) }
        }
    });
    let resolvable = resolvable.then(|| {
        let topic = format!("{stream}.states");
        quote! {
            #door::inventory::submit! { #door::HandlerDef {
                kind: #door::Kind::Query, function: #topic, names: &[#topic], routes: &[], access: #door::Access::CLOSED,
                handle: #door::states::<#ident>, about: #door::About::NOTHING,
                module: ::core::module_path!(), file: ::core::file!(), line: ::core::line!(),
            } }
        }
    });
    quote! {
        #cfgs
        const _: () = {
            #proofs
            #[automatically_derived]
            impl #door::Aggregate for #ident
            where
                for<'minos> Self: #door::serde::Serialize + #door::serde::de::DeserializeOwned,
                #(for<'minos> #types: #door::Field,)*
            {
                const NAME: &'static str = #stream;
                const FIELDS: &'static [&'static str] = &[#(#stored),*];
                #is_queryable
                #has_sets
                #has_unique
                #look_at
                #load
                #subject
                #evolution
                #set_field
            }
            #queryable
            #resolvable
            #validated
            #[allow(unused_imports)]
            use #door::NotTraced as _;
            #door::inventory::submit! { #door::AggregateDef {
                name: #stream, fields: &[#(#stored),*], look: #look,
                module: ::core::module_path!(), file: ::core::file!(), line: ::core::line!(),
            } }
            #submit_sets
            #submit_unique
            #registration
            #[cfg(test)]
            #door::persisted! { aggregate #ident }
        };
        #(#events)*
    }
}

/// How it came to be what it is: the constant of its trait, and its registration. Nothing, if it says nothing of that.
fn evolution(door: &Door, aggregate: &Aggregate<'_>, stream: &str) -> (TokenStream, TokenStream) {
    let Aggregate { input: DeriveInput { ident, .. }, options: Options { versions, .. }, was, .. } = aggregate;
    if versions.steps().is_empty() && was.is_empty() {
        return Default::default();
    }
    let version = versions.current();
    let steps = versions.steps().iter().map(|step| quote_spanned!(at(step.span())=> |fields| #door::upcast_fields(#step, fields)));
    let was = was.iter().map(|Was { old, name }| quote!((#old, #name)));
    let constant = quote! {
        const EVOLUTION: &'static #door::Evolution = &#door::Evolution { version: #version, steps: &[#(#steps),*], was: &[#(#was),*] };
    };
    let registration = quote! {
        #door::inventory::submit! { #door::EvolutionDef { aggregate: #stream, evolution: <#ident as #door::Aggregate>::EVOLUTION } }
    };
    (constant, registration)
}

/// `#[aggregate_ref]`.
pub(super) fn reference(door: &Door, input: &DeriveInput, types: &[&Type]) -> TokenStream {
    let (ident, cfgs) = (&input.ident, cfgs(&input.attrs));
    let (derives, proofs, name) = (Fit::Store.derives(door, types), Fit::Store.proofs(door, types), plain(ident));
    quote! {
        #derives
        #[allow(dead_code)]
        #input
        #cfgs
        const _: () = {
            #proofs
            #[automatically_derived]
            impl #door::AggregateRef for #ident
            where
                for<'minos> Self: #door::serde::Serialize + #door::serde::de::DeserializeOwned,
            {
                const NAME: &'static str = #name;
            }
            #door::inventory::submit! { #door::AggregateRefDef { name: #name } }
        };
    }
}
