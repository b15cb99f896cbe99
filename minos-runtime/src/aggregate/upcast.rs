//! The versions of what is stored, and the way from an old one to that of now.
//!
//! A content says its version by its first key: `{"$v":2,"amount":5}`. Version 1 says nothing, so it costs nothing, rows from before there were versions
//! need no migration, and whoever reads the log or the broker sees it beside the fields.

use super::{
    Fields,
    event::{has_aggregate, registered},
};
use crate::error::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use thiserror::Error as ThisError;

/// Why what is stored is nothing that this program can read.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum SchemaError {
    /// A newer deployment has stored it.
    #[error(
        "the event `{event}` of {aggregate} is stored in version {stored}, and this program knows it up to version {known}: a newer deployment has \
         stored it, so deploy that one here, too; until then nothing is skipped, and it is tried again"
    )]
    Newer {
        /// Whose event it is.
        aggregate: String,
        /// Its name.
        event: String,
        /// The version that is stored.
        stored: u32,
        /// The version that this program writes.
        known: u32,
    },
    /// The aggregate has no event of this name.
    #[error(
        "{aggregate} knows no such event as `{event}`: it may have been stored by a newer version of this service, or its method was removed"
    )]
    Unknown {
        /// Whose event it is.
        aggregate: String,
        /// Its name.
        event: String,
    },
}

impl SchemaError {
    /// As handlers see it: what a newer deployment has stored can be read later, when this one has followed.
    pub(super) fn into_error(self) -> Error {
        let kind = match self {
            SchemaError::Newer { .. } => ErrorKind::Unavailable,
            SchemaError::Unknown { .. } => ErrorKind::Internal,
        };
        Error::new(kind, self.to_string()).caused_by(self)
    }
}

/// How an aggregate's own events came to be what they are. Written by `#[aggregate(version = …, upcast = …)]` and `#[minos(was = "…")]`.
#[doc(hidden)]
pub struct Evolution {
    /// The version that is written.
    pub version: u32,
    /// From each version to the next one.
    pub steps: &'static [fn(&mut Fields) -> Result<()>],
    /// Names that fields had, and those that they have.
    pub was: &'static [(&'static str, &'static str)],
}

impl Evolution {
    /// That of an aggregate which has always been as it is.
    pub const NONE: &'static Evolution = &Evolution { version: 1, steps: &[], was: &[] };

    /// Whether it has always been as it is.
    pub(super) fn is_of_none(&self) -> bool {
        self.version == 1 && self.steps.is_empty() && self.was.is_empty()
    }

    /// What one of its events has stored, as it is stored now, without its version.
    pub(super) fn current<'c>(&self, aggregate: &str, event: &str, content: &'c str) -> Result<Cow<'c, str>> {
        let (stored, content) = versioned(content);
        no_newer(aggregate, event, stored, self.version)?;
        let steps = self.steps.get(stored.saturating_sub(1) as usize..).unwrap_or_default();
        if steps.is_empty() && !self.was.iter().any(|(was, _)| content.contains(was)) {
            return Ok(content);
        }
        let mut fields = Fields::parse(&content)?;
        for (was, is) in self.was {
            fields.rename(was, is);
        }
        for (n, step) in steps.iter().enumerate() {
            step(&mut fields).map_err(|error| error.context(format!("its upcaster from version {}", stored as usize + n)))?;
        }
        Ok(Cow::Owned(fields.write()?))
    }

    /// The same of any event of an aggregate: those of the domain are left as they are.
    pub(super) fn bring_up(&self, aggregate: &str, event: &str, content: &mut String) -> Result<()> {
        if has_fields(aggregate, event)
            && let Cow::Owned(current) = self.current(aggregate, event, content)?
        {
            *content = current;
        }
        Ok(())
    }
}

/// An aggregate that has changed; registered by `#[aggregate]` where it says so.
#[doc(hidden)]
pub struct EvolutionDef {
    pub aggregate: &'static str,
    pub evolution: &'static Evolution,
}

inventory::collect!(EvolutionDef);

/// Whether it is one of the aggregate's own events that hold fields.
fn has_fields(aggregate: &str, event: &str) -> bool {
    matches!(event.strip_prefix(aggregate), Some("Created" | "Updated"))
}

