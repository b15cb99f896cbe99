//! What was wrong with what was read, and what was said about that on the way.

use serde::de::{self, Expected, Unexpected};
use std::{cell::RefCell, fmt};

/// Why something could not be read.
#[derive(Debug)]
pub(crate) struct Fault(Box<Inner>);

#[derive(Debug)]
struct Inner {
    class: Class,
    message: String,
    said: Said,
}

/// What kind of mistake it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// It is JSON, and not what the type takes.
    Data,
    /// It is no JSON.
    Syntax,
    /// It ends too early.
    Cut,
}

/// What a type said, as far as that tells what it wants.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    /// It was of this kind, and is to be something else.
    Mismatch(Given, String),
    /// A list is to be as long as this is.
    Length(String),
    /// This field is missing.
    Missing(&'static str),
    /// The variants that there are, if one was given that is none of them.
    Variants(&'static [&'static str]),
    /// There is no such field.
    Unknown(String),
    /// It is an enum without tags, none of whose variants took it.
    NoVariant,
    /// Something else.
    Other,
}

/// The kinds of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Given {
    Null,
    Map,
    Number,
    Bool,
    List,
    Text,
    /// What JSON does not have.
    None,
}

/// How serde begins to say it of enums without tags.
const NO_VARIANT: &str = "data did not match any variant of untagged enum ";
/// More than any sample hears.
const MOST: usize = 1_000;

thread_local! {
    /// What was said of a sample so far, also where somebody went on to try something else; none if nobody wants to know.
    static HEARD: RefCell<Option<Vec<Said>>> = const { RefCell::new(None) };
}

/// From now on, what is said of a sample is kept.
pub(super) fn listen() {
    HEARD.set(Some(Vec::new()));
}

/// How much was said so far.
pub(super) fn heard_so_far() -> usize {
    HEARD.with_borrow(|heard| heard.as_ref().map_or(0, Vec::len))
}

/// What was said.
pub(super) fn heard() -> Vec<Said> {
    HEARD.take().unwrap_or_default()
}

impl Fault {
    pub(super) fn new(class: Class, message: impl Into<String>) -> Self {
        Fault::saying(class, message.into(), Said::Other)
    }

    fn saying(class: Class, message: String, said: Said) -> Self {
        HEARD.with_borrow_mut(|heard| {
            if let Some(heard) = heard.as_mut().filter(|heard| heard.len() < MOST) {
                heard.push(said.clone());
            }
        });
        Fault(Box::new(Inner { class, message, said }))
    }

    pub(super) fn syntax(message: &str) -> Self {
        Fault::new(Class::Syntax, message)
    }

    pub(super) fn data(message: impl Into<String>) -> Self {
        Fault::new(Class::Data, message)
    }

    /// What kind of mistake it is.
    pub(crate) fn class(&self) -> Class {
        self.0.class
    }

    pub(super) fn said(&self) -> &Said {
        &self.0.said
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        let said = if message.starts_with(NO_VARIANT) { Said::NoVariant } else { Said::Other };
        Fault::saying(Class::Data, message, said)
    }

    fn invalid_type(given: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let kind = match given {
            Unexpected::Unit | Unexpected::Option => Given::Null,
            Unexpected::Bool(_) => Given::Bool,
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => Given::Number,
            Unexpected::Char(_) | Unexpected::Str(_) => Given::Text,
            Unexpected::Seq => Given::List,
            Unexpected::Map => Given::Map,
            _ => Given::None,
        };
        Fault::saying(Class::Data, format!("invalid type: {given}, expected {expected}"), Said::Mismatch(kind, expected.to_string()))
    }

    fn invalid_length(len: usize, expected: &dyn Expected) -> Self {
        Fault::saying(Class::Data, format!("invalid length {len}, expected {expected}"), Said::Length(expected.to_string()))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let message = match &listed(expected)[..] {
            [] => format!("unknown variant `{variant}`, there are no variants"),
            words => format!("unknown variant `{variant}`, expected {}", one_of(words)),
        };
        Fault::saying(Class::Data, message, Said::Variants(expected))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let message = match &listed(expected)[..] {
            [] => format!("unknown field `{field}`, there are no fields"),
            words => format!("unknown field `{field}`, expected {}", one_of(words)),
        };
        Fault::saying(Class::Data, message, Said::Unknown(field.to_owned()))
    }

    fn missing_field(field: &'static str) -> Self {
        Fault::saying(Class::Data, format!("missing field `{field}`"), Said::Missing(field))
    }
}

fn listed(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("`{name}`")).collect()
}

/// As serde says it.
fn one_of(words: &[String]) -> String {
    match words {
        [one] => one.clone(),
        [one, other] => format!("{one} or {other}"),
        _ => format!("one of {}", words.join(", ")),
    }
}
