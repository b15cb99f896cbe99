//! What the macro registers, and how it is read: which functions take which events.

use super::{Work, tables::Tables};
use crate::{
    aggregate::{Event, EventContent, EventMeta, touches},
    error::Result,
    message::{EventName, SetChange},
    store::StoredEvent,
};
use futures_util::future::BoxFuture;
use std::collections::{BTreeSet, HashMap};
use uuid::Uuid;

/// What keeps a read model up to date. Written by `#[projection]` on an `impl`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a projection",
    label = "not a projection",
    note = "put `#[projection]` on the `impl` of `{Self}` whose functions take the events"
)]
pub trait Projection: 'static {
    /// Its name, which is that of its progress and of its documents.
    const NAME: &'static str;
}

/// A projection that this process knows; registered by `#[projection]`.
#[doc(hidden)]
pub struct ProjectionDef {
    pub name: &'static str,
    /// Whether it is part of the commit of its events.
    pub inline: bool,
    /// Raised when its functions do something else than before.
    pub version: u32,
    /// How its tables are made.
    pub tables: Option<&'static str>,
    pub handlers: &'static [ProjectionHandler],
    pub module: &'static str,
    pub file: &'static str,
    pub line: u32,
}

inventory::collect!(ProjectionDef);

/// A function of it.
#[doc(hidden)]
pub struct ProjectionHandler {
    pub function: &'static str,
    pub events: &'static [&'static str],
    pub handle: for<'a> fn(&'a Work, &'a ProjectedEvent<'a>) -> BoxFuture<'a, Result<()>>,
}

/// An event, as a projection takes it.
#[doc(hidden)]
pub struct ProjectedEvent<'e>(pub(super) &'e StoredEvent);

/// What a function of a projection takes beside its view.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "not an event",
    note = "a function of a projection takes `FooCreated`, `FooUpdated`, `FooDeleted`, or `Event<SomethingHappened>`"
)]
pub trait TakenEvent: Sized {
    /// Reads it.
    #[doc(hidden)]
    fn take(event: &ProjectedEvent<'_>) -> Result<Self>;
}

impl<T: EventContent> TakenEvent for Event<T> {
    fn take(event: &ProjectedEvent<'_>) -> Result<Self> {
        let StoredEvent { stream, version, name, data, at, .. } = event.0;
        let meta =
            EventMeta { aggregate: stream.aggregate.to_string(), uuid: stream.uuid, version: *version, at: *at, name: name.to_string() };
        Event::read(data, meta)
    }
}

/// A projection whose registration makes sense.
pub(crate) struct Plan {
    pub(super) def: &'static ProjectionDef,
    pub(super) tables: Option<Tables>,
    /// By aggregate and name of the event.
    handlers: HashMap<(&'static str, &'static str), Vec<Taker>>,
    /// All aggregates of which it takes events.
    pub(super) aggregates: Vec<String>,
}

struct Taker {
    /// One field of an update.
    field: Option<&'static str>,
    /// One change of the set that this field is.
    change: Option<SetChange>,
    handler: &'static ProjectionHandler,
}

impl Plan {
    /// Whether it has tables of its own, so that it needs a store with SQL.
    pub(crate) fn has_tables(&self) -> bool {
        self.tables.is_some()
    }

    /// Reads a registration. What is wrong with it is added to `wrong`, each as a sentence for the developer.
    pub(crate) fn of(def: &'static ProjectionDef, wrong: &mut Vec<String>) -> Option<Self> {
        let tables = match def.tables.map(Tables::of).transpose() {
            Ok(tables) => tables,
            Err(why) => {
                wrong.push(format!("the projection `{}` at {}: {why}", def.name, def.place()));
                return None;
            }
        };
        let (mut handlers, mut aggregates) = (HashMap::<_, Vec<_>>::new(), BTreeSet::new());
        for handler in def.handlers {
            for name in handler.events {
                let Some(EventName { aggregate, event, field, change }) = EventName::parse(name) else {
                    wrong.push(format!(
                        "`{name}` does not say whose event it is: `{}` of `{}` at {}",
                        handler.function,
                        def.name,
                        def.place()
                    ));
                    continue;
                };
                aggregates.insert(aggregate.to_owned());
                handlers.entry((aggregate, event)).or_default().push(Taker { field, change, handler });
            }
        }
        Some(Plan { def, tables, handlers, aggregates: aggregates.into_iter().collect() })
    }

    /// The functions that take this event, each once.
    pub(super) fn takers<'p>(&'p self, event: &'p StoredEvent) -> impl Iterator<Item = &'static ProjectionHandler> + 'p {
        let takers: &[Taker] = self.handlers.get(&(&*event.stream.aggregate, &*event.name)).map(Vec::as_slice).unwrap_or_default();
        let takes = |Taker { field, change, .. }: &Taker| {
            field.is_none_or(|field| touches(&event.stream.aggregate, event.data.as_bytes(), field, *change))
        };
        // Most often it is one.
        let is_first = move |n: usize| !takers[..n].iter().any(|before| std::ptr::eq(before.handler, takers[n].handler) && takes(before));
        takers.iter().enumerate().filter(move |(n, taker)| takes(taker) && is_first(*n)).map(|(_, taker)| taker.handler)
    }

    /// What its view depends on: a view that was made under another definition is made anew.
    pub(super) fn definition(&self) -> String {
        let tables = self.tables.as_ref().map(Tables::text).unwrap_or_default();
        let text = format!("{} {tables}", self.def.version);
        Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()).to_string()
    }

    /// The events that it takes, and where: what cannot be delivered is a mistake.
    pub(crate) fn subscriptions(&self) -> impl Iterator<Item = (EventName<'static>, &'static str)> {
        self.def
            .handlers
            .iter()
            .flat_map(|handler| handler.events.iter().filter_map(|name| Some((EventName::parse(name)?, handler.function))))
    }
}

impl ProjectionDef {
    /// Where it stands, for messages: `src/main.rs:12`.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }
}
