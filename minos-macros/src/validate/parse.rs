//! What `#[validate(…)]` says. Mistakes are told on the rule.

use super::is_attr;
use crate::{
    diag::{Errors, did_you_mean},
    item::{canonical, cfgs, plain},
    serial,
    word::RULES,
};
use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::{Attribute, DeriveInput, Expr, Field, Ident, Lit, LitStr, Member, Path, RangeLimits, Token, parse::ParseStream, parse::Parser};

/// All rules, in the order in which they are looked at.
pub(crate) type Rules = [OfField];

/// The rules of one field, or of the whole.
pub(crate) struct OfField {
    /// None for the whole.
    pub(super) member: Option<Ident>,
    /// Its name, as stored.
    pub(super) name: String,
    pub(super) cfgs: TokenStream,
    pub(super) rules: Vec<Said>,
    /// What contracts may tell of it.
    pub(super) told: Telling,
}

/// What contracts may tell of the rules of a field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Telling {
    All,
    /// Nothing: it is not known how it is written.
    Nothing,
    /// Whoever hands in something twice has it in there once.
    OfSet,
}

/// A rule, and where it stands.
pub(super) struct Said {
    pub(super) span: Span,
    pub(super) rule: Rule,
}

pub(super) enum Rule {
    /// `not_empty`, `email`, `url`
    Plain(&'static str),
    /// `length(1..=9)`, `range(1..)`
    Within(&'static str, Limits),
    /// `one_of("a", "b")`
    OneOf(Vec<Lit>),
    /// `with = path`
    With(Path),
    Nested,
}

/// What `1..=9` says.
pub(super) struct Limits {
    pub(super) low: Option<Box<Expr>>,
    pub(super) high: Option<Box<Expr>>,
    pub(super) closed: bool,
}

/// The rules of a struct and its fields.
pub(crate) fn rules(errors: &Errors, input: &DeriveInput, fields: &[&Field]) -> Vec<OfField> {
    let mut all = Vec::new();
    for field in fields {
        let rules = read(errors, &field.attrs);
        if let (Some(ident), false) = (&field.ident, rules.is_empty()) {
            let name = serial::renamed(&field.attrs).unwrap_or_else(|| plain(ident));
            all.push(OfField { member: Some(ident.clone()), name, cfgs: cfgs(&field.attrs), rules, told: telling(field) });
        }
    }
    let rules = read(errors, &input.attrs);
    for said in rules.iter().filter(|said| !matches!(said.rule, Rule::With(_))) {
        errors.at_span(
            said.span,
            "this rule is about a field\nhelp: on the struct stands `with = path`, the path of a `fn(&Self) -> Result<()>`",
        );
    }
    if !rules.is_empty() {
        all.push(OfField { member: None, name: String::new(), cfgs: TokenStream::new(), rules, told: Telling::Nothing });
    }
    all
}

fn telling(field: &Field) -> Telling {
    if !serial::is_written_plainly(&field.attrs) {
        return Telling::Nothing;
    }
    let text = canonical(field.ty.to_token_stream());
    let is_set = text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word.ends_with("Set"));
    if is_set { Telling::OfSet } else { Telling::All }
}

fn read(errors: &Errors, attrs: &[Attribute]) -> Vec<Said> {
    let mut all = Vec::new();
    for attr in attrs.iter().filter(|attr| is_attr(attr)) {
        let before = all.len();
        let section = Errors::default();
        let parse = |input: ParseStream<'_>| {
            while !input.is_empty() {
                all.extend(rule(&section, input)?);
                if input.is_empty() {
                    break;
                }
                input.parse::<Token![,]>()?;
            }
            Ok(())
        };
        let read = match &attr.meta {
            syn::Meta::List(list) => parse.parse2(list.tokens.clone()),
            other => Err(syn::Error::new_spanned(
                other,
                format!("rules stand in parentheses\nhelp: `#[validate(not_empty)]`; rules are {}", RULES.join(", ")),
            )),
        };
        let failed = read.is_err();
        errors.ok(read);
        let told = !section.is_empty();
        errors.join(section);
        if all.len() == before && !failed && !told {
            errors.at(attr, format!("this says nothing\nhelp: rules are {}", RULES.join(", ")));
        }
    }
    all
}

