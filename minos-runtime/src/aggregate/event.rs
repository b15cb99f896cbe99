//! Events as handlers see them: those that every aggregate has, and those of the domain.

use super::{Aggregate, AggregateDef, difference, sets, upcast};
use crate::{
    error::{Error, Result},
    sample::{Look, Seen, seen},
};
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    any::{Any, TypeId, type_name},
    borrow::Cow,
    marker::PhantomData,
    ops::Deref,
};
use uuid::Uuid;

/// What is known of an event besides its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventMeta {
    /// Whose event it is.
    pub aggregate: String,
    /// Which one.
    pub uuid: Uuid,
    /// The version that it made.
    pub version: u64,
    /// When it happened.
    pub at: Timestamp,
    /// The event's name.
    pub name: String,
}

/// An event with what is known of it: `Event<MoneyDeposited>` is a `MoneyDeposited` with the uuid of its account.
#[derive(Debug, Clone)]
pub struct Event<T> {
    content: T,
    content_version: u32,
    meta: EventMeta,
}

impl<T> Event<T> {
    /// The uuid of the aggregate that it happened to.
    pub fn uuid(&self) -> Uuid {
        self.meta.uuid
    }

    /// The version of the aggregate that it made.
    pub fn version(&self) -> u64 {
        self.meta.version
    }

    /// When it happened, in UTC.
    pub fn at(&self) -> Timestamp {
        self.meta.at
    }

    /// The name of the event.
    pub fn name(&self) -> &str {
        &self.meta.name
    }

    /// The version of the content as it was stored. It is read as that of now where this process knows the event's type; an event of another service is read as
    /// it is, so its handler may want to know.
    pub fn content_version(&self) -> u32 {
        self.content_version
    }

    /// The content alone.
    pub fn into_inner(self) -> T {
        self.content
    }
}

impl<T> Deref for Event<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.content
    }
}

/// `FooCreated`: the aggregate's first state. It reads as the aggregate itself: `event.bar`.
pub type Created<A> = Event<InitialState<A>>;
/// `FooUpdated`: the fields that changed.
pub type Updated<A> = Event<Changes<A>>;
/// `FooDeleted`.
pub type Deleted<A> = Event<NoState<A>>;

/// The first state of an aggregate.
#[derive(Debug, Clone)]
pub struct InitialState<A>(A);

impl<A> Deref for InitialState<A> {
    type Target = A;
    fn deref(&self) -> &A {
        &self.0
    }
}

impl<A> InitialState<A> {
    /// The state alone.
    pub fn into_inner(self) -> A {
        self.0
    }
}

/// The fields of an aggregate that an update changed.
pub struct Changes<A> {
    data: String,
    /// The same to be shown, if something in it must not be.
    shown: Option<String>,
    of: PhantomData<fn() -> A>,
}

impl<A> std::fmt::Debug for Changes<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.shown.as_deref().unwrap_or(&self.data))
    }
}

impl<A> Clone for Changes<A> {
    fn clone(&self) -> Self {
        Changes { data: self.data.clone(), shown: self.shown.clone(), of: PhantomData }
    }
}

impl<A: Aggregate> Changes<A> {
    /// Whether this field changed.
    pub fn changed(&self, field: &str) -> bool {
        difference::touches(&self.data, field, None).unwrap_or(false)
    }

    /// The new value of a field, or `None` if it did not change.
    ///
    /// # Errors
    /// If the value is not a `T`, the aggregate has no such field, or it is a set of which only the changes are told ([`created`](Changes::created), …).
    pub fn get<T: DeserializeOwned>(&self, field: &str) -> Result<Option<T>> {
        let changes = difference::Object::parse(&self.data)?;
        match changes.get(field) {
            Some(value) => {
                Ok(Some(serde_json::from_str(value.get()).map_err(|error| Error::from(error).context(format!("{}.{field}", A::NAME)))?))
            }
            None if sets::note(&changes, field)?.is_some() => Err(Error::internal(format!(
                "the event tells what changed in the set `{field}`, and not the whole: read `event.created`, `updated` and `deleted`, or `inserted` and `removed`"
            ))),
            None if A::FIELDS.is_empty() || A::FIELDS.contains(&field) => Ok(None),
            None => Err(Error::internal(format!("{} has no field `{field}`; it has {}", A::NAME, A::FIELDS.join(", ")))),
        }
    }

    /// The changes as JSON: an object with the new values, and `null` for those that are sensitive.
    pub fn as_json(&self) -> &str {
        self.shown.as_deref().unwrap_or(&self.data)
    }

    /// The changes with what is sensitive in them.
    pub(super) fn whole(&self) -> &str {
        &self.data
    }
}

/// A content as it may be shown, if that is another one.
#[cfg(feature = "sensitive")]
pub(super) fn shown(content: &str) -> Option<String> {
    crate::sensitive::is_marked(content).then(|| crate::sensitive::masked(content))
}

/// In this build, all may be shown.
#[cfg(not(feature = "sensitive"))]
pub(super) fn shown(_: &str) -> Option<String> {
    None
}

/// A deleted aggregate leaves no state.
pub struct NoState<A>(PhantomData<fn() -> A>);

impl<A> std::fmt::Debug for NoState<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("deleted")
    }
}

impl<A> Clone for NoState<A> {
    fn clone(&self) -> Self {
        NoState(PhantomData)
    }
}

/// How the content of an event is read from JSON.
pub trait EventContent: Sized {
    /// Reads it.
    fn read(content: &str) -> Result<Self>;

    /// What it looks like, for contracts: anything, where that is not known.
    #[doc(hidden)]
    fn seen() -> Seen {
        Seen::free()
    }
}

