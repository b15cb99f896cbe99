//! Walks over tokens, for what a syntax tree is not worth its compile time.

use crate::word::IMPURE;
use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

/// The first call in these tokens whose answer replay would not repeat.
pub(crate) fn impure_call(tokens: TokenStream) -> Option<Ident> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (n, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => {
                if let Some(found) = impure_call(group.stream()) {
                    return Some(found);
                }
            }
            TokenTree::Ident(ident) if IMPURE.iter().any(|name| ident == name) && is_call(tokens.get(n + 1)) => return Some(ident.clone()),
            _ => {}
        }
    }
    None
}

fn is_call(next: Option<&TokenTree>) -> bool {
    matches!(next, Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis)
}

/// Whether these tokens call one of these methods on `self`.
pub(crate) fn calls_on_self(tokens: TokenStream, methods: &[String]) -> bool {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    tokens.iter().enumerate().any(|(n, token)| match (token, tokens.get(n + 1), tokens.get(n + 2)) {
        (TokenTree::Group(group), ..) => calls_on_self(group.stream(), methods),
        (TokenTree::Ident(this), Some(TokenTree::Punct(dot)), Some(TokenTree::Ident(method))) => {
            this == "self" && dot.as_char() == '.' && methods.iter().any(|known| method == known)
        }
        _ => false,
    })
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

    #[test]
    fn clocks_and_dice_are_found() {
        assert_eq!(
            impure_call(quote!({
                self.at = SystemTime::now();
            }))
            .unwrap(),
            "now"
        );
        assert_eq!(
            impure_call(quote!({
                if x {
                    y(Uuid::new_v4())
                }
            }))
            .unwrap(),
            "new_v4"
        );
        assert!(
            impure_call(quote!({
                self.now = now;
            }))
            .is_none()
        );
    }

    #[test]
    fn calls_on_self_are_found() {
        let methods = ["withdrawn".to_owned()];
        assert!(calls_on_self(
            quote!({
                if x {
                    self.withdrawn(1)
                }
            }),
            &methods
        ));
        assert!(!calls_on_self(
            quote!({
                other.withdrawn(1);
                self.withdraw(1)
            }),
            &methods
        ));
    }

    #[test]
    fn self_types_are_replaced() {
        assert_eq!(
            without_self_type(quote!({ Self::max(self) }), &quote!(Account)).to_string(),
            quote!({ Account::max(self) }).to_string()
        );
    }
}
