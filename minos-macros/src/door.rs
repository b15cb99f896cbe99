//! The way from an expansion to the runtime.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Path, Token, parse::ParseStream};

/// The path of the facade: `::minos`, or what `crate = …` says.
pub(crate) struct Door(Path);

impl Default for Door {
    fn default() -> Self {
        Door(syn::parse_quote!(::minos))
    }
}

impl Door {
    /// Whether `crate = …` comes next.
    pub(crate) fn is_next(input: ParseStream<'_>) -> bool {
        input.peek(Token![crate])
    }

    /// Reads `crate = ::renamed`.
    pub(crate) fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        input.parse::<Token![crate]>()?;
        input.parse::<Token![=]>()?;
        input.call(Path::parse_mod_style).map(Door)
    }

    /// The way as if it stood here: what the compiler says of an expression, it says of all tokens of it.
    pub(crate) fn at(&self, span: Span) -> TokenStream {
        let mut tokens = TokenStream::new();
        for mut token in self.to_token_stream() {
            token.set_span(span);
            tokens.extend([token]);
        }
        tokens
    }

    /// The path of the facade itself.
    pub(crate) fn facade(&self) -> TokenStream {
        self.0.to_token_stream()
    }

    /// The path of serde, as its derives want it.
    pub(crate) fn serde(&self) -> String {
        let door = self;
        quote!(#door::serde).to_string().replace(' ', "")
    }
}

impl ToTokens for Door {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let path = &self.0;
        tokens.extend(quote!(#path::__private));
    }
}

/// The place of the user's token, with the names of the macro.
pub(crate) fn at(span: Span) -> Span {
    Span::mixed_site().located_at(span)
}
