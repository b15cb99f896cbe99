//! Event-sourced aggregates: plain structs whose every change is stored as an event.

mod difference;
mod event;
mod fields;
mod fold;
mod history;
mod hold;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod lock;
mod prepared;
mod queryable;
mod reference;
mod resolve;
mod root;
mod seen;
mod set_field;
mod sets;
mod snapshot;
mod subject;
mod unique;
mod upcast;
pub mod validate;

pub use event::{Changes, Created, Deleted, DomainEvent, Event, EventContent, EventDef, EventMeta, InitialState, NoState, Updated};
pub use fields::Fields;
pub(crate) use fold::fold_for_nobody;
pub use history::PastEvent;
pub use hold::{Hold, HoldError};
pub(crate) use hold::{held_by, release, release_by_hand, taken};
pub use prepared::Prepared;
pub(crate) use prepared::{apply, not_isolated, prepare};
pub use queryable::QueryableDef;
pub(crate) use queryable::prepare as prepare_queries;
pub(crate) use reference::is_elsewhere;
pub use reference::{AggregateRef, AggregateRefDef, Ref};
pub use resolve::{Resolved, Unresolved};
pub(crate) use resolve::{States, states};
pub use root::Root;
pub use seen::Seen;
pub use set_field::{NewValue, WasSet};
pub(crate) use sets::sets_of;
pub use sets::{EntityChanges, EntitySet, SetsDef, ValueSet};
pub use snapshot::{Snapshots, load};
pub use subject::Subject;
pub use unique::UniqueDef;
pub(crate) use unique::prepare as prepare_unique;
pub use upcast::{Evolution, EvolutionDef, SchemaError, Upcasts, old_content, upcast, upcast_fields};
pub(crate) use validate::tell_rules;
#[doc(hidden)]
pub use validate::{Limit, RulesDef};
pub use validate::{Validate, ValidationError, Violation, Violations};

use crate::{
    context::Context,
    document::{Condition, Find},
    error::{Error, Result},
    message::SetChange,
    sample::Look,
    store::{NewEvent, StoredEvent, StreamId},
};
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use std::{future::Future, time::Duration};
use tokio::time::Instant;
use uuid::Uuid;

/// The first pause of who waits for an aggregate that is held; then it is as long as an eighth of the time that it has waited, so that it is late by as much.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_millis(500);

