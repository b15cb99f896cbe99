//! What `#[aggregate(…)]` and the `#[event]` of a method say besides a name: the version, and the functions that lead to it.

use super::snapshot::{self, Snapshot};
use crate::{
    diag::Errors,
    diag::did_you_mean,
    door::Door,
    word::{AGGREGATE_FLAGS, AGGREGATE_KEYS},
};
use proc_macro2::{Ident, TokenStream};
use syn::{
    Attribute, LitInt, LitStr, Path, Token, bracketed,
    ext::IdentExt,
    parenthesized,
    parse::{ParseStream, Parser},
    punctuated::Punctuated,
    token::{Bracket, Paren},
};

/// What an aggregate says of itself.
#[derive(Default)]
pub(super) struct Options {
    pub(super) door: Door,
    /// The name that is stored, if it is not that of the struct.
    pub(super) name: Option<LitStr>,
    pub(super) versions: Versions,
    /// Whether it is found by its fields.
    pub(super) queryable: bool,
    /// Whether other services may resolve references to it.
    pub(super) resolvable: bool,
    /// Fields whose values together only one has.
    pub(super) unique: Vec<Vec<Ident>>,
    /// When its state is kept.
    pub(super) snapshot: Option<Snapshot>,
}

/// A version, and how contents of those before it are brought up to it.
#[derive(Default)]
pub(super) struct Versions {
    version: Option<LitInt>,
    upcast: Option<(Ident, Vec<Path>)>,
}

impl Versions {
    /// The functions, one from each version to the next.
    pub(super) fn steps(&self) -> &[Path] {
        self.upcast.as_ref().map_or(&[], |(_, steps)| steps)
    }

