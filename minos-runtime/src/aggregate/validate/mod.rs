//! Validation: what is to be stored is looked at as a whole, and all that is wrong with it is told at once.

mod nested;
pub mod rules;
mod told;

pub(crate) use told::tell_rules;
#[doc(hidden)]
pub use told::{Limit, RulesDef};

use crate::error::{Error, ErrorKind, Result};
use std::{borrow::Cow, fmt};

/// What can say whether it is as it should be. `#[derive(Validate)]` writes it from the rules on the fields; `#[aggregate]` does if there are any.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no rules that could be looked at",
    label = "does not implement `Validate`",
    note = "put `#[derive(minos::Validate)]` on the definition of `{Self}`"
)]
pub trait Validate {
    /// Puts all that is wrong with it among what was found.
    fn validate(&self, found: &mut Violations);

    /// That nothing is wrong with it, as for the input of a handler: `input.check()?`.
    ///
    /// # Errors
    /// A [`ValidationError`], answered with `422`.
    fn check(&self) -> Result<()> {
        let mut found = Violations::default();
        self.validate(&mut found);
        found.into_result()
    }
}

/// One rule that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The names from the whole to the field, as stored: `["lines", "<uuid>", "quantity"]`. Empty if it is about the whole.
    pub path: Vec<String>,
    /// The rule: `length`, `range`, …, or `with` for one of your own.
    pub rule: &'static str,
    /// What is wrong.
    pub message: String,
}

impl Violation {
    /// The path as a JSON pointer (RFC 6901) in a URI fragment: `#/lines/<uuid>/quantity`.
    pub fn pointer(&self) -> String {
        let part = |part: &String| format!("/{}", part.replace('~', "~0").replace('/', "~1"));
        std::iter::once("#".to_owned()).chain(self.path.iter().map(part)).collect()
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_slice() {
            [] => f.write_str(&self.message),
            path => write!(f, "`{}` {}", path.join("."), self.message),
        }
    }
}

/// What was found wrong so far.
#[derive(Debug, Default)]
pub struct Violations {
    path: Vec<String>,
    found: Vec<Violation>,
}

impl Violations {
    /// A rule that does not hold for a field.
    pub fn put(&mut self, field: &str, rule: &'static str, message: impl Into<String>) {
        let path = self.path.iter().cloned().chain((!field.is_empty()).then(|| field.to_owned())).collect();
        self.found.push(Violation { path, rule, message: message.into() });
    }

    /// What is wrong with what is in a field.
    pub fn within(&mut self, field: &str, value: &dyn Validate) {
        self.path.push(field.to_owned());
        value.validate(self);
        self.path.pop();
    }

    /// The outcome of a rule. Generated code calls this.
    #[doc(hidden)]
    pub fn rule(&mut self, field: &str, rule: &'static str, wrong: Option<String>) {
        if let Some(message) = wrong {
            self.put(field, rule, message);
        }
    }

    /// The outcome of a function of the user's. Generated code calls this.
    #[doc(hidden)]
    pub fn with<E: fmt::Display>(&mut self, field: &str, outcome: std::result::Result<(), E>) {
        self.rule(field, "with", outcome.err().map(|error| error.to_string()));
    }

    pub(super) fn into_result(self) -> Result<()> {
        if self.found.is_empty() { Ok(()) } else { Err(ValidationError { violations: self.found }.into_error()) }
    }
}

/// Why something is not stored: all rules that do not hold. Clients get a `422` with an `errors` list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidationError {
    violations: Vec<Violation>,
}

impl ValidationError {
    /// What is wrong, in the order of the fields.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    fn into_error(self) -> Error {
        Error::new(ErrorKind::Rejected, Cow::from(self.to_string())).caused_by(self)
    }
}

impl fmt::Display for ValidationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.violations.iter().map(ToString::to_string).collect();
        f.write_str(&all.join("; "))
    }
}

impl std::error::Error for ValidationError {}

#[cfg(test)]
mod tests;
