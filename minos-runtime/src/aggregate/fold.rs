//! From events to state.

use super::{
    Aggregate, EventDef, Evolution, Root, SchemaError, difference::Object, hold::holder, prepared::as_seen_by, root::Loaded,
    set_field::set_fields, upcast::versioned,
};
use crate::{
    context::SagaStep,
    error::{Error, Result},
    store::StoredEvent,
};
use jiff::Timestamp;
use std::{any::TypeId, borrow::Cow, collections::HashMap, sync::LazyLock};
use uuid::Uuid;

/// The state so far: as JSON fields, as long as differences are enough, and as the type from the first domain event on.
enum State<'a, A> {
    None,
    Fields(Object<'a>),
    Typed(A),
}

/// What a fold may begin at in place of the first event: a state that was kept when nobody held it.
pub(super) struct Base {
    pub(super) version: u64,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    /// As JSON.
    pub(super) fields: String,
}

/// The aggregate that these events make, behind this base or from the beginning on, for this step of a saga, or for nobody in particular; `None` if there are none
/// or the last one deleted it.
pub(super) fn fold<A: Aggregate>(
    uuid: Uuid,
    step: Option<&SagaStep>,
    base: Option<&Base>,
    events: Vec<StoredEvent>,
) -> Result<Option<Root<A>>> {
    let mut events = match step {
        Some(step) => as_seen_by(step.execution, events)?,
        None => events,
    };
    if A::EVOLUTION.is_of_none() {
        // Nearly all contents are as they are written now, so they are looked at one by one only if something is wrong. What a newer deployment has stored is
        // told first then, wherever it stands.
        if let Ok(done) = fold_current(uuid, base, &events) {
            return Ok(done);
        }
    }
    bring_up(A::EVOLUTION, A::NAME, uuid, &mut events)?;
    fold_current(uuid, base, &events)
}

/// The same of contents that are as they are written now.
fn fold_current<A: Aggregate>(uuid: Uuid, base: Option<&Base>, events: &[StoredEvent]) -> Result<Option<Root<A>>> {
    let Some((version, created_at, mut updated_at)) = frame(base, events) else { return Ok(None) };
    let (mut state, mut held_by) = (State::<A>::None, None);
    if let Some(base) = base {
        state = State::Fields(Object::parse(&base.fields)?);
    }
    let mut names = Names { aggregate: A::NAME, id: TypeId::of::<A>(), met: Vec::new() };
    for event in events {
        let folded = names.look_up(event).and_then(|what| {
            if matches!(what, What::Holding) {
                held_by = holder(held_by.take(), &event.name, &event.data)?;
                return Ok(());
            }
            updated_at = event.at;
            apply(&mut state, what, event)
        });
        folded.map_err(|error| unreadable(A::NAME, uuid, event, error))?;
    }
    let state = match state {
        State::None => return Ok(None),
        State::Fields(fields) => read(&fields).map_err(|error| unreadable_at_last(A::NAME, uuid, events, error))?,
        State::Typed(state) => state,
    };
    Ok(Some(Root::loaded(Loaded { uuid, version, created_at, updated_at, held_by, state })))
}

/// The version, when it was created, and when it had changed last at the base or first event; none if there is neither.
fn frame(base: Option<&Base>, events: &[StoredEvent]) -> Option<(u64, Timestamp, Timestamp)> {
    match (base, events.last()) {
        (Some(base), last) => Some((last.map_or(base.version, |last| last.version), base.created_at, base.updated_at)),
        (None, Some(last)) => {
            let first = events.iter().find(|event| !event.is_internal()).unwrap_or(last);
            Some((last.version, first.at, last.at))
        }
        (None, None) => None,
    }
}

/// Brings the contents of an aggregate's own events up to the version of now.
fn bring_up(evolution: &Evolution, aggregate: &str, uuid: Uuid, events: &mut [StoredEvent]) -> Result<()> {
    for event in events {
        if let Err(error) = evolution.bring_up(aggregate, &event.name, &mut event.data) {
            return Err(unreadable(aggregate, uuid, event, error));
        }
    }
    Ok(())
}

/// The same for nobody in particular.
pub(crate) fn fold_for_nobody<A: Aggregate>(uuid: Uuid, events: Vec<StoredEvent>) -> Result<Option<Root<A>>> {
    fold(uuid, None, None, events)
}

fn apply<'a, A: Aggregate>(state: &mut State<'a, A>, what: What, event: &'a StoredEvent) -> Result<()> {
    match what {
        What::Created => *state = State::Fields(Object::parse(content(event)?)?),
        What::Updated => update(state, content(event)?)?,
        What::Deleted => *state = State::None,
        What::Happened(def) => {
            if let State::Fields(fields) = state {
                *state = State::Typed(read(fields)?);
            }
            let State::Typed(typed) = state else { return Err(out_of_place()) };
            def.apply_to(typed, &event.data)?;
        }
        What::Holding => {}
    }
    Ok(())
}

/// The content of one of the aggregate's own events, if it is as it is written now.
fn content(event: &StoredEvent) -> Result<&str> {
    match versioned(&event.data) {
        (1, Cow::Borrowed(content)) => Ok(content),
        (version, _) => Err(Error::internal(format!("its content is of version {version}, and was not brought up"))),
    }
}

