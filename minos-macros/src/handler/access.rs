//! Who may call a handler: `public`, `roles("admin", "clerk")`, `scopes("orders:read")`.

use super::Kind;
use crate::{
    diag::{Errors, did_you_mean},
    word::{ACCESS, METHODS, PUBLIC, ROLES, SCOPES},
};
use quote::ToTokens;
use syn::{
    Expr, ExprLit, Ident, Lit, LitStr, Token, parenthesized,
    parse::{Parse, ParseStream},
    token::Paren,
};

/// What the attribute says of that.
#[derive(Default)]
pub(crate) struct Access {
    public: Option<Ident>,
    roles: Option<List>,
    scopes: Option<List>,
}

/// `roles("admin", "clerk")`.
struct List {
    word: Ident,
    texts: Vec<LitStr>,
}

impl Access {
    /// Whether anybody may.
    pub(crate) fn is_public(&self) -> bool {
        self.public.is_some()
    }

    pub(crate) fn roles(&self) -> &[LitStr] {
        self.roles.as_ref().map_or(&[], |list| &list.texts)
    }

    pub(crate) fn scopes(&self) -> &[LitStr] {
        self.scopes.as_ref().map_or(&[], |list| &list.texts)
    }

    /// Whether one of these words comes next, or something that looks as one of them does.
    pub(crate) fn is_next(input: ParseStream<'_>) -> bool {
        let Ok(word) = input.fork().parse::<Ident>() else { return false };
        let is_method = METHODS.contains(&word.to_string().as_str());
        (input.peek2(Paren) && !is_method) || ACCESS.contains(&word.to_string().as_str()) || nearest(&word).is_some()
    }

    /// Reads what comes next.
    pub(crate) fn parse(&mut self, errors: &Errors, input: ParseStream<'_>) -> syn::Result<()> {
        let word: Ident = input.parse()?;
        let (name, has_list) = (word.to_string(), input.peek(Paren));
        let known = ACCESS.iter().copied().find(|known| *known == name);
        let list = if has_list { Some(list(input)?) } else { None };
        let value = if input.peek(Token![=]) { Some(value(input)?) } else { None };
        match (known, list) {
            (Some(PUBLIC), None) if value.is_none() => self.set_public(errors, word),
            (Some(PUBLIC), _) => errors.at(&word, "`public` says all by itself\nhelp: `public`"),
            (Some(known), Some(list)) => self.set_list(errors, known, word, list),
            (Some(known), None) => errors.at(&word, format!("`{known}` stand in parentheses\nhelp: `{known}({})`", shown(value.as_ref()))),
            (None, list) => {
                let help = match nearest(&word) {
                    Some(PUBLIC) => "\nhelp: did you mean `public`?".to_owned(),
                    Some(near) => {
                        let first = list.as_ref().and_then(|list| list.first()).or(value.as_ref());
                        format!("\nhelp: did you mean `{near}({})`?", shown(first))
                    }
                    None => did_you_mean(&name, ACCESS),
                };
                errors.at(&word, format!("`{word}` says nothing of who may call a handler; `public`, `roles(…)` and `scopes(…)` do{help}"));
            }
        }
        Ok(())
    }

    fn set_public(&mut self, errors: &Errors, word: Ident) {
        if self.public.is_some() {
            errors.at(&word, "`public` is already said");
        }
        self.public = Some(word);
    }

    fn set_list(&mut self, errors: &Errors, known: &str, word: Ident, list: Vec<Expr>) {
        let (one, example) = if known == ROLES { ("role", "admin") } else { ("scope", "orders:read") };
        if list.is_empty() {
            errors.at(&word, format!("`{known}` names one {one} at least\nhelp: `{known}(\"{example}\")`"));
        }
        let mut texts: Vec<LitStr> = Vec::new();
        for text in list {
            let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &text else {
                errors.at(&text, format!("a {one} is a string literal\nhelp: `{}`", shown(Some(&text))));
                continue;
            };
            let value = text.value();
            if value.is_empty() || value.contains(char::is_whitespace) {
                errors.at(text, format!("a {one} is a text without spaces\nhelp: `{known}(\"{example}\", …)` names several"));
            } else if texts.iter().any(|known| known.value() == value) {
                errors.at(text, format!("`{value}` is already named"));
            }
            texts.push(text.clone());
        }
        let place = if known == ROLES { &mut self.roles } else { &mut self.scopes };
        if place.is_some() {
            errors.at(&word, format!("`{known}` are already given\nhelp: name all of them in one list"));
        }
        *place = Some(List { word, texts });
    }

    /// That it makes sense, of this kind of handler.
    pub(crate) fn check(&self, kind: Kind, errors: &Errors) {
        let words = || self.public.iter().chain(self.roles.iter().chain(&self.scopes).map(|list| &list.word));
        if matches!(kind, Kind::Event | Kind::Periodic) {
            for word in words() {
                errors.at(
                    word,
                    format!(
                        "{} is not called from outside, so there is nobody to let in or keep out\nhelp: leave `{word}` away",
                        kind.noun()
                    ),
                );
            }
        } else if let (Some(public), Some(other)) = (&self.public, words().nth(1)) {
            errors.at(public, format!("`public` lets everybody in, and `{other}` does not\nhelp: leave one of them away"));
        }
    }
}

/// `("admin", "clerk")`, of whatever.
fn list(input: ParseStream<'_>) -> syn::Result<Vec<Expr>> {
    let content;
    parenthesized!(content in input);
    Ok(content.parse_terminated(Expr::parse, Token![,])?.into_iter().collect())
}

/// `= "admin"`, so that it is one mistake, and not two.
fn value(input: ParseStream<'_>) -> syn::Result<Expr> {
    input.parse::<Token![=]>()?;
    input.parse()
}

/// The word that may be meant: one that is near, or one of them.
fn nearest(word: &Ident) -> Option<&'static str> {
    let word = word.to_string();
    match word.as_str() {
        "role" => Some(ROLES),
        "scope" => Some(SCOPES),
        "open" | "anonymous" => Some(PUBLIC),
        _ => ACCESS.iter().copied().find(|known| !did_you_mean(&word, &[known]).is_empty()),
    }
}

/// How a text is written that is given as this.
fn shown(text: Option<&Expr>) -> String {
    match text {
        Some(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => format!("\"{}\"", text.value()),
        Some(Expr::Path(path)) => format!("\"{}\"", path.to_token_stream()),
        _ => "\"admin\"".to_owned(),
    }
}
