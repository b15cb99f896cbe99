//! An aggregate with its identity: what handlers hold in their hands.

use super::{
    Aggregate, DomainEvent, Violations,
    difference::Object,
    hold::{self, HoldError},
    new_event, not_found, own_event, queryable,
    unique::{self, Values},
    upcast::stamped,
};
use crate::{
    context::{Context, SagaStep},
    error::{Error, Result},
    store::{NewEvent, StreamId},
};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use std::{
    fmt,
    ops::{Deref, DerefMut},
};
use uuid::Uuid;

/// An aggregate with its uuid and version. It reads and changes like the aggregate itself; [`save`](Root::save) stores what
/// changed.
///
/// As an answer it is the aggregate's fields with `uuid`, `version`, `created_at` and `updated_at`.
pub struct Root<A> {
    state: A,
    uuid: Uuid,
    /// The version that `pending` comes after.
    version: u64,
    created_at: Timestamp,
    updated_at: Timestamp,
    held_by: Option<SagaStep>,
    /// The state as JSON before it was first changed in place, to tell what changed.
    before: Option<Result<String>>,
    /// The unique values that it had before it was first changed.
    values: Option<Result<Values>>,
    /// What was recorded and not yet saved.
    pending: Vec<NewEvent>,
    /// Why this value cannot be saved any more.
    broken: Option<Error>,
}

/// What is known of an aggregate that was loaded.
pub(super) struct Loaded<A> {
    pub(super) uuid: Uuid,
    pub(super) version: u64,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    pub(super) held_by: Option<SagaStep>,
    pub(super) state: A,
}

impl<A> Root<A> {
    /// The uuid.
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// The version: how many events made it, not counting what is not saved.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// When it was created, in UTC.
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// When it last changed, in UTC, not counting what is not saved.
    pub fn updated_at(&self) -> Timestamp {
        self.updated_at
    }

    /// The step of a saga that [holds](Root::hold) it, if one does.
    pub fn held_by(&self) -> Option<&SagaStep> {
        self.held_by.as_ref()
    }

    /// The state alone.
    pub fn into_inner(self) -> A {
        self.state
    }
}

impl<A: Aggregate> Root<A> {
    pub(super) fn loaded(loaded: Loaded<A>) -> Self {
        let Loaded { uuid, version, created_at, updated_at, held_by, state } = loaded;
        Root { state, uuid, version, created_at, updated_at, held_by, before: None, values: None, pending: Vec::new(), broken: None }
    }

    /// Creates it in a stream that has this version, though there is nothing in it yet.
    pub(super) fn create(cx: &mut Context, uuid: Uuid, before: u64, state: A) -> Result<Self> {
        let data = write(&state)?;
        valid(&state)?;
        let values = unique::values(A::UNIQUE, &data)?;
        let created = new_event(own_event(A::NAME, "Created"), stamped(A::EVOLUTION.version, data));
        cx.append(StreamId::new(A::NAME, uuid), before, vec![created])?;
        let root = Root::loaded(Loaded { uuid, version: before + 1, created_at: cx.now(), updated_at: cx.now(), held_by: None, state });
        unique::change(cx.unit(), A::NAME, uuid, Values::new(), values);
        queryable::show(cx, &root)?;
        Ok(root)
    }