/// An event-sourced aggregate. Put `#[aggregate]` on a struct with named fields to make it one:
///
/// ```ignore
/// #[aggregate]
/// pub struct Foo {
///     pub bar: String,
/// }
/// ```
///
/// Its functions take the [`Context`] of a handler. Nothing is written before the handler returns `Ok`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an aggregate",
    label = "not an aggregate",
    note = "put `#[aggregate]` on the definition of `{Self}`"
)]
pub trait Aggregate: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its name, which is the name of its streams and its topic.
    const NAME: &'static str;

    /// The names of its fields as they are stored, as far as the macro can tell.
    const FIELDS: &'static [&'static str];

    /// Whether it is found by its fields: `#[aggregate(queryable)]`.
    #[doc(hidden)]
    const QUERYABLE: bool = false;

    /// The names of those that are an [`EntitySet`] or a [`ValueSet`]: of these, changes are stored one by one.
    const SETS: &'static [&'static str] = &[];

    /// The names of those whose values only one aggregate of this type has, alone or together: `#[unique]` on a field, `#[aggregate(unique(tenant, email))]`.
    const UNIQUE: &'static [&'static [&'static str]] = &[];

    /// Puts all that is wrong with this state among what was found: [`Validate`], if there are rules on the fields. `create` and [`save`](Root::save) ask.
    #[doc(hidden)]
    fn look_at(&self, _found: &mut Violations) {}

    /// Whose data its sensitive fields are: `#[subject]` on a field. The aggregate's own, unless that is said.
    #[doc(hidden)]
    fn data_subject(&self) -> Option<Uuid> {
        None
    }

    /// How what older versions of the program have stored is read.
    #[doc(hidden)]
    const EVOLUTION: &'static Evolution = Evolution::NONE;

    /// Sets the field that is stored under this name; false if it cannot be set alone, as where serde reads it in a way of its own. Then an update is applied to the
    /// text of the whole.
    #[doc(hidden)]
    fn set_field(&mut self, _name: &str, _value: &mut NewValue<'_>) -> WasSet {
        Ok(false)
    }

    /// Creates one, under a new uuid: a `FooCreated` event.
    ///
    /// # Errors
    /// If the state cannot be written as JSON and read again, such as a number that is not finite, or a rule of it does not hold ([`ValidationError`]).
    fn create(cx: &mut Context, state: Self) -> impl Future<Output = Result<Root<Self>>> + Send {
        let uuid = cx.new_uuid();
        Self::create_as(cx, uuid, state)
    }

    /// Creates one under a uuid that the caller chose.
    ///
    /// # Errors
    /// As [`create`](Aggregate::create), and a conflict if there is one of this uuid.
    fn create_as(cx: &mut Context, uuid: Uuid, state: Self) -> impl Future<Output = Result<Root<Self>>> + Send {
        async move {
            let stream = StreamId::new(Self::NAME, uuid);
            // There was something when this handler ran before. It may be what an isolated saga has only prepared, or has dropped.
            let before = if cx.has_conflicted() { nothing_in(cx, &stream).await? } else { 0 };
            Root::create(cx, uuid, before, state)
        }
    }

    /// The aggregate of this uuid as it is now, with what this handler has done to it so far.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is none, or it was deleted.
    fn get(cx: &Context, uuid: Uuid) -> impl Future<Output = Result<Root<Self>>> + Send {
        async move { Self::find_one(cx, uuid).await?.ok_or_else(|| not_found(Self::NAME, uuid)) }
    }

    /// As [`get`](Aggregate::get), but waits while a saga [holds](Root::hold) it that this handler does not work for: so long as `sagas.patience` says, and not
    /// longer than the handler may take. What waits keeps nobody else from running.
    ///
    /// # Errors
    /// As [`get`](Aggregate::get), and [`HoldError::Held`] if it was still held then.
    fn get_when_free(cx: &Context, uuid: Uuid) -> impl Future<Output = Result<Root<Self>>> + Send {
        async move {
            let (began, patience) = (Instant::now(), cx.patience());
            loop {
                let stream = StreamId::new(Self::NAME, uuid);
                let root = Self::load(cx, uuid, false).await?.ok_or_else(|| not_found(Self::NAME, uuid))?;
                let Some(refusal) = root.refusal(cx) else { return Ok(root) };
                let version = root.version();
                drop(root);
                if !cx.aside(changed(cx, &stream, version, began, patience)).await? {
                    return Err(refusal.into_error());
                }
            }
        }
    }

    /// The aggregate as it was when it had this version; `None` if it was not there then.
    ///
    /// # Errors
    /// If the store does not answer, or what is stored cannot be read as this type.
    fn at_version(cx: &Context, uuid: Uuid, version: u64) -> impl Future<Output = Result<Option<Seen<Self>>>> + Send {
        past(cx, uuid, move |event| event.version <= version)
    }

    /// The aggregate as it was at this time; `None` if it was not there then.
    ///
    /// # Errors
    /// If the store does not answer, or what is stored cannot be read as this type.
    fn at_time(cx: &Context, uuid: Uuid, at: Timestamp) -> impl Future<Output = Result<Option<Seen<Self>>>> + Send {
        past(cx, uuid, move |event| event.at <= at)
    }

    /// All that happened to the aggregate of this uuid, the first event first: also to one that was deleted. Nothing if there never was one.
    ///
    /// # Errors
    /// If the store does not answer, or what is stored is no JSON.
    fn history(cx: &Context, uuid: Uuid) -> impl Future<Output = Result<Vec<PastEvent>>> + Send {
        async move {
            let events = cx.events_sealed(StreamId::new(Self::NAME, uuid)).await?;
            PastEvent::all(cx, events.into_iter().filter(|event| !event.is_internal()).collect()).await
        }
    }

    /// The aggregates for which this holds: `Foo::find(cx, Foo::bar().eq("x"))`. That takes `#[aggregate(queryable)]`.
    fn find(cx: &Context, condition: Condition<Self>) -> Find<'_, Seen<Self>> {
        const { assert!(Self::QUERYABLE, "`find` takes `#[aggregate(queryable)]`") };
        queryable::find(cx, condition)
    }

    /// All aggregates of this type, which takes `#[aggregate(queryable)]`.
    fn all(cx: &Context) -> Find<'_, Seen<Self>> {
        Self::find(cx, Condition::always())
    }

    /// As [`get`](Aggregate::get), but `None` if there is none or it was deleted.
    ///
    /// # Errors
    /// If the store does not answer, or what is stored cannot be read as this type.
    fn find_one(cx: &Context, uuid: Uuid) -> impl Future<Output = Result<Option<Root<Self>>>> + Send {
        Self::load(cx, uuid, true)
    }

    /// As [`find_one`](Aggregate::find_one), from what is remembered of its stream only if that is said. `#[aggregate(snapshot(…))]` begins at a snapshot.
    #[doc(hidden)]
    fn load(cx: &Context, uuid: Uuid, recalls: bool) -> impl Future<Output = Result<Option<Root<Self>>>> + Send {
        async move { fold::fold(uuid, cx.step(), None, cx.events(StreamId::new(Self::NAME, uuid), recalls).await?) }
    }
}

/// The aggregate that the events up to some place make.
async fn past<A: Aggregate>(cx: &Context, uuid: Uuid, is_past: impl Fn(&StoredEvent) -> bool + Send) -> Result<Option<Seen<A>>> {
    let mut events = cx.events_now(StreamId::new(A::NAME, uuid)).await?;
    // Later ones that a clock has put before earlier ones are later all the same.
    events.truncate(events.iter().take_while(|event| is_past(event)).count());
    Ok(fold::fold(uuid, cx.step(), None, events)?.map(Seen::new))
}