/// An event's content as it comes from the log or the broker, as this process writes it now, and the version that it was stored in. What nobody in this process
/// can bring up, such as the event of another service, stays as it is.
pub(super) fn current<'c>(aggregate: &str, event: &str, content: &'c str) -> Result<(u32, Cow<'c, str>)> {
    let (stored, body) = versioned(content);
    if has_fields(aggregate, event) {
        let known = inventory::iter::<EvolutionDef>.into_iter().filter(|def| def.aggregate == aggregate).map(|def| def.evolution);
        let evolution = known.max_by_key(|evolution| evolution.version);
        return match evolution.or_else(|| has_aggregate(aggregate).then_some(Evolution::NONE)) {
            Some(evolution) => Ok((stored, evolution.current(aggregate, event, content)?)),
            None => Ok((stored, body)),
        };
    }
    match registered(aggregate, event) {
        Some(def) => Ok((stored, def.current(stored, body)?)),
        None => Ok((stored, body)),
    }
}

#[inline]
pub(super) fn no_newer(aggregate: &str, event: &str, stored: u32, known: u32) -> Result<()> {
    if stored <= known {
        return Ok(());
    }
    Err(SchemaError::Newer { aggregate: aggregate.to_owned(), event: event.to_owned(), stored, known }.into_error())
}

/// The content with its version.
pub(super) fn stamped(version: u32, content: String) -> String {
    match content.strip_prefix('{') {
        Some("}") if version > 1 => format!("{{\"$v\":{version}}}"),
        Some(fields) if version > 1 => format!("{{\"$v\":{version},{fields}"),
        _ => content,
    }
}

/// The version of a content, and the content without it.
#[inline]
pub(super) fn versioned(content: &str) -> (u32, Cow<'_, str>) {
    // Most say nothing, as can be seen at once where there is no space.
    if let [b'{', b'"', first, ..] = content.as_bytes()
        && *first != b'$'
    {
        return (1, Cow::Borrowed(content));
    }
    match split(content) {
        Some((version, fields)) => (version, Cow::Owned(format!("{{{fields}"))),
        None => (1, Cow::Borrowed(content)),
    }
}

fn split(content: &str) -> Option<(u32, &str)> {
    let fields = content.trim_start().strip_prefix('{')?.trim_start();
    let value = fields.strip_prefix("\"$v\"")?.trim_start().strip_prefix(':')?.trim_start();
    let digits = value.len() - value.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (version, rest) = value.split_at_checked(digits)?;
    let rest = rest.trim_start();
    Some((version.parse().ok()?, rest.strip_prefix(',').unwrap_or(rest)))
}

/// What a function that upcasts may return to make an `N`.
#[diagnostic::on_unimplemented(
    message = "this upcaster does not return `{N}`",
    label = "returns `{Self}`",
    note = "the last upcaster returns the event, and each one before it what the next one takes, or a `Result` of it"
)]
pub trait Upcasts<N> {
    #[doc(hidden)]
    fn into_result(self) -> Result<N>;
}

#[diagnostic::do_not_recommend]
impl<N> Upcasts<N> for N {
    fn into_result(self) -> Result<N> {
        Ok(self)
    }
}

#[diagnostic::do_not_recommend]
impl<N, E: Into<Error>> Upcasts<N> for Result<N, E> {
    fn into_result(self) -> Result<N> {
        self.map_err(Into::into)
    }
}

/// The content of an old version, as the first upcaster takes it.
#[doc(hidden)]
pub fn old_content<T: DeserializeOwned>(content: &str) -> Result<T> {
    Ok(serde_json::from_str(content)?)
}

/// One step to the next version.
#[doc(hidden)]
pub fn upcast<O, R: Upcasts<N>, N>(step: fn(O) -> R, old: O) -> Result<N> {
    step(old).into_result()
}

/// One step of an aggregate's fields to the next version.
#[doc(hidden)]
pub fn upcast_fields<R: Upcasts<()>>(step: fn(&mut Fields) -> R, fields: &mut Fields) -> Result<()> {
    step(fields).into_result()
}

#[cfg(test)]
mod tests {
    use super::{super::difference::Object, *};

