//! `"contracts/order.json"`, what of it, and `crate = …`.

use crate::door::Door;
use syn::{Ident, LitStr, Token, Visibility, parse::ParseStream};

const USAGE: &str = "usage: `import_contract!(\"contracts/order.json\")`, or with names: `import_contract!(pub mod orders = \"contracts/order.json\", PlaceOrder, OrderPlaced)`";

/// What the macro is given.
pub(super) struct Import {
    pub(super) vis: Visibility,
    /// The name of the module; without, it is that of the service.
    pub(super) module: Option<Ident>,
    pub(super) path: LitStr,
    /// What is imported; nothing if all is.
    pub(super) names: Vec<Ident>,
    pub(super) door: Door,
}

pub(super) fn import(input: ParseStream<'_>) -> syn::Result<Import> {
    let vis: Visibility = input.parse()?;
    let module = if input.parse::<Option<Token![mod]>>()?.is_some() {
        let module = input.parse()?;
        input.parse::<Token![=]>()?;
        Some(module)
    } else {
        None
    };
    if !input.peek(LitStr) {
        return Err(input.error(format!("the path of a `contract.json` is missing here\n{USAGE}")));
    }
    let mut import = Import { vis, module, path: input.parse()?, names: Vec::new(), door: Door::default() };
    while !input.is_empty() {
        if !input.peek(Token![,]) {
            return Err(input.error(format!("a `,` is missing here\n{USAGE}")));
        }
        input.parse::<Token![,]>()?;
        if input.is_empty() {
            break;
        }
        if Door::is_next(input) {
            import.door = Door::parse(input)?;
        } else if input.peek(Ident) {
            import.names.push(input.parse()?);
        } else {
            return Err(input.error(format!("the name of a message, an event or an aggregate is missing here\n{USAGE}")));
        }
    }
    Ok(import)
}
