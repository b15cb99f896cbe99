//! Walks over tokens, for what a syntax tree is not worth its compile time.

use crate::word::{DICE, IMPURE};
use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

/// A call whose answer replay would not repeat.
pub(crate) struct ImpureCall {
    /// What is called: `now`, `fastrand::u32`.
    pub(crate) name: String,
    /// Where.
    pub(crate) tokens: TokenStream,
}

/// The first such call in these tokens.
pub(crate) fn impure_call(tokens: TokenStream) -> Option<ImpureCall> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    tokens.iter().enumerate().find_map(|(n, token)| {
        let rest = tokens.get(n..).unwrap_or_default();
        match token {
            TokenTree::Group(group) => impure_call(group.stream()),
            TokenTree::Ident(ident) if IMPURE.iter().any(|name| ident == name) && is_call(rest.get(1..)) => {
                Some(ImpureCall { name: ident.to_string(), tokens: token.clone().into() })
            }
            TokenTree::Ident(ident) if DICE.iter().any(|name| ident == name) => call_by_path(rest),
            _ => None,
        }
    })
}

/// The call of a path that begins here, if one does: `fastrand::u32(..)`.
fn call_by_path(tokens: &[TokenTree]) -> Option<ImpureCall> {
    let length = tokens.iter().take_while(|token| matches!(token, TokenTree::Ident(_)) || is_punct(Some(token), ':')).count();
    let has_parts = tokens.get(1..length).is_some_and(|rest| rest.iter().any(|token| matches!(token, TokenTree::Ident(_))));
    if !has_parts || !is_call(tokens.get(length..)) {
        return None;
    }
    let path: TokenStream = tokens.iter().take(length).cloned().collect();
    Some(ImpureCall { name: path.to_string().replace(' ', "").trim_end_matches(':').to_owned(), tokens: path })
}

/// Whether the arguments of a call come next, with `::<T>` before them or without.
fn is_call(next: Option<&[TokenTree]>) -> bool {
    let Some(next) = next else { return false };
    let colons = next.iter().take_while(|token| is_punct(Some(token), ':')).count();
    let mut rest = next.iter().skip(colons).peekable();
    if is_punct(rest.peek().copied(), '<') {
        let mut depth = 0;
        for token in rest.by_ref() {
            depth += i32::from(is_punct(Some(token), '<')) - i32::from(is_punct(Some(token), '>'));
            if depth == 0 {
                break;
            }
        }
    }
    matches!(rest.next(), Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis)
}

fn is_punct(token: Option<&TokenTree>, char: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == char)
}

/// The first call in these tokens of one of these methods on `self`.
pub(crate) fn call_on_self(tokens: TokenStream, methods: &[String]) -> Option<Ident> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    tokens.iter().enumerate().find_map(|(n, token)| match (token, tokens.get(n + 1), tokens.get(n + 2)) {
        (TokenTree::Group(group), ..) => call_on_self(group.stream(), methods),
        (TokenTree::Ident(this), Some(TokenTree::Punct(dot)), Some(TokenTree::Ident(method))) => {
            let calls = this == "self" && dot.as_char() == '.' && methods.iter().any(|known| method == known);
            calls.then(|| method.clone())
        }
        _ => None,
    })
}

/// Calls `visit` with each `field` of `value.field` in these tokens.
pub(crate) fn each_read(tokens: TokenStream, value: &Ident, visit: &mut dyn FnMut(&Ident)) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (n, token) in tokens.iter().enumerate() {
        let follows_dot = n.checked_sub(1).is_some_and(|before| is_punct(tokens.get(before), '.'));
        match (token, tokens.get(n + 1), tokens.get(n + 2)) {
            (TokenTree::Group(group), ..) => each_read(group.stream(), value, visit),
            (TokenTree::Ident(ident), Some(TokenTree::Punct(dot)), Some(TokenTree::Ident(field)))
                if ident == value && dot.as_char() == '.' && !follows_dot && !is_call(tokens.get(n + 3..)) =>
            {
                visit(field);
            }
            _ => {}
        }
    }
}

/// The same tokens with `Self` replaced: they move to where it would mean something else.
pub(crate) fn without_self_type(tokens: TokenStream, ty: &TokenStream) -> TokenStream {
    tokens
        .into_iter()
        .flat_map(|token| match token {
            TokenTree::Ident(ident) if ident == "Self" => ty.clone(),
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), without_self_type(group.stream(), ty));
                inner.set_span(group.span());
                TokenTree::Group(inner).into()
            }
            other => other.into(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    /// The walk reads tokens, so that the text of a body will do.
    fn tokens(text: &str) -> TokenStream {
        text.parse().unwrap()
    }

    #[test]
    fn clocks_and_dice_are_found() {
        let found = |text: &str| impure_call(tokens(text)).map(|call| call.name);
        for (text, name) in [
            ("self.at = SystemTime::now();", "now"),
            ("if x { y(Uuid::new_v4()) }", "new_v4"),
            ("self.n = rand::random();", "rand::random"),
            ("self.n = fastrand::u32(1..7);", "fastrand::u32"),
            ("self.n = rand::random::<[u8; 4]>()[0];", "rand::random"),
            ("let n: u8 = random::<Option<u8>>().unwrap();", "random"),
            ("f(|| ::rand::rngs::OsRng::new())", "rand::rngs::OsRng::new"),
        ] {
            assert_eq!(found(text).as_deref(), Some(name), "{text}");
        }
        for text in ["self.now = now;", "self.rand = rand;", "rand(1)", "let x: rand::Seed = y;", "rand::Seed { n: 1 }", "self.new_v4 = 1"]
        {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[test]
    fn calls_on_self_are_found() {
        let methods = ["withdrawn".to_owned()];
        assert_eq!(call_on_self(tokens("if x { self.withdrawn(1) }"), &methods).unwrap(), "withdrawn");
        assert!(call_on_self(tokens("other.withdrawn(1); self.withdraw(1)"), &methods).is_none());
    }

    #[test]
    fn self_types_are_replaced() {
        assert_eq!(
            without_self_type(quote!({ Self::max(self) }), &quote!(Account)).to_string(),
            quote!({ Account::max(self) }).to_string()
        );
    }
}