fn rule(errors: &Errors, input: ParseStream<'_>) -> syn::Result<Option<Said>> {
    let word: Ident = input.call(syn::ext::IdentExt::parse_any)?;
    let text = word.to_string();
    let rule = match text.as_str() {
        "not_empty" => Some(Rule::Plain("not_empty")),
        "email" => Some(Rule::Plain("email")),
        "url" => Some(Rule::Plain("url")),
        "nested" => Some(Rule::Nested),
        "length" => limits(errors, &word, input)?.map(|limits| Rule::Within("length", limits)),
        "range" => limits(errors, &word, input)?.map(|limits| Rule::Within("range", limits)),
        "one_of" => one_of(errors, &word, input)?,
        "with" => with(errors, &word, input)?,
        _ => {
            errors.at(&word, format!("`{text}` is no rule; one of {}{}", RULES.join(", "), did_you_mean(&text, RULES)));
            rest(input)?;
            None
        }
    };
    if !input.is_empty() && !input.peek(Token![,]) {
        let rest = rest(input)?;
        errors.at(&rest, format!("`{text}` ends before this\nhelp: a `,` between rules"));
        return Ok(None);
    }
    Ok(rule.map(|rule| Said { span: word.span(), rule }))
}

/// What stands before the next rule.
fn rest(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    let mut tokens = TokenStream::new();
    while !input.is_empty() && !input.peek(Token![,]) {
        tokens.extend([input.parse::<proc_macro2::TokenTree>()?]);
    }
    Ok(tokens)
}

/// What is in the parentheses behind a rule.
fn argument(input: ParseStream<'_>) -> syn::Result<Option<TokenStream>> {
    if !input.peek(syn::token::Paren) {
        rest(input)?;
        return Ok(None);
    }
    let content;
    syn::parenthesized!(content in input);
    content.parse().map(Some)
}

fn limits(errors: &Errors, word: &Ident, input: ParseStream<'_>) -> syn::Result<Option<Limits>> {
    let usage = format!("`{word}` has a range of Rust in parentheses\nhelp: `{word}(1..=9)`, `{word}(1..)` or `{word}(..=9)`");
    let Some(argument) = argument(input)? else {
        errors.at(word, usage);
        return Ok(None);
    };
    let range = match syn::parse2::<Expr>(argument.clone()) {
        Ok(Expr::Range(range)) if range.start.is_some() || range.end.is_some() => range,
        _ if argument.is_empty() => {
            errors.at(word, usage);
            return Ok(None);
        }
        _ => {
            errors.at(&argument, usage);
            return Ok(None);
        }
    };
    let closed = matches!(range.limits, RangeLimits::Closed(_));
    if let (Some(low), Some(high)) = (number(range.start.as_deref()), number(range.end.as_deref()))
        && (low > high || (low == high && !closed))
    {
        errors.at(&argument, "nothing is in this range");
    }
    Ok(Some(Limits { low: range.start, high: range.end, closed }))
}

fn number(expr: Option<&Expr>) -> Option<u128> {
    match expr? {
        Expr::Lit(syn::ExprLit { lit: Lit::Int(number), .. }) => number.base10_parse().ok(),
        _ => None,
    }
}

fn one_of(errors: &Errors, word: &Ident, input: ParseStream<'_>) -> syn::Result<Option<Rule>> {
    let usage = format!("`{word}` has texts or numbers in parentheses\nhelp: `{word}(\"a\", \"b\")`");
    let parse = syn::punctuated::Punctuated::<Lit, Token![,]>::parse_terminated;
    let Some(argument) = argument(input)?.filter(|argument| !argument.is_empty()) else {
        errors.at(word, usage);
        return Ok(None);
    };
    let Ok(these) = parse.parse2(argument.clone()) else {
        errors.at(&argument, usage);
        return Ok(None);
    };
    let texts = these.iter().filter(|one| matches!(one, Lit::Str(_))).count();
    if texts > 0 && texts < these.len() {
        errors.at(&argument, "these are texts and numbers: one field is the one or the other");
        return Ok(None);
    }
    Ok(Some(Rule::OneOf(these.into_iter().collect())))
}

fn with(errors: &Errors, word: &Ident, input: ParseStream<'_>) -> syn::Result<Option<Rule>> {
    let usage = "`with` names a function\nhelp: `with = path`, the path of a `fn(&Type) -> Result<(), impl Display>`";
    if !input.peek(Token![=]) {
        rest(input)?;
        errors.at(word, usage);
        return Ok(None);
    }
    input.parse::<Token![=]>()?;
    if input.peek(LitStr) {
        let text: LitStr = input.parse()?;
        errors.at(&text, format!("a path stands without quotes\nhelp: `with = {}`", text.value()));
        return Ok(None);
    }
    let value = rest(input)?;
    match syn::parse2::<Path>(value.clone()) {
        Ok(path) => Ok(Some(Rule::With(path))),
        Err(_) if value.is_empty() => {
            errors.at(word, usage);
            Ok(None)
        }
        Err(_) => {
            errors.at(&value, usage);
            Ok(None)
        }
    }
}

impl OfField {
    /// The field in an expression.
    pub(super) fn member(&self) -> Option<Member> {
        self.member.clone().map(Member::Named)
    }
}
