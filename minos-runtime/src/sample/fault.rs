//! What was wrong with what was read.

use serde::de;
use std::fmt;

/// Why something could not be read.
#[derive(Debug)]
pub(crate) struct Fault(Box<Inner>);

#[derive(Debug)]
struct Inner {
    class: Class,
    message: String,
    /// The variants that there are, if one was given that is none of them.
    variants: Option<&'static [&'static str]>,
    /// The field that is missing.
    missing: Option<&'static str>,
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

impl Fault {
    pub(super) fn new(class: Class, message: impl Into<String>) -> Self {
        Fault(Box::new(Inner { class, message: message.into(), variants: None, missing: None }))
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

    /// The variants that there are, if one was given that is none of them.
    pub(super) fn variants(&self) -> Option<&'static [&'static str]> {
        self.0.variants
    }

    /// The field that is missing.
    pub(super) fn missing(&self) -> Option<&'static str> {
        self.0.missing
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
        Fault::data(message.to_string())
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let names: Vec<_> = expected.iter().map(|name| format!("`{name}`")).collect();
        let message = match &names[..] {
            [] => format!("unknown variant `{variant}`, there are no variants"),
            [one] => format!("unknown variant `{variant}`, expected {one}"),
            [one, other] => format!("unknown variant `{variant}`, expected {one} or {other}"),
            _ => format!("unknown variant `{variant}`, expected one of {}", names.join(", ")),
        };
        let mut fault = Fault::data(message);
        fault.0.variants = Some(expected);
        fault
    }

    fn missing_field(field: &'static str) -> Self {
        let mut fault = Fault::data(format!("missing field `{field}`"));
        fault.0.missing = Some(field);
        fault
    }
}