impl<A: Aggregate> EventContent for InitialState<A> {
    fn read(content: &str) -> Result<Self> {
        Ok(InitialState(serde_json::from_str(content)?))
    }

    fn seen() -> Seen {
        super::look_of(A::NAME, type_name::<A>()).and_then(Look::see).unwrap_or_else(Seen::free)
    }
}

impl<A: Aggregate> EventContent for Changes<A> {
    fn read(content: &str) -> Result<Self> {
        Ok(Changes { data: content.to_owned(), shown: shown(content), of: PhantomData })
    }
}

impl<A: Aggregate> EventContent for NoState<A> {
    fn read(_: &str) -> Result<Self> {
        Ok(NoState(PhantomData))
    }
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> EventContent for T {
    fn read(content: &str) -> Result<Self> {
        Ok(serde_json::from_str(content)?)
    }

    fn seen() -> Seen {
        seen::<T>()
    }
}

impl<T: EventContent> Event<T> {
    /// Reads an event as it comes from the log or the broker.
    pub(crate) fn read(content: &str, meta: EventMeta) -> Result<Self> {
        let (content_version, content) = upcast::current(&meta.aggregate, &meta.name, content)?;
        T::read(&content)
            .map(|content| Event { content, content_version, meta })
            .map_err(|error| error.context("an event cannot be read as the type that its handler takes"))
    }
}

/// An event in the words of the domain, with what it does to its aggregate. Written by `#[event("Name")]` on a method.
pub trait DomainEvent: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Whose event it is.
    type Aggregate: Aggregate;

    /// Its name as stored.
    const NAME: &'static str;

    /// The version of its content.
    const VERSION: u32 = 1;

    /// What it does: the body of the method.
    fn apply(self, state: &mut Self::Aggregate);

    /// Reads a content of an older version.
    ///
    /// # Errors
    /// If it cannot be read, or an upcaster fails.
    #[doc(hidden)]
    fn upcast(_version: u32, content: &str) -> Result<Self> {
        Ok(serde_json::from_str(content)?)
    }
}

/// A domain event that this process knows; registered by `#[event]` on a method.
#[doc(hidden)]
pub struct EventDef {
    pub(super) aggregate_type: fn() -> TypeId,
    pub aggregate: &'static str,
    pub name: &'static str,
    pub version: u32,
    apply: fn(&mut dyn Any, &str) -> Result<()>,
    old: Option<Old>,
    /// What it looks like.
    pub look: Look,
    pub module: &'static str,
    pub file: &'static str,
    pub line: u32,
}

/// What is done with contents of older versions; only an event that has some is compiled for it.
struct Old {
    apply: fn(&mut dyn Any, u32, &str) -> Result<()>,
    upcast: fn(u32, &str) -> Result<String>,
}

impl EventDef {
    /// The registration of a domain event.
    pub const fn of<E: DomainEvent>(look: Look, module: &'static str, file: &'static str, line: u32) -> Self {
        EventDef {
            aggregate_type: TypeId::of::<E::Aggregate>,
            aggregate: E::Aggregate::NAME,
            name: E::NAME,
            version: E::VERSION,
            apply: apply::<E>,
            old: if E::VERSION > 1 { Some(Old { apply: apply_old::<E>, upcast: upcast_text::<E> }) } else { None },
            look,
            module,
            file,
            line,
        }
    }

    /// Applies an event as it is stored.
    pub(super) fn apply_to(&self, state: &mut dyn Any, content: &str) -> Result<()> {
        let (stored, content) = upcast::versioned(content);
        upcast::no_newer(self.aggregate, self.name, stored, self.version)?;
        match &self.old {
            Some(old) if stored < self.version => (old.apply)(state, stored, &content),
            _ => (self.apply)(state, &content),
        }
    }

    /// A content of this version as it is stored now.
    pub(super) fn current<'c>(&self, stored: u32, content: Cow<'c, str>) -> Result<Cow<'c, str>> {
        upcast::no_newer(self.aggregate, self.name, stored, self.version)?;
        match &self.old {
            Some(old) if stored < self.version => Ok(Cow::Owned((old.upcast)(stored, &content)?)),
            _ => Ok(content),
        }
    }
}

fn apply<E: DomainEvent>(state: &mut dyn Any, data: &str) -> Result<()> {
    let event: E = serde_json::from_str(data)?;
    if let Some(state) = state.downcast_mut::<E::Aggregate>() {
        event.apply(state);
    }
    Ok(())
}

fn apply_old<E: DomainEvent>(state: &mut dyn Any, version: u32, data: &str) -> Result<()> {
    let event = E::upcast(version, data)?;
    if let Some(state) = state.downcast_mut::<E::Aggregate>() {
        event.apply(state);
    }
    Ok(())
}

fn upcast_text<E: DomainEvent>(version: u32, data: &str) -> Result<String> {
    let current = E::upcast(version, data)?;
    #[cfg(feature = "sensitive")]
    let _storing = crate::sensitive::storing(None);
    Ok(serde_json::to_string(&current)?)
}

inventory::collect!(EventDef);

/// The domain event of this name, if this process has its aggregate: the newest, where it has more than one, as a test of a change may.
pub(super) fn registered(aggregate: &str, name: &str) -> Option<&'static EventDef> {
    inventory::iter::<EventDef>.into_iter().filter(|def| def.name == name && def.aggregate == aggregate).max_by_key(|def| def.version)
}

/// Whether this process has the aggregate.
pub(super) fn has_aggregate(name: &str) -> bool {
    inventory::iter::<AggregateDef>.into_iter().any(|def| def.name == name)
}