    #[test]
    fn a_content_tells_its_version_and_the_first_one_says_nothing() {
        for (version, content, stored) in
            [(1, r#"{"a":1}"#, r#"{"a":1}"#), (2, r#"{"a":1}"#, r#"{"$v":2,"a":1}"#), (12, "{}", r#"{"$v":12}"#)]
        {
            assert_eq!(stamped(version, content.to_owned()), stored);
            assert_eq!(versioned(stored), (version, Cow::Borrowed(content)));
        }
        assert_eq!(versioned("{ \"$v\" : 3 , \"a\":1}").0, 3, "as another program may write it");
        assert_eq!(versioned(r#"{"a":{"$v":2}}"#).0, 1, "only the content itself has a version");
    }

    fn twice(fields: &mut Fields) -> Result<()> {
        if let Some(a) = fields.take::<u32>("a")? {
            fields.set("a", &(a * 2))?;
        }
        Ok(())
    }

    const TWO_STEPS: Evolution = Evolution { version: 3, steps: &[twice, twice], was: &[("b", "a")] };

    #[test]
    fn each_version_takes_the_steps_that_are_left() {
        for (stored, current) in [
            (r#"{"a":1}"#, r#"{"a":4}"#),
            (r#"{"b":1}"#, r#"{"a":4}"#),
            (r#"{"$v":2,"a":1}"#, r#"{"a":2}"#),
            (r#"{"$v":3,"a":1}"#, r#"{"a":1}"#),
            (r#"{"$v":3,"b":1}"#, r#"{"a":1}"#),
            (r#"{"$removed":["b"]}"#, r#"{"$removed":["a"]}"#),
        ] {
            assert_eq!(TWO_STEPS.current("Foo", "FooUpdated", stored).unwrap(), current, "{stored}");
        }
    }

    /// Why `#[minos(was)]` is there beside `#[serde(alias)]`.
    #[test]
    fn an_alias_alone_breaks_on_an_update() {
        #[derive(serde::Deserialize)]
        struct Foo {
            #[serde(alias = "b")]
            a: u32,
        }
        let merged = |events: &[&str]| {
            let mut fields = Object::default();
            for event in events {
                fields.merge(event).unwrap();
            }
            serde_json::from_str::<Foo>(&fields.write()).map(|foo| foo.a)
        };
        let stored = [r#"{"b":1}"#, r#"{"a":2}"#];
        assert!(merged(&stored).unwrap_err().to_string().contains("duplicate field"));
        let renamed = Evolution { version: 1, steps: &[], was: &[("b", "a")] };
        let current = stored.map(|content| renamed.current("Foo", "FooUpdated", content).unwrap());
        assert_eq!(merged(&current.each_ref().map(|content| &**content)).unwrap(), 2);
    }

    #[test]
    fn what_a_newer_deployment_has_stored_waits_for_it() {
        let error = TWO_STEPS.current("Foo", "FooUpdated", r#"{"$v":4,"a":1}"#).unwrap_err();
        assert!(error.is_transient());
        let newer = SchemaError::Newer { aggregate: "Foo".to_owned(), event: "FooUpdated".to_owned(), stored: 4, known: 3 };
        assert_eq!(error.downcast_ref::<SchemaError>(), Some(&newer));
    }

    /// An old event is read as its type, and written again for who reads it as another one.
    #[cfg(feature = "sensitive")]
    #[test]
    fn what_is_sensitive_is_brought_up_with_its_value() {
        use super::super::{DomainEvent, EventDef};
        use crate::{Aggregate, Sensitive};
        use serde::{Deserialize, Serialize};

        #[derive(Serialize, Deserialize)]
        struct Person {
            name: Sensitive<String>,
        }
        impl Aggregate for Person {
            const NAME: &'static str = "Person";
            const FIELDS: &'static [&'static str] = &["name"];
        }
        #[derive(Serialize, Deserialize)]
        struct Renamed {
            to: Sensitive<String>,
        }
        impl DomainEvent for Renamed {
            type Aggregate = Person;
            const NAME: &'static str = "Renamed";
            const VERSION: u32 = 2;

            fn apply(self, state: &mut Person) {
                state.name = self.to;
            }

            fn upcast(_: u32, content: &str) -> Result<Self> {
                Ok(Renamed { to: serde_json::from_str::<Person>(content)?.name })
            }
        }
        let current = EventDef::of::<Renamed>(crate::sample::Look::Whole(None), "", "", 1)
            .current(1, r#"{"name":{"$sensitive":"Ada"}}"#.into())
            .unwrap();
        assert_eq!(current, r#"{"to":{"$sensitive":"Ada"}}"#);
        let mut fields = Fields::parse("{}").unwrap();
        fields.set("name", &Sensitive::new("Ada")).unwrap();
        assert_eq!(fields.write().unwrap(), r#"{"name":{"$sensitive":"Ada"}}"#);
    }
}
