//! `#[aggregate]` on an `impl`: methods that are events, and those that call them.
//!
//! They become methods of `Root<Account>`, through a trait for each visibility, so that no change can slip by unrecorded and none can be made by who
//! may not. What stays on the bare type under their names tells who calls it there.

mod expand;
mod read;

use super::{options, options::Versions, was};
use crate::{diag::Errors, door::Door};
use proc_macro2::TokenStream;
use syn::{Attribute, Ident, ImplItem, ImplItemFn, ItemImpl, LitStr, Type};

/// A method that is an event.
struct EventMethod {
    method: ImplItemFn,
    name: LitStr,
    versions: Versions,
    fields: Vec<Field>,
}

/// A parameter of such a method, which is a field of the event.
struct Field {
    /// Its `#[cfg]`s.
    cfgs: TokenStream,
    docs: Vec<Attribute>,
    /// The names that it had.
    was: Vec<LitStr>,
    name: Ident,
    ty: Type,
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
    let original = as_without_us(&block);
    let ty = (*block.self_ty).clone();
    let name = read::owner(&errors, &block);
    let items = std::mem::take(&mut block.items);
    let read = read::items(&errors, items, name.as_ref());
    match name {
        Some(name) if errors.is_empty() => expand::block(door, &block, &ty, &name, read),
        _ => errors.with_item(&original),
    }
}

/// The user's block as rustc would read it without us: `#[event]` and docs of parameters there would only make more errors.
fn as_without_us(block: &ItemImpl) -> ItemImpl {
    let mut block = block.clone();
    for item in &mut block.items {
        if let ImplItem::Fn(method) = item
            && let Some(place) = method.attrs.iter().position(|attr| attr.path().is_ident("event"))
        {
            method.attrs.remove(place);
            read::take_docs(&mut method.sig);
        }
    }
    block
}