    /// The version that is written. Without steps it is the first one, or there is a mistake.
    pub(super) fn current(&self) -> u32 {
        u32::try_from(self.steps().len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// Reads the value of one of its words; false if the word is none of them.
    fn read(&mut self, errors: &Errors, word: &Ident, input: ParseStream<'_>) -> syn::Result<bool> {
        if word == "version" {
            let version: LitInt = input.parse()?;
            if self.version.replace(version).is_some() {
                errors.at(word, "`version` is already given");
            }
        } else if word == "upcast" {
            let steps = if input.peek(Bracket) {
                let list;
                bracketed!(list in input);
                Punctuated::<Path, Token![,]>::parse_terminated(&list)?.into_iter().collect()
            } else {
                vec![input.parse()?]
            };
            if self.upcast.replace((word.clone(), steps)).is_some() {
                errors.at(word, "`upcast` is already given");
            }
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Each version but the last has an upcaster.
    fn check(&self, errors: &Errors) {
        let steps = self.steps().len();
        match (&self.version, &self.upcast) {
            (Some(version), upcast) => match version.base10_parse::<u32>() {
                Ok(0) => errors.at(version, "versions count from 1, which is the version of what has never changed"),
                Ok(number) if number as usize != steps + 1 => {
                    let names: Vec<_> = (1..number.min(10)).map(|from| format!("from_v{from}")).collect();
                    let write = match &names[..] {
                        [] => "leave out `upcast`".to_owned(),
                        [one] => format!("`version = 2, upcast = {one}`"),
                        all => format!("`version = {number}, upcast = [{}]`", all.join(", ")),
                    };
                    let has = match upcast {
                        None => "none is given".to_owned(),
                        Some((_, steps)) => {
                            format!("{} given", if steps.len() == 1 { "1 is".to_owned() } else { format!("{} are", steps.len()) })
                        }
                    };
                    errors.at(version, format!("version {number} needs {}, and {has}\nhelp: {write}", needed(number - 1)));
                }
                Ok(_) => {}
                Err(_) => errors.at(version, "a version is a whole number\nhelp: `version = 2, upcast = from_v1`"),
            },
            (None, Some((word, _))) => {
                errors.at(word, format!("an upcaster leads to a version\nhelp: `version = {}, upcast = …`", steps + 1));
            }
            (None, None) => {}
        }
    }
}

fn needed(count: u32) -> String {
    if count == 1 { "an upcaster from version 1".to_owned() } else { format!("{count} upcasters, one from each version before it") }
}

/// What stands between the parentheses of `#[aggregate(…)]`, or of a derive's `#[minos(…)]`.
pub(super) fn aggregate(errors: &Errors, args: TokenStream) -> Options {
    let mut options = Options::default();
    let parse = |input: ParseStream<'_>| {
        while !input.is_empty() {
            if Door::is_next(input) {
                options.door = Door::parse(input)?;
            } else if let Some(fields) = unique(errors, input)? {
                options.unique.push(fields);
            } else if let Some((word, snapshot)) = snapshot::parse(errors, input)? {
                if options.snapshot.replace(snapshot).is_some() {
                    errors.at(&word, "`snapshot` is already given");
                }
            } else if let Some(flag) = flag(input, AGGREGATE_FLAGS)? {
                let was_said = if flag == "queryable" {
                    std::mem::replace(&mut options.queryable, true)
                } else {
                    std::mem::replace(&mut options.resolvable, true)
                };
                if was_said {
                    errors.at(&flag, format!("`{flag}` is already given"));
                }
            } else {
                let word = word(
                    input,
                    "`name = \"Order\"`, `version = 2, upcast = from_v1`, `queryable`, `resolvable`, `unique(tenant, email)`, `snapshot(every = 100)`",
                    &[AGGREGATE_FLAGS, &["unique", "snapshot"]].concat(),
                )?;
                if word == "name" {
                    let name: LitStr = input.parse()?;
                    if options.name.replace(name).is_some() {
                        errors.at(&word, "`name` is already given");
                    }
                } else if !options.versions.read(errors, &word, input)? {
                    return Err(unknown(&word, &[AGGREGATE_KEYS, AGGREGATE_FLAGS, &["unique", "snapshot"]].concat()));
                }
            }
            comma(input)?;
        }
        Ok(())
    };
    errors.ok(parse.parse2(args));
    if let Some(name) = &options.name
        && syn::parse_str::<Ident>(&name.value()).is_err()
    {
        errors
            .at(name, format!("`{}` cannot be the name of a stream\nhelp: a name as that of a struct, such as `\"Order\"`", name.value()));
    }
    options.versions.check(errors);
    options
}

/// What a derive's `#[minos(…)]` on the struct say.
pub(super) fn of_derive(errors: &Errors, attrs: &[Attribute]) -> Options {
    let mut all = TokenStream::new();
    for attr in attrs.iter().filter(|attr| super::was::is_ours(attr)) {
        if let Some(list) = errors.ok(attr.meta.require_list().cloned()) {
            let tokens = list.tokens;
            all.extend(quote::quote!(#tokens,));
        }
    }
    aggregate(errors, all)
}

/// What stands behind the name of an event.
pub(super) fn event(errors: &Errors, args: TokenStream) -> Versions {
    let mut versions = Versions::default();
    let parse = |input: ParseStream<'_>| {
        while !input.is_empty() {
            let word = word(input, "`version = 2, upcast = from_v1`", &[])?;
            if !versions.read(errors, &word, input)? {
                return Err(unknown(&word, &["version", "upcast"]));
            }
            comma(input)?;
        }
        Ok(())
    };
    errors.ok(parse.parse2(args));
    versions.check(errors);
    versions
}

/// `unique(tenant, email)`, if that comes next.
fn unique(errors: &Errors, input: ParseStream<'_>) -> syn::Result<Option<Vec<Ident>>> {
    let ahead = input.fork();
    if !matches!(ahead.call(Ident::parse_any), Ok(word) if word == "unique") {
        return Ok(None);
    }
    let word = input.call(Ident::parse_any)?;
    let help = "help: `unique(tenant, email)`, or `#[unique]` on a field that is unique alone";
    if !input.peek(Paren) {
        return Err(syn::Error::new_spanned(word, format!("`unique` names fields\n{help}")));
    }
    let list;
    parenthesized!(list in input);
    let fields: Vec<_> = Punctuated::<Ident, Token![,]>::parse_terminated(&list)?.into_iter().collect();
    if fields.is_empty() {
        errors.at(&word, format!("`unique` names fields\n{help}"));
    }
    Ok(Some(fields))
}

/// A word that stands alone, if one of these comes next.
fn flag(input: ParseStream<'_>, known: &[&str]) -> syn::Result<Option<Ident>> {
    let ahead = input.fork();
    match ahead.call(Ident::parse_any) {
        Ok(word) if known.iter().any(|known| word == known) && !ahead.peek(Token![=]) => input.call(Ident::parse_any).map(Some),
        _ => Ok(None),
    }
}

/// A word and the `=` behind it.
fn word(input: ParseStream<'_>, help: &str, alone: &[&str]) -> syn::Result<Ident> {
    let message = format!("what is said here is `key = value`\nhelp: {help}");
    if !input.peek(Ident::peek_any) {
        return Err(syn::Error::new(input.span(), message));
    }
    let word = input.call(Ident::parse_any)?;
    if !input.peek(Token![=]) {
        let near = did_you_mean(&word.to_string(), alone);
        return Err(syn::Error::new_spanned(&word, if near.is_empty() { message } else { format!("there is no `{word}` here{near}") }));
    }
    input.parse::<Token![=]>()?;
    Ok(word)
}

fn comma(input: ParseStream<'_>) -> syn::Result<()> {
    if !input.is_empty() {
        input.parse::<Token![,]>()?;
    }
    Ok(())
}

fn unknown(word: &Ident, known: &[&str]) -> syn::Error {
    let list: Vec<_> = known.iter().map(|known| format!("`{known}`")).collect();
    let message = format!("there is no `{word}` here; there are {}{}", list.join(", "), did_you_mean(&word.to_string(), known));
    syn::Error::new_spanned(word, message)
}
