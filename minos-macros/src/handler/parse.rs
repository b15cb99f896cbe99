//! The arguments of the attribute: names, routes, and `crate = …`, in any order.

use super::{Kind, access::Access};
use crate::{
    diag::{Errors, did_you_mean},
    door::Door,
    word::{ACCESS, CONSISTENCY, METHODS, PUBLIC},
};
use proc_macro2::Span;
use syn::{Ident, LitStr, Token, Type, parse::ParseStream};

/// What the attribute says.
#[derive(Default)]
pub(crate) struct Attribute {
    /// Topics, events or schedules.
    pub(crate) names: Vec<LitStr>,
    pub(crate) routes: Vec<(Ident, LitStr)>,
    /// The read models that show what was done, before it is answered.
    pub(crate) consistency: Vec<Type>,
    /// Who may call it.
    pub(crate) access: Access,
    pub(crate) door: Door,
}

pub(crate) fn attribute(kind: Kind, errors: &Errors) -> impl FnOnce(ParseStream<'_>) -> syn::Result<Attribute> + '_ {
    move |input| {
        let mut attribute = Attribute::default();
        while !input.is_empty() {
            argument(kind, errors, input, &mut attribute)?;
            if input.is_empty() {
                break;
            }
            if !input.peek(Token![,]) {
                return Err(input.error(format!("a `,` is missing here\n{}", kind.usage())));
            }
            input.parse::<Token![,]>()?;
        }
        if attribute.names.is_empty() && attribute.routes.is_empty() && errors.is_empty() {
            let what = if kind == Kind::Periodic { "schedule" } else { "name" };
            errors.at_span(Span::call_site(), format!("`#[{}]` needs a {what}\n{}", kind.name(), kind.usage()));
        }
        Ok(attribute)
    }
}

fn argument(kind: Kind, errors: &Errors, input: ParseStream<'_>, attribute: &mut Attribute) -> syn::Result<()> {
    if Door::is_next(input) {
        attribute.door = Door::parse(input)?;
    } else if input.peek(LitStr) {
        let name: LitStr = input.parse()?;
        if misplaced_route(kind, errors, &name) {
            return Ok(());
        }
        attribute.names.push(name);
    } else if input.peek(Ident) && input.peek2(LitStr) {
        attribute.routes.push((input.parse()?, input.parse()?));
    } else if Access::is_next(input) {
        attribute.access.parse(errors, input)?;
    } else if input.peek(Ident) && input.peek2(Token![=]) && input.fork().parse::<Ident>()? == CONSISTENCY {
        let word: Ident = input.parse()?;
        input.parse::<Token![=]>()?;
        attribute.consistency.push(input.parse()?);
        if kind != Kind::Command {
            errors.at(
                &word,
                format!("{} changes nothing that a read model could show\nhelp: `consistency` is for a `#[command]`", kind.noun()),
            );
        }
    } else if input.peek(Ident) {
        let word: Ident = input.parse()?;
        let known = METHODS.iter().any(|method| word == method);
        let message = if known {
            format!("`{word}` needs a path\nhelp: `{word} \"/path\"`")
        } else {
            format!("a name is a string literal\nhelp: `\"{word}\"`")
        };
        errors.at(&word, message);
        // `Name = …` is one mistake, and not two.
        if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            input.parse::<syn::Expr>()?;
        }
    } else {
        return Err(input.error(format!("expected a name or a route\n{}", kind.usage())));
    }
    Ok(())
}

/// A route that was written as if it were a name.
fn misplaced_route(kind: Kind, errors: &Errors, name: &LitStr) -> bool {
    let text = name.value();
    if kind == Kind::Periodic {
        return false;
    }
    if ACCESS.contains(&text.as_str()) && matches!(kind, Kind::Command | Kind::Query) {
        let list = if text == PUBLIC { "" } else { "(\"…\")" };
        errors.at(name, format!("`{text}` stands outside the string: it says who may call a handler\nhelp: `{text}{list}`"));
        return true;
    }
    if let Some((method, path)) = text.split_once(' ')
        && METHODS.contains(&method)
    {
        errors.at(name, format!("the method stands outside the string\nhelp: `{method} \"{}\"`", path.trim()));
        return true;
    }
    if text.starts_with('/') {
        let method = if kind == Kind::Query { "GET" } else { "POST" };
        errors.at(name, format!("a route needs a method\nhelp: `{method} \"{text}\"`"));
        return true;
    }
    false
}

/// That the method exists, and fits what the handler does.
pub(crate) fn check_method(kind: Kind, errors: &Errors, method: &Ident) {
    let text = method.to_string();
    if !METHODS.contains(&text.as_str()) {
        let hint = did_you_mean(&text, METHODS);
        errors.at(method, format!("`{text}` is not an HTTP method; one of {}{hint}", METHODS.join(", ")));
    } else if kind == Kind::Command && text == "GET" {
        errors.at(method, "a command changes state, so it cannot answer `GET`\nhelp: use `POST`, or make it a `#[query]`");
    } else if kind == Kind::Query && text != "GET" && text != "POST" {
        errors.at(method, format!("a query changes nothing, so it cannot answer `{text}`\nhelp: use `GET`, or make it a `#[command]`"));
    }
}
