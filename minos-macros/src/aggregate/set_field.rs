//! Fields that are set one by one when an update is applied to a state.

use super::{check::Aggregate, fields::is_left_out};
use crate::{
    door::Door,
    item::{cfgs, plain},
    serial,
};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Field, Token};

/// What serde may be told of a field that is still read by its type alone, under a name that is known.
const ALLOWED: &[&str] = &["rename", "default", "skip_serializing_if"];

/// The method that sets those whose types are known to be read, each by its type alone. The others are left to the text of the whole: of sets, it is told what
/// changed in them.
pub(super) fn expand(door: &Door, aggregate: &Aggregate<'_>) -> Option<TokenStream> {
    let Aggregate { input, fields, sets, types, .. } = aggregate;
    // What is not stored is another thing in a state that is read from its text, so such a state is never changed in another way.
    let is_known = |field: &&Field| !is_left_out(field) && !serial::hides(&field.attrs);
    if serial::attrs(&input.attrs).next().is_some() || serial::hides(&input.attrs) || !fields.iter().all(is_known) {
        return None;
    }
    let arms: Vec<_> = fields.iter().filter_map(|field| arm(field, sets).filter(|_| serial::is_vouched_for(&field.ty, types))).collect();
    if arms.is_empty() {
        return None;
    }
    Some(quote! {
        #[allow(deprecated)]
        fn set_field(&mut self, name: &str, value: &mut #door::NewValue<'_>) -> #door::WasSet {
            match name {
                #(#arms)*
                _ => ::core::result::Result::Ok(false),
            }
        }
    })
}

fn arm(field: &Field, sets: &[String]) -> Option<TokenStream> {
    let name = field.ident.as_ref()?;
    let stored = serial::renamed(&field.attrs).unwrap_or_else(|| plain(name));
    let is_read_alone = serial::attrs(&field.attrs).all(is_allowed) && !sets.contains(&stored);
    let cfgs = cfgs(&field.attrs);
    is_read_alone.then(|| quote!(#cfgs #stored => value.set(&mut self.#name),))
}

fn is_allowed(attr: &Attribute) -> bool {
    let mut allowed = true;
    let read = attr.parse_nested_meta(|meta| {
        allowed &= ALLOWED.iter().any(|word| meta.path.is_ident(word));
        if meta.input.peek(Token![=]) {
            meta.value()?.parse::<syn::Expr>()?;
        }
        Ok(())
    });
    allowed && read.is_ok()
}
