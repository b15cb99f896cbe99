//! From events to state.

use super::{Aggregate, EventDef, Root, SchemaError, difference::Object, hold::holder, prepared::as_seen_by, root::Loaded};
use crate::{
    context::SagaStep,
    error::{Error, Result},
    store::StoredEvent,
};
use jiff::Timestamp;
use std::{any::TypeId, collections::HashMap, sync::LazyLock};
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
    for event in &mut events {
        if let Err(error) = A::EVOLUTION.bring_up(A::NAME, &event.name, &mut event.data) {
            return Err(unreadable(A::NAME, uuid, event, error));
        }
    }
    let (version, created_at, mut updated_at) = match (base, events.last()) {
        (Some(base), last) => (last.map_or(base.version, |last| last.version), base.created_at, base.updated_at),
        (None, Some(last)) => (last.version, events.iter().find(|event| !event.is_internal()).map_or(last.at, |event| event.at), last.at),
        (None, None) => return Ok(None),
    };
    let (mut state, mut held_by) = (State::<A>::None, None);
    if let Some(base) = base {
        state = State::Fields(Object::parse(&base.fields)?);
    }
    for event in &events {
        let folded = if event.is_internal() {
            holder(held_by.take(), &event.name, &event.data).map(|holder| held_by = holder)
        } else {
            updated_at = event.at;
            apply(std::mem::replace(&mut state, State::None), event).map(|folded| state = folded)
        };
        folded.map_err(|error| unreadable(A::NAME, uuid, event, error))?;
    }
    let state = match state {
        State::None => return Ok(None),
        State::Fields(fields) => read(&fields).map_err(|error| match events.last() {
            Some(last) => unreadable(A::NAME, uuid, last, error),
            None => error,
        })?,
        State::Typed(state) => state,
    };
    Ok(Some(Root::loaded(Loaded { uuid, version, created_at, updated_at, held_by, state })))
}

/// The same for nobody in particular.
pub(crate) fn fold_for_nobody<A: Aggregate>(uuid: Uuid, events: Vec<StoredEvent>) -> Result<Option<Root<A>>> {
    fold(uuid, None, None, events)
}

fn apply<'a, A: Aggregate>(state: State<'a, A>, event: &'a StoredEvent) -> Result<State<'a, A>> {
    match event.name.strip_prefix(A::NAME) {
        Some("Created") => return Ok(State::Fields(Object::parse(&event.data)?)),
        Some("Updated") => return update(state, &event.data),
        Some("Deleted") => return Ok(State::None),
        _ => {}
    }
    let mut typed = match state {
        State::Typed(state) => state,
        State::Fields(fields) => read(&fields)?,
        State::None => return Err(out_of_place()),
    };
    let def = domain_event(TypeId::of::<A>(), &event.name)
        .ok_or_else(|| SchemaError::Unknown { aggregate: A::NAME.to_owned(), event: event.name.clone() }.into_error())?;
    def.apply_to(&mut typed, &event.data)?;
    Ok(State::Typed(typed))
}

fn update<'a, A: Aggregate>(state: State<'a, A>, change: &'a str) -> Result<State<'a, A>> {
    match state {
        State::Fields(mut fields) => {
            match fields.merge(Object::parse(change)?) {
                Ok(()) => Ok(State::Fields(fields)),
                // A value may have been written in another way when it was put into a set. The type knows; to merge it again changes nothing that was.
                Err(_) => update(State::Typed(read::<A>(&fields)?), change),
            }
        }
        State::Typed(state) => {
            let text = serde_json::to_string(&state)?;
            let mut fields = Object::parse(&text)?;
            fields.merge(Object::parse(change)?)?;
            Ok(State::Typed(read(&fields)?))
        }
        State::None => Err(out_of_place()),
    }
}

fn out_of_place() -> Error {
    Error::internal("it stands before the aggregate was created")
}

fn read<A: Aggregate>(fields: &Object<'_>) -> Result<A> {
    Ok(serde_json::from_str(&fields.write())?)
}

fn domain_event(aggregate: TypeId, name: &str) -> Option<&'static EventDef> {
    static EVENTS: LazyLock<HashMap<(TypeId, &'static str), &'static EventDef>> =
        LazyLock::new(|| inventory::iter::<EventDef>.into_iter().map(|def| (((def.aggregate_type)(), def.name), def)).collect());
    EVENTS.get(&(aggregate, name)).copied()
}

fn unreadable(aggregate: &str, uuid: Uuid, event: &StoredEvent, error: Error) -> Error {
    let what = format!("{aggregate} {uuid} cannot be read: the event `{}` of version {}", event.name, event.version);
    if error.downcast_ref::<SchemaError>().is_some() {
        return error.context(what);
    }
    Error::internal(what).caused_by(error.chain())
}