    /// Stores what changed since it was loaded or last saved: recorded domain events, and the difference of the fields as an
    /// update event. Nothing is written before the handler returns `Ok`, and nothing at all if nothing changed.
    ///
    /// If another handler has saved it in the meantime, this unit of work is dropped as a whole and the handler runs again on
    /// fresh state: nobody's change is reverted.
    ///
    /// # Errors
    /// If the state cannot be written as JSON and read again, a rule of it does not hold ([`ValidationError`](crate::ValidationError)), this handler has saved it through another value, or the execution of a saga
    /// [holds](Root::hold) it that this handler does not work for ([`HoldError::Held`]).
    pub async fn save(&mut self, cx: &mut Context) -> Result<()> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        let change = self.difference()?;
        if change.is_some() || !self.pending.is_empty() {
            valid(&self.state)?;
        }
        self.before = None;
        self.pending.extend(change);
        let events = std::mem::take(&mut self.pending);
        let values = self.values.take();
        if events.is_empty() {
            return Ok(());
        }
        self.append(cx, events)?;
        if let Some(before) = values {
            unique::change(cx.unit(), A::NAME, self.uuid, before?, self.unique_values()?);
        }
        self.updated_at = cx.now();
        queryable::show(cx, self)
    }

    /// Holds it for the saga that this handler does a step for: until its execution has ended, however it ends, only its own steps change it. Whoever else
    /// saves or deletes it meanwhile is refused, or waits, as [`get_when_free`](Aggregate::get_when_free) does. Reading is not affected.
    ///
    /// It counts from when this step is committed. To hold it twice is to hold it once.
    ///
    /// # Errors
    /// If another execution holds it ([`HoldError::Held`]), or this handler does not run for a saga ([`HoldError::NoStep`]).
    pub fn hold(&mut self, cx: &mut Context) -> Result<()> {
        let Some(step) = cx.step().cloned() else {
            return Err(HoldError::NoStep { aggregate: A::NAME.to_owned(), uuid: self.uuid }.into_error());
        };
        if self.held_by.as_ref().is_some_and(|by| by.execution == step.execution) {
            return Ok(());
        }
        self.append(cx, vec![hold::held(&step)?])?;
        self.held_by = Some(step);
        Ok(())
    }

    /// Appends events, unless it is not for this handler to do that.
    fn append(&mut self, cx: &mut Context, events: Vec<NewEvent>) -> Result<()> {
        if let Some(error) = self.refusal(cx) {
            return Err(error.into_error());
        }
        let (before, count) = (self.version, events.len() as u64);
        cx.append(StreamId::new(A::NAME, self.uuid), before, events)?;
        self.version = before + count;
        Ok(())
    }

    /// Why this handler cannot change it, if somebody else holds it.
    pub(super) fn refusal(&self, cx: &Context) -> Option<HoldError> {
        let by = self.held_by.as_ref().filter(|by| cx.step().is_none_or(|step| step.execution != by.execution))?;
        Some(HoldError::Held { aggregate: A::NAME.to_owned(), uuid: self.uuid, by: Box::new(by.clone()) })
    }

    /// Loads it again, with what others have saved. What was changed here and not saved is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if it was deleted in the meantime.
    pub async fn refresh(&mut self, cx: &Context) -> Result<()> {
        *self = A::load(cx, self.uuid, true).await?.ok_or_else(|| not_found(A::NAME, self.uuid))?;
        Ok(())
    }

    /// Deletes it: a `FooDeleted` event. Its history stays; [`get`](Aggregate::get) finds it no more.
    ///
    /// # Errors
    /// As [`save`](Root::save): what was changed before is saved, too.
    pub async fn delete(mut self, cx: &mut Context) -> Result<()> {
        self.save(cx).await?;
        self.append(cx, vec![new_event(own_event(A::NAME, "Deleted"), "{}".to_owned())])?;
        let values = self.unique_values()?;
        unique::change(cx.unit(), A::NAME, self.uuid, values, Values::new());
        queryable::hide::<A>(cx, self.uuid);
        Ok(())
    }

    /// Records a domain event and applies it. Generated methods call this.
    #[doc(hidden)]
    pub fn record<E: DomainEvent<Aggregate = A>>(&mut self, event: E) {
        self.remember_values();
        #[cfg(feature = "sensitive")]
        let subject = self.state.data_subject();
        let recorded = self.record_difference().and_then(|()| {
            #[cfg(feature = "sensitive")]
            let _storing = crate::sensitive::storing(subject);
            Ok(serde_json::to_string(&event)?)
        });
        match recorded {
            Ok(data) => {
                event.apply(&mut self.state);
                #[cfg(feature = "sensitive")]
                let data = crate::sensitive::reassigned(data, subject, self.state.data_subject());
                self.pending.push(NewEvent { name: E::NAME.into(), data: stamped(E::VERSION, data) });
                #[cfg(feature = "sensitive")]
                if let Err(error) = self.record_reassignment(subject) {
                    self.broken = Some(error.context(E::NAME));
                }
            }
            // A method cannot fail; `save` tells, and stores nothing.
            Err(error) => self.broken = Some(error.context(E::NAME)),
        }
    }

    /// The unique values that it has now.
    fn unique_values(&self) -> Result<Values> {
        if A::UNIQUE.is_empty() { Ok(Values::new()) } else { unique::values(A::UNIQUE, &serde_json::to_string(&self.state)?) }
    }

    /// Keeps the unique values that are stored, before the first change.
    fn remember_values(&mut self) {
        if !A::UNIQUE.is_empty() && self.values.is_none() {
            self.values = Some(self.unique_values());
        }
    }

    /// What was changed in place becomes an update event, so that the order of changes is kept.
    fn record_difference(&mut self) -> Result<()> {
        let change = self.difference()?;
        self.before = None;
        self.pending.extend(change);
        Ok(())
    }

    /// What was data of another subject before a domain event is data of this one now, and is stored as such.
    #[cfg(feature = "sensitive")]
    fn record_reassignment(&mut self, before: Option<Uuid>) -> Result<()> {
        let now = self.state.data_subject();
        if before == now {
            return Ok(());
        }
        let written = |subject| {
            let _storing = crate::sensitive::storing(subject);
            serde_json::to_string(&self.state)
        };
        self.pending.extend(Self::updated(&written(before)?, &written(now)?)?);
        Ok(())
    }

    fn difference(&self) -> Result<Option<NewEvent>> {
        let before = match &self.before {
            Some(Ok(before)) => before,
            Some(Err(error)) => return Err(error.copied()),
            None => return Ok(None),
        };
        Self::updated(before, &write(&self.state)?)
    }

    /// The update event from one state to another.
    fn updated(before: &str, after: &str) -> Result<Option<NewEvent>> {
        let change = Object::difference(before, after, A::SETS)?;
        Ok(change.map(|change| new_event(own_event(A::NAME, "Updated"), stamped(A::EVOLUTION.version, change))))
    }
}