fn update<'a, A: Aggregate>(state: &mut State<'a, A>, change: &'a str) -> Result<()> {
    match state {
        State::Fields(fields) => {
            if fields.merge(change).is_err() {
                // A value may have been written in another way when it was put into a set. The type knows; to merge it again changes nothing that was.
                let typed = read(fields)?;
                *state = State::Typed(merged(&typed, change)?);
            }
        }
        State::Typed(typed) => {
            // To merge again what is done changes nothing of it.
            if !set_fields(change, &mut |name, value| typed.set_field(name, value))? {
                *typed = merged(typed, change)?;
            }
        }
        State::None => return Err(out_of_place()),
    }
    Ok(())
}

/// The same state with this change, by its text.
fn merged<A: Aggregate>(state: &A, change: &str) -> Result<A> {
    #[cfg(feature = "sensitive")]
    let _storing = crate::sensitive::storing(None);
    let text = serde_json::to_string(state)?;
    let mut fields = Object::parse(&text)?;
    fields.merge(change)?;
    read(&fields)
}

fn out_of_place() -> Error {
    Error::internal("it stands before the aggregate was created")
}

fn read<A: Aggregate>(fields: &Object<'_>) -> Result<A> {
    Ok(serde_json::from_str(&fields.write())?)
}

/// What an event is to the state.
#[derive(Clone, Copy)]
enum What {
    Created,
    Updated,
    Deleted,
    Happened(&'static EventDef),
    /// Nothing: it tells who holds the aggregate.
    Holding,
}

/// The names that were met while one aggregate is folded, and what they mean: most have few, so the next one is found faster than by a hash.
struct Names<'a> {
    aggregate: &'static str,
    id: TypeId,
    met: Vec<(&'a str, What)>,
}

impl<'a> Names<'a> {
    fn look_up(&mut self, event: &'a StoredEvent) -> Result<What> {
        let name = &*event.name;
        if let Some((_, what)) = self.met.iter().find(|(known, _)| *known == name) {
            return Ok(*what);
        }
        let what = match name.strip_prefix(self.aggregate) {
            Some("Created") => What::Created,
            Some("Updated") => What::Updated,
            Some("Deleted") => What::Deleted,
            _ if event.is_internal() => What::Holding,
            _ => {
                let unknown = || SchemaError::Unknown { aggregate: self.aggregate.to_owned(), event: name.to_owned() }.into_error();
                What::Happened(domain_event(self.id, name).ok_or_else(unknown)?)
            }
        };
        self.met.push((name, what));
        Ok(what)
    }
}

fn domain_event(aggregate: TypeId, name: &str) -> Option<&'static EventDef> {
    static EVENTS: LazyLock<HashMap<(TypeId, &'static str), &'static EventDef>> =
        LazyLock::new(|| inventory::iter::<EventDef>.into_iter().map(|def| (((def.aggregate_type)(), def.name), def)).collect());
    EVENTS.get(&(aggregate, name)).copied()
}

/// What all of them make cannot be read.
fn unreadable_at_last(aggregate: &str, uuid: Uuid, events: &[StoredEvent], error: Error) -> Error {
    match events.last() {
        Some(last) => unreadable(aggregate, uuid, last, error),
        None => error,
    }
}

fn unreadable(aggregate: &str, uuid: Uuid, event: &StoredEvent, error: Error) -> Error {
    let what = format!("{aggregate} {uuid} cannot be read: the event `{}` of version {}", event.name, event.version);
    if error.downcast_ref::<SchemaError>().is_some() {
        return error.context(what);
    }
    Error::internal(what).caused_by(error.chain())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Cause, StreamId};
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Foo {
        bar: u32,
    }

    impl Aggregate for Foo {
        const NAME: &'static str = "Foo";
        const FIELDS: &'static [&'static str] = &["bar"];
    }

    fn fold(events: &[(&str, &str)]) -> Result<Option<Root<Foo>>> {
        let events = events.iter().zip(1..).map(|((name, data), version)| StoredEvent {
            position: version,
            stream: StreamId::new("Foo", Uuid::nil()),
            version,
            name: (*name).to_owned(),
            data: (*data).to_owned(),
            at: Timestamp::UNIX_EPOCH,
            cause: Cause::nobody(),
        });
        fold_for_nobody(Uuid::nil(), events.collect())
    }

    #[test]
    fn what_a_newer_deployment_has_stored_is_told_before_what_it_led_to() {
        let created = ("FooCreated", r#"{"bar":1}"#);
        let error = fold(&[created, ("Frozen", "{}"), ("FooUpdated", r#"{"$v":2,"bar":2}"#)]).err().unwrap();
        assert!(error.is_transient(), "{error:?}");
        assert!(matches!(error.downcast_ref(), Some(SchemaError::Newer { stored: 2, known: 1, .. })), "{error:?}");
        let error = fold(&[created, ("Frozen", "{}")]).err().unwrap();
        assert!(matches!(error.downcast_ref(), Some(SchemaError::Unknown { .. })), "{error:?}");
    }

    #[test]
    fn the_first_version_may_be_said() {
        let events = [("FooCreated", r#"{"$v":1,"bar":1}"#), ("FooUpdated", r#"{ "$v": 1, "bar": 2 }"#)];
        assert_eq!(fold(&events).unwrap().unwrap().bar, 2);
    }
}