/// The version of a stream in which there was never anything but what an isolated saga has prepared; 0 if there was, or is for this handler.
///
/// # Errors
/// If another saga has prepared something there that is not decided yet.
async fn nothing_in(cx: &Context, stream: &StreamId) -> Result<u64> {
    let events = cx.events_now(stream.clone()).await?;
    if !events.iter().all(StoredEvent::is_internal) {
        return Ok(0);
    }
    match hold::holder_of(stream, events.iter().map(hold::told))? {
        None => Ok(events.last().map_or(0, |event| event.version)),
        Some(by) if cx.step().is_some_and(|step| step.execution == by.execution) => Ok(0),
        Some(by) => Err(HoldError::Held { aggregate: stream.aggregate.to_string(), uuid: stream.uuid, by: Box::new(by) }.into_error()),
    }
}

/// Waits until a stream has moved on from this version. Whether it has, within this time from when the wait began.
async fn changed(cx: &Context, stream: &StreamId, version: u64, began: Instant, patience: Duration) -> Result<bool> {
    loop {
        let waited = began.elapsed();
        let Some(left) = patience.checked_sub(waited).filter(|left| !left.is_zero()) else { return Ok(false) };
        // The store is asked, and not told: whoever releases it may be another process.
        tokio::time::sleep((waited / 8).clamp(FIRST_PAUSE, LAST_PAUSE).min(left)).await;
        if cx.has_moved(stream, version).await? {
            return Ok(true);
        }
    }
}

fn not_found(name: &str, uuid: Uuid) -> Error {
    Error::not_found(format!("there is no {name} {uuid}"))
}

/// A field of an aggregate: anything that serde can write and read again.
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` cannot be stored in an aggregate",
    label = "needs `Serialize + Deserialize + Send + Sync + 'static`",
    note = "add `#[derive(Serialize, Deserialize)]` to `{Self}`, or `#[serde(skip)]` to the field",
    note = "a type of another crate may have a `serde` feature to switch on"
)]
pub trait Field: Serialize + DeserializeOwned {}
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Field for T {}

/// What `#[derive(Aggregate)]` asks of the struct that it stands on.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be stored as it is",
    label = "needs `Serialize + Deserialize + Send + Sync + 'static`",
    note = "add `#[derive(Serialize, Deserialize)]` to `{Self}`, or use `#[aggregate]`, which does it"
)]
pub trait Stored: Serialize + DeserializeOwned {}
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Stored for T {}

/// Marks what may record events: [`Root`]s do, bare aggregates do not.
#[diagnostic::on_unimplemented(
    message = "an event method is called on `Root<{Self}>`, not on `{Self}`",
    label = "this change would not be recorded",
    note = "`create` and `get` return `Root<{Self}>`",
    note = "if it is called on one already, import the trait that the method is in: `use {Self}Events`, from where `{Self}` is"
)]
pub trait Recorded {}

/// An aggregate that this process knows; registered by `#[aggregate]`.
#[doc(hidden)]
pub struct AggregateDef {
    pub name: &'static str,
    pub fields: &'static [&'static str],
    /// What it looks like.
    pub look: Look,
    pub module: &'static str,
    pub file: &'static str,
    pub line: u32,
}

inventory::collect!(AggregateDef);

/// What the aggregate of this name and type looks like, as its registration says. Services of one process may have aggregates of one name, which are told apart
/// by their modules.
pub(crate) fn look_of(name: &str, ty: &str) -> Option<Look> {
    let is_in = |module: &str| ty.strip_prefix(module).is_some_and(|rest| rest.starts_with("::"));
    let defs = inventory::iter::<AggregateDef>.into_iter().filter(|def| def.name == name && is_in(def.module));
    defs.max_by_key(|def| def.module.len()).map(|def| def.look)
}

/// Whether an update of this aggregate, as stored, changed this field; with a kind of change, whether something of the kind happened to the set that it is.
/// If that cannot be told yet, it is for whoever handles it to say so.
pub(crate) fn touches(aggregate: &str, change: &[u8], field: &str, kind: Option<SetChange>) -> bool {
    let Ok(change) = std::str::from_utf8(change) else { return false };
    match upcast::current(aggregate, &own_event(aggregate, "Updated"), change) {
        Ok((_, change)) => difference::touches(&change, field, kind).unwrap_or(false),
        Err(_) => true,
    }
}

/// Whether it is about something that a newer deployment has stored, so that it goes on when this one has followed.
pub(crate) fn is_newer(error: &Error) -> bool {
    matches!(error.downcast_ref(), Some(SchemaError::Newer { .. }))
}

/// The name of the event that every aggregate has when it is created, changed or deleted.
fn own_event(aggregate: &str, suffix: &str) -> String {
    format!("{aggregate}{suffix}")
}

fn new_event(name: String, data: String) -> NewEvent {
    NewEvent { name: name.into(), data }
}
