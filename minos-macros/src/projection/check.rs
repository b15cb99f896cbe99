//! What makes a block a projection.

use super::parse::Handler;
use crate::{
    diag::Errors,
    item::{last_segment, plain},
    lit,
};
use syn::{Expr, FnArg, Ident, ImplItem, ImplItemFn, ItemImpl, LitStr, ReturnType, Type};

/// A projection that can be expanded.
pub(super) struct Projection<'b> {
    /// Its name: that of the type.
    pub(super) name: &'b Ident,
    pub(super) ty: &'b Type,
    /// Whether it says how its tables are made.
    pub(super) has_tables: bool,
    pub(super) functions: Vec<Function<'b>>,
}

/// A function of it.
pub(super) struct Function<'b> {
    pub(super) ident: &'b Ident,
    pub(super) names: &'b [LitStr],
    /// The event that it takes.
    pub(super) event: &'b Type,
    pub(super) function: &'b ImplItemFn,
}

pub(super) fn check<'b>(errors: &Errors, block: &'b ItemImpl, handlers: &'b [Handler]) -> Option<Projection<'b>> {
    if let Some((path, _)) = &block.trait_ {
        errors.at(path, "`#[projection]` goes on a type's own `impl`, not on that of a trait");
    }
    if !block.generics.params.is_empty() {
        errors.at(&block.generics, "a projection cannot be generic: its name is the name of what it keeps");
    }
    let name = last_segment(&block.self_ty).map(|segment| &segment.ident);
    if name.is_none() {
        errors.at(&block.self_ty, "`#[projection]` goes on the `impl` of a struct of yours");
    }
    if handlers.is_empty() {
        errors.at(
            &block.self_ty,
            "a projection takes events\nhelp: put `#[event(\"AccountCreated\")]` on an `async fn opened(view: &mut View<Self>, event: AccountCreated) -> Result<()>`",
        );
    }
    let functions: Vec<_> = handlers.iter().filter_map(|handler| function(errors, handler)).collect();
    let has_tables = tables(errors, block);
    errors.is_empty().then_some(Projection { name: name?, ty: &block.self_ty, has_tables, functions })
}

fn function<'b>(errors: &Errors, Handler { function, names }: &'b Handler) -> Option<Function<'b>> {
    let sig = &function.sig;
    names.iter().for_each(|name| lit::event_name(errors, name));
    if sig.asyncness.is_none() {
        errors.at(&sig.fn_token, "a function that takes events is an `async fn`\nhelp: `async fn`");
    }
    if !sig.generics.params.is_empty() {
        errors.at(&sig.generics, "a function that takes events cannot be generic");
    }
    if matches!(sig.output, ReturnType::Default) {
        errors.at(&sig.ident, "a function that takes events says whether it could\nhelp: `-> Result<()>`, and `Ok(())` at its end");
    }
    if let Some(receiver) = sig.receiver() {
        errors.at(receiver, "a projection has no state but its view\nhelp: `view: &mut View<Self>`");
        return None;
    }
    let types: Vec<&Type> = sig
        .inputs
        .iter()
        .filter_map(|argument| match argument {
            FnArg::Typed(typed) => Some(&*typed.ty),
            FnArg::Receiver(_) => None,
        })
        .collect();
    let [view, event] = types.as_slice() else {
        errors.at(
            &sig.ident,
            format!("a function that takes events has two parameters\nhelp: `async fn {}(view: &mut View<Self>, event: …Created) -> Result<()>`", sig.ident),
        );
        return None;
    };
    if !is_view(view) {
        let said = if is_context(view) {
            "a projection has no `Context`: a rebuild runs it again, and would send and charge again"
        } else {
            "the first parameter is the view"
        };
        errors.at(view, format!("{said}\nhelp: `&mut View<Self>`"));
    }
    Some(Function { ident: &sig.ident, names, event, function })
}

fn is_view(ty: &Type) -> bool {
    matches!(ty, Type::Reference(reference) if reference.mutability.is_some() && last_segment(&reference.elem).is_some_and(|last| last.ident == "View"))
}

fn is_context(ty: &Type) -> bool {
    matches!(ty, Type::Reference(reference) if last_segment(&reference.elem).is_some_and(|last| last.ident == "Context"))
}

/// Whether `const TABLES` is there, which has to name its tables in braces.
fn tables(errors: &Errors, block: &ItemImpl) -> bool {
    let Some(tables) = block.items.iter().find_map(|item| match item {
        ImplItem::Const(item) if plain(&item.ident) == "TABLES" => Some(item),
        _ => None,
    }) else {
        return false;
    };
    if let Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = &tables.expr
        && !text.value().contains('{')
    {
        errors.at(text, "tables of a projection are named in braces, here and in its statements: a rebuild makes new ones beside them\nhelp: `CREATE TABLE {balances} (…)`");
    }
    true
}
