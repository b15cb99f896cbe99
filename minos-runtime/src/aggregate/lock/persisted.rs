//! What a crate stores: its aggregates and their events, each with its shape and samples of it.

use super::super::{
    Aggregate, DomainEvent, Evolution,
    difference::{Object, fields},
    own_event,
    upcast::{no_newer, stamped, versioned},
};
use crate::{
    error::Result,
    sample::{NoSample, Shape, trace},
};
use serde::{Serialize, de::DeserializeOwned};
use std::mem::take;

/// There is one for each variant of each enum, so they are bounded; the shape tells all variants.
const SAMPLES: usize = 32;

/// What is stored of a type; registered by `#[aggregate]` and `#[event]` when the tests of their crate are compiled.
#[doc(hidden)]
pub struct Persisted {
    pub aggregate: &'static str,
    /// The event; none if it is the aggregate's own fields.
    pub event: Option<&'static str>,
    pub version: u32,
    /// Names that fields had, and those that they have.
    pub(super) was: &'static [(&'static str, &'static str)],
    pub(super) trace: fn() -> Traced,
    pub(super) read: fn(&str) -> Result<()>,
    pub module: &'static str,
    pub file: &'static str,
    pub line: u32,
}

inventory::collect!(Persisted);

impl Persisted {
    /// The registration of an aggregate's own fields.
    pub const fn aggregate<A: Aggregate>(module: &'static str, file: &'static str, line: u32) -> Self {
        Persisted {
            aggregate: A::NAME,
            event: None,
            version: A::EVOLUTION.version,
            was: A::EVOLUTION.was,
            trace: || traced::<A>(A::EVOLUTION.version),
            read: |content| read_fields(A::NAME, A::EVOLUTION, A::SETS, content, |state| Ok(serde_json::from_str::<A>(state).map(drop)?)),
            module,
            file,
            line,
        }
    }

    /// The registration of a domain event.
    pub const fn event<E: DomainEvent>(module: &'static str, file: &'static str, line: u32) -> Self {
        Persisted {
            aggregate: E::Aggregate::NAME,
            event: Some(E::NAME),
            version: E::VERSION,
            was: &[],
            trace: || traced::<E>(E::VERSION),
            read: |content| {
                let (stored, content) = versioned(content);
                no_newer(E::Aggregate::NAME, E::NAME, stored, E::VERSION)?;
                if stored < E::VERSION { E::upcast(stored, &content).map(drop) } else { Ok(serde_json::from_str::<E>(&content).map(drop)?) }
            },
            module,
            file,
            line,
        }
    }

    /// As the file names it.
    pub(super) fn name(&self) -> String {
        self.event.map_or_else(|| self.aggregate.to_owned(), |event| format!("{}.{event}", self.aggregate))
    }
}

/// What a type looks like.
pub(super) struct Traced {
    pub(super) shape: Shape,
    /// As they are stored.
    pub(super) samples: Vec<String>,
    /// Why there is none.
    pub(super) none: Option<String>,
}

impl Traced {
    /// Adds samples that were made by hand.
    pub(super) fn give(&mut self, samples: &[String]) {
        let new: Vec<_> = samples.iter().filter(|sample| !self.samples.contains(sample)).cloned().collect();
        self.samples.extend(new);
        if !self.samples.is_empty() {
            self.none = None;
        }
    }
}

fn traced<T: Serialize + DeserializeOwned>(version: u32) -> Traced {
    let mut samples = Samples { version, all: Vec::new(), none: None };
    let shape = trace::<T>(|made| samples.add(made.map(|value| stored(&value))));
    let none = samples.none.filter(|_| samples.all.is_empty());
    Traced { shape, samples: samples.all, none }
}

/// As it is stored, but for what is sealed: that is read as it is written here.
pub(super) fn stored(value: &impl Serialize) -> serde_json::Result<String> {
    #[cfg(feature = "sensitive")]
    let _storing = crate::sensitive::storing(None);
    serde_json::to_string(value)
}

struct Samples {
    version: u32,
    all: Vec<String>,
    none: Option<String>,
}

impl Samples {
    fn add(&mut self, made: Result<serde_json::Result<String>, NoSample>) {
        let json = match made {
            Ok(Ok(json)) => stamped(self.version, json),
            Ok(Err(error)) => return self.none = Some(error.to_string()),
            Err(none) => return self.none = Some(none.to_string()),
        };
        if self.all.len() < SAMPLES && !self.all.contains(&json) {
            self.all.push(json);
        }
    }
}

/// Reads a first state, and each of its fields as an update that changes nothing else.
fn read_fields(aggregate: &str, evolution: &Evolution, sets: &[&str], content: &str, read: fn(&str) -> Result<()>) -> Result<()> {
    let (stored, all) = versioned(content);
    let mut created = content.to_owned();
    bring_up(evolution, aggregate, "Created", &mut created)?;
    read(&created)?;
    for (name, value) in fields(&all)? {
        let now = evolution.was.iter().find(|(was, _)| *was == name).map_or(&*name, |(_, is)| is);
        // What changed in a set is stored in its own way.
        if sets.contains(&now) {
            continue;
        }
        let change = Object::of(vec![(name.clone(), value)]).write();
        let mut updated = stamped(stored, change);
        let as_update = |error: crate::Error| error.context(format!("as an update of `{name}` alone"));
        bring_up(evolution, aggregate, "Updated", &mut updated).map_err(as_update)?;
        let mut state = Object::parse(&created)?;
        state.merge(&updated)?;
        read(&state.write()).map_err(as_update)?;
    }
    Ok(())
}

fn bring_up(evolution: &Evolution, aggregate: &str, suffix: &str, content: &mut String) -> Result<()> {
    evolution.bring_up(aggregate, &own_event(aggregate, suffix), content)?;
    // What is of this version keeps it.
    let body = take(content);
    *content = versioned(&body).1.into_owned();
    Ok(())
}