/// That what is to be stored is as it should be. What was stored before a rule came is read all the same.
fn valid<A: Aggregate>(state: &A) -> Result<()> {
    let mut found = Violations::default();
    state.look_at(&mut found);
    found.into_result()
}

/// The state as JSON, proven to be readable again: what cannot be read is refused before it is stored, not when it is needed.
fn write<A: Aggregate>(state: &A) -> Result<String> {
    #[cfg(feature = "sensitive")]
    let _storing = crate::sensitive::storing(state.data_subject());
    let json = serde_json::to_string(state).map_err(|error| not_storable(A::NAME, &error))?;
    serde_json::from_str::<A>(&json).map_err(|error| not_storable(A::NAME, &error))?;
    Ok(json)
}

fn not_storable(name: &str, error: &serde_json::Error) -> Error {
    Error::rejected(format!("this state of {name} cannot be stored and read again: {error}"))
}

impl<A> Deref for Root<A> {
    type Target = A;
    fn deref(&self) -> &A {
        &self.state
    }
}

impl<A: Aggregate> DerefMut for Root<A> {
    fn deref_mut(&mut self) -> &mut A {
        self.remember_values();
        if self.before.is_none() {
            #[cfg(feature = "sensitive")]
            let _storing = crate::sensitive::storing(self.state.data_subject());
            self.before = Some(serde_json::to_string(&self.state).map_err(Error::from));
        }
        &mut self.state
    }
}

impl<A: fmt::Debug> fmt::Debug for Root<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Root").field("uuid", &self.uuid).field("version", &self.version).field("state", &self.state).finish_non_exhaustive()
    }
}

impl<A: Serialize> Serialize for Root<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Answer<'a, A> {
            uuid: Uuid,
            version: u64,
            created_at: Timestamp,
            updated_at: Timestamp,
            #[serde(flatten)]
            state: &'a A,
        }
        let Root { uuid, version, created_at, updated_at, state, .. } = self;
        Answer { uuid: *uuid, version: *version, created_at: *created_at, updated_at: *updated_at, state }.serialize(serializer)
    }
}
