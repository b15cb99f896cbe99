//! Closures and functions, read as far as macros need them: bodies stay tokens, finished or not.

use super::model::{Callback, Closure};
use crate::word::{NODES, REMOTE_KEYS};
use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    Expr, Ident, Pat, Token, Type,
    buffer::Cursor,
    parse::ParseStream,
    token::{Brace, Paren},
};

/// A closure or the path of a function, up to the next entry.
pub(super) fn callback(block: ParseStream<'_>) -> syn::Result<Callback> {
    if is_closure(block) {
        return closure(block, value).map(|closure| Callback::Closure(Box::new(closure)));
    }
    if block.is_empty() || block.peek(Token![,]) {
        return Err(block.error("a closure or the path of a function is missing here"));
    }
    if block.peek(Paren) && block.cursor().group(Delimiter::Parenthesis).is_some_and(|(inside, ..)| inside.eof()) {
        block.parse::<TokenTree>()?;
        return Ok(Callback::Nothing);
    }
    Ok(Callback::Function(value(block)))
}

/// The condition of a `when`, up to its block.
pub(super) fn condition(input: ParseStream<'_>, word: &Ident) -> syn::Result<Callback> {
    let help =
        || syn::Error::new(word.span(), "a `when` has a condition and a block of steps\nhelp: `when |saga| saga.amount > 100 { … }`");
    if is_closure(input) {
        let closure = closure(input, up_to_block)?;
        return if closure.body.is_empty() || !input.peek(Brace) { Err(help()) } else { Ok(Callback::Closure(Box::new(closure))) };
    }
    let function = up_to_block(input);
    if function.is_empty() || !input.peek(Brace) { Err(help()) } else { Ok(Callback::Function(function)) }
}

fn is_closure(input: ParseStream<'_>) -> bool {
    let starts = |input: ParseStream<'_>| input.peek(Token![|]) || input.peek(Token![||]) || input.peek(Token![move]);
    starts(input) || (input.peek(Token![async]) && (input.peek2(Token![|]) || input.peek2(Token![||]) || input.peek2(Token![move])))
}

fn closure(input: ParseStream<'_>, body: fn(ParseStream<'_>) -> TokenStream) -> syn::Result<Closure> {
    let asyncness = input.parse()?;
    input.parse::<Option<Token![move]>>()?;
    let (mut bars, mut params) = (TokenStream::new(), Vec::new());
    if input.peek(Token![||]) {
        input.parse::<Token![||]>()?.to_tokens(&mut bars);
    } else {
        input.parse::<Token![|]>()?.to_tokens(&mut bars);
        while !input.peek(Token![|]) {
            let pat = Pat::parse_single(input)?;
            pat.to_tokens(&mut bars);
            let ty = if input.peek(Token![:]) {
                input.parse::<Token![:]>()?.to_tokens(&mut bars);
                let ty: Type = input.parse()?;
                ty.to_tokens(&mut bars);
                Some(ty)
            } else {
                None
            };
            params.push((pat, ty));
            if input.peek(Token![|]) {
                break;
            }
            input.parse::<Token![,]>()?.to_tokens(&mut bars);
        }
        input.parse::<Token![|]>()?.to_tokens(&mut bars);
    }
    let output = if input.parse::<Option<Token![->]>>()?.is_some() { Some(input.parse()?) } else { None };
    Ok(Closure { asyncness, bars, params, output, body: body(input) })
}

/// All up to the next entry: an expression, or, if it is unfinished, what stands before a `,` with a key behind it.
pub(super) fn value(block: ParseStream<'_>) -> TokenStream {
    let fork = block.fork();
    if fork.parse::<Expr>().is_ok() && (fork.is_empty() || fork.peek(Token![,])) {
        let mut tokens = TokenStream::new();
        while block.cursor() != fork.cursor() {
            let Ok(token) = block.parse::<TokenTree>() else { break };
            tokens.extend([token]);
        }
        return tokens;
    }
    let mut tokens = TokenStream::new();
    while !block.is_empty() && !is_end(block) {
        let Ok(token) = block.parse::<TokenTree>() else { break };
        tokens.extend([token]);
    }
    tokens
}

/// Whether an entry ends here: at a `,` with an entry or nothing behind it, or where the next one begins and its `,` is missing.
fn is_end(block: ParseStream<'_>) -> bool {
    let behind_comma = block.peek(Token![,]).then(|| block.cursor().token_tree()).flatten().map(|(_, rest)| rest);
    match behind_comma {
        Some(rest) => rest.eof() || key(rest).is_some(),
        None => key(block.cursor()).is_some_and(|key| REMOTE_KEYS.iter().any(|known| key == known)),
    }
}

/// The word of `word: …`.
fn key(cursor: Cursor<'_>) -> Option<Ident> {
    let (key, rest) = cursor.ident()?;
    let (colon, _) = rest.punct()?;
    (colon.as_char() == ':' && colon.spacing() == Spacing::Alone).then_some(key)
}

/// Goes on at the `,` before the next entry.
pub(super) fn skip(block: ParseStream<'_>) {
    value(block);
}

/// All up to the block of a `when`: the first `{ … }` that begins with a step, or behind which no expression can go on.
fn up_to_block(input: ParseStream<'_>) -> TokenStream {
    let mut tokens = TokenStream::new();
    while !(input.peek(Brace) && is_block(input)) {
        let Ok(token) = input.parse::<TokenTree>() else { break };
        tokens.extend([token]);
    }
    tokens
}

fn is_block(input: ParseStream<'_>) -> bool {
    let Some((inside, _, rest)) = input.cursor().group(Delimiter::Brace) else { return false };
    let begins_with_step = inside.ident().is_some_and(|(word, rest)| {
        NODES.iter().any(|node| word == node)
            && (rest.ident().is_some()
                || rest.group(Delimiter::Brace).is_some()
                || rest.punct().is_some_and(|(bar, _)| bar.as_char() == '|'))
    });
    let goes_on = match rest.token_tree() {
        Some((TokenTree::Group(group), _)) => group.delimiter() != Delimiter::Bracket || group.stream().is_empty(),
        Some((TokenTree::Punct(punct), _)) => punct.as_char() != '#',
        Some((TokenTree::Ident(word), _)) => word == "else" || word == "as",
        _ => false,
    };
    begins_with_step || !goes_on
}

impl Closure {
    /// The body as the block of a function.
    pub(super) fn block(&self) -> TokenStream {
        let mut all = self.body.clone().into_iter();
        if let (Some(TokenTree::Group(group)), None) = (all.next(), all.next())
            && group.delimiter() == Delimiter::Brace
        {
            return group.into_token_stream();
        }
        TokenTree::Group(Group::new(Delimiter::Brace, self.body.clone())).into()
    }
}
