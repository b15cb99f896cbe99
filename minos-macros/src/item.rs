//! The user's items, as far as macros read them.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    Attribute, FnArg, Signature, Type, Visibility,
    parse::{Parse, ParseStream},
};

/// A function whose body is left unread: what is unfinished in it is for rustc to tell, and for the editor to complete.
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: TokenTree,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut function =
            Function { attrs: input.call(Attribute::parse_outer)?, vis: input.parse()?, sig: input.parse()?, body: input.parse()? };
        // Rust has no place for them, and a handler's parameters deserve a word.
        for argument in &mut function.sig.inputs {
            let (FnArg::Typed(syn::PatType { attrs, .. }) | FnArg::Receiver(syn::Receiver { attrs, .. })) = argument;
            attrs.retain(|attr| !attr.path().is_ident("doc"));
        }
        Ok(function)
    }
}

impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.attrs.iter().for_each(|attr| attr.to_tokens(tokens));
        self.vis.to_tokens(tokens);
        self.sig.to_tokens(tokens);
        self.body.to_tokens(tokens);
    }
}

/// The `#[cfg]`s of an item: what is generated beside it has them, too.
pub(crate) fn cfgs(attrs: &[Attribute]) -> TokenStream {
    attrs.iter().filter(|attr| attr.path().is_ident("cfg")).map(ToTokens::to_token_stream).collect()
}

/// The last name of a type's path: good evidence of what it is.
pub(crate) fn last_segment(ty: &Type) -> Option<&syn::PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

/// The types between the angle brackets.
pub(crate) fn type_arguments(segment: &syn::PathSegment) -> Vec<&Type> {
    let syn::PathArguments::AngleBracketed(arguments) = &segment.arguments else { return Vec::new() };
    arguments
        .args
        .iter()
        .filter_map(|argument| match argument {
            syn::GenericArgument::Type(ty) => Some(ty),
            _ => None,
        })
        .collect()
}

/// A name without `r#`.
pub(crate) fn plain(ident: &syn::Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map(str::to_owned).unwrap_or(text)
}

/// A word with a capital letter at its front.
pub(crate) fn capital(word: &str) -> String {
    word.chars().take(1).flat_map(char::to_uppercase).chain(word.chars().skip(1)).collect()
}

/// `CreateFoobar` of `create_foobar`.
pub(crate) fn camel(word: &str) -> String {
    word.split('_').map(capital).collect()
}

/// `add_foobar` of `AddFoobar`, `http_call` of `HTTPCall`.
pub(crate) fn snake(word: &str) -> String {
    let (mut snake, letters) = (String::new(), word.chars().collect::<Vec<_>>());
    for (n, letter) in letters.iter().enumerate() {
        let is_lower = |n: Option<usize>| n.and_then(|n| letters.get(n)).is_some_and(|letter| letter.is_lowercase() || letter.is_numeric());
        if letter.is_uppercase() && n > 0 && (is_lower(n.checked_sub(1)) || (is_lower(Some(n + 1)) && letters.get(n - 1) != Some(&'_'))) {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// Tokens as text that no compiler version spells in another way.
pub(crate) fn canonical(tokens: TokenStream) -> String {
    fn write(tokens: TokenStream, text: &mut String) {
        for token in tokens {
            if let TokenTree::Group(group) = &token {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                text.push_str(open);
                write(group.stream(), text);
                text.push_str(close);
                continue;
            }
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let token = token.to_string();
            if text.ends_with(is_word) && token.starts_with(is_word) {
                text.push(' ');
            }
            text.push_str(&token);
        }
    }
    let mut text = String::new();
    write(tokens, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_change_their_case() {
        for (snake_case, camel_case) in [("add_foobar", "AddFoobar"), ("a", "A"), ("step2", "Step2"), ("pay_by_sepa", "PayBySepa")] {
            assert_eq!((camel(snake_case), snake(camel_case)), (camel_case.to_owned(), snake_case.to_owned()));
        }
        assert_eq!(snake("HTTPCall"), "http_call");
        assert_eq!(snake("Pay_Now"), "pay_now");
        assert_eq!(camel("_a__b_"), "AB");
    }

    #[test]
    fn types_have_one_text() {
        let text = |text: &str| canonical(text.parse().unwrap());
        assert_eq!(text("Vec < Option<u8> >"), "Vec<Option<u8>>");
        assert_eq!(text("dyn  Fn( &'static str ) ->[u8;4]"), "dyn Fn(&'static str)->[u8;4]");
    }
}
