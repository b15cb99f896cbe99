//! What all handlers of a service share.

#[cfg(feature = "sensitive")]
use super::keys::{Keys, has_marks};
use super::{HotStreams, RecentStreams, appended, recent::Writing};
use crate::{
    auth::Identity,
    clock::Clock,
    config::SagasConfig,
    error::{Error, ErrorKind, Result},
    message::Envelope,
    metrics::Metrics,
    store::{Cause, Committed, DocumentWrite, NewSnapshot, SharedStore, StoreError, StoreResult, StoredEvent, Unit},
    telemetry::Spans,
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use std::{
    any::{Any, TypeId},
    collections::HashMap,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::Semaphore;
use tracing::debug;
use uuid::Uuid;

/// Carries a question to another service and brings back the answer. The broker implements it.
pub trait Courier: Send + Sync + 'static {
    /// Sends the request, and waits for the content of its answer.
    fn ask(&self, request: Envelope) -> BoxFuture<'_, Result<Bytes>>;

    /// The largest message that can be sent, with its headers, in bytes. None if there is no limit.
    fn max_message(&self) -> Option<usize>;
}

/// Executes the sagas of a service. The room of sagas implements it.
pub trait Coordinator: Send + Sync + 'static {
    /// Adds a new execution to a unit of work.
    ///
    /// # Errors
    /// If the service has no such saga, or its first message cannot be made.
    fn begin(&self, unit: &mut Unit, new: NewExecution) -> Result<()>;

    /// The unit that began these was committed.
    fn began(&self, executions: Vec<Uuid>);

    /// Commits a new execution, or finds the one that has its id or key, and waits for its end: the values of the saga.
    ///
    /// # Errors
    /// Why it was rolled back, or that it has not ended in time: then it goes on.
    fn run(&self, cause: Cause, new: NewExecution, patience: Duration) -> BoxFuture<'_, Result<serde_json::Value>>;
}

/// The read models of a service. The room of projections implements it.
pub(crate) trait Views: Send + Sync + 'static {
    /// Whether one that is part of each commit takes an event of this unit.
    fn concerns(&self, unit: &Unit) -> bool;

    /// Adds to a unit what they make of its events.
    fn project<'a>(&'a self, unit: &'a mut Unit) -> BoxFuture<'a, Result<()>>;

    /// Waits until this one shows all up to a position of the log; false if it does not in time.
    fn reached<'a>(&'a self, name: &'a str, position: u64, patience: Duration) -> BoxFuture<'a, Result<bool>>;
}

/// Makes what queries find of an aggregate from the events of its stream; nothing if it is not there.
pub(crate) type MakesDocument = fn(Uuid, Vec<StoredEvent>) -> Result<Option<String>>;

/// How often a unit is committed whose read models others have changed since they were read.
const ATTEMPTS: u32 = 32;

/// An execution of a saga that is to begin.
#[derive(Debug, Clone)]
pub struct NewExecution {
    /// Its id.
    pub id: Uuid,
    /// The saga's name.
    pub saga: &'static str,
    /// The user's own name for it.
    pub key: Option<String>,
    /// The fields of its input.
    pub values: serde_json::Value,
}

/// How many snapshots are written at once; what comes in between is not kept, but later.
const SNAPSHOTS: usize = 16;

/// What the headers of a message take at most, as long as nobody's name is a book.
const HEADERS: usize = 2048;

/// Values that a service was given for its handlers, one of each type.
#[derive(Default)]
pub struct Resources(HashMap<TypeId, Box<dyn Any + Send + Sync>>);

impl Resources {
    /// Adds a value, in place of the one of the same type.
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        self.0.insert(TypeId::of::<T>(), Box::new(value));
    }

    /// The value of this type.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.0.get(&TypeId::of::<T>()).and_then(|value| value.downcast_ref())
    }
}

/// What all handlers of one service share.
pub struct Environment {
    /// The service's name.
    pub service: String,
    /// Its store.
    pub store: SharedStore,
    /// Its clock.
    pub clock: Arc<dyn Clock>,
    /// What it was given for its handlers.
    pub resources: Resources,
    /// What it measures of itself.
    pub metrics: Metrics,
    /// How long a handler waits for an aggregate that somebody else holds.
    pub patience: Duration,
    /// How long a step that keeps something waits to hear how its saga ends, before it asks.
    pub ask_after: Duration,
    /// The service itself, if its handlers are closed: who acts where nobody has asked.
    pub(crate) acts_as: Option<Identity>,
    /// Who tells what it does.
    pub(crate) spans: Spans,
    pub(crate) hot: HotStreams,
    pub(crate) recent: RecentStreams,
    #[cfg(feature = "sensitive")]
    pub(super) keys: Keys,
    courier: OnceLock<Arc<dyn Courier>>,
    /// Not owned: it works in this environment itself.
    coordinator: OnceLock<Weak<dyn Coordinator>>,
    views: OnceLock<Weak<dyn Views>>,
    /// The aggregates that are found by queries.
    queryables: OnceLock<Vec<(&'static str, MakesDocument)>>,
    /// How many uuids were made, where they are numbered.
    uuids: Option<AtomicU64>,
    /// Permissions to write a snapshot.
    snapshots: Arc<Semaphore>,
}

impl Environment {
    /// An environment that cannot ask other services yet.
    pub fn new(service: impl Into<String>, store: SharedStore, clock: Arc<dyn Clock>, resources: Resources, metrics: Metrics) -> Self {
        Environment {
            service: service.into(),
            store,
            clock,
            resources,
            metrics,
            patience: SagasConfig::default().patience,
            ask_after: SagasConfig::default().ask_after,
            acts_as: None,
            spans: Spans::default(),
            hot: HotStreams::default(),
            recent: RecentStreams::new(0),
            #[cfg(feature = "sensitive")]
            keys: Keys::default(),
            courier: OnceLock::new(),
            coordinator: OnceLock::new(),
            views: OnceLock::new(),
            queryables: OnceLock::new(),
            uuids: None,
            snapshots: Arc::new(Semaphore::new(SNAPSHOTS)),
        }
    }

    /// Remembers streams that were written or read last, about so many bytes of them.
    #[must_use]
    pub fn remembering(mut self, bytes: usize) -> Self {
        self.recent = RecentStreams::new(bytes);
        self
    }

    /// The same with uuids that are numbered from behind this number on, for tests that are to be the same each time.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn counting_uuids(mut self, behind: u64) -> Self {
        self.uuids = Some(AtomicU64::new(behind));
        self
    }

    /// A new uuid, which comes behind those made before.
    pub(crate) fn new_uuid(&self) -> Uuid {
        match &self.uuids {
            None => Uuid::now_v7(),
            Some(made) => {
                let number = made.fetch_add(1, Ordering::Relaxed) + 1;
                Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0000 | u128::from(number))
            }
        }
    }

    /// Writes a snapshot when there is time: nobody waits for it, and it may be lost.
    pub(crate) fn keep_snapshot(self: &Arc<Self>, snapshot: NewSnapshot) {
        let Ok(permit) = self.snapshots.clone().try_acquire_owned() else { return };
        let environment = self.clone();
        tokio::spawn(async move {
            let stream = snapshot.stream.clone();
            let unit = Unit { snapshots: vec![snapshot], ..Unit::new(environment.clock.now(), Cause::nobody()) };
            if let Err(error) = environment.write(unit).await {
                debug!(%stream, %error, "a snapshot was not written: the next load tries it again");
            }
            drop(permit);
        });
    }

    /// Commits the unit of a handler.
    ///
    /// # Errors
    /// Why nothing of it was committed.
    pub(crate) fn commit(&self, mut unit: Unit) -> BoxFuture<'_, StoreResult<Committed>> {
        // What most do not need has a box of its own: each commit would carry the room for it.
        let views = self.views.get().and_then(Weak::upgrade).filter(|views| views.concerns(&unit));
        if views.is_none() && self.queryables.get().is_none_or(Vec::is_empty) {
            return self.write(unit);
        }
        Box::pin(async move {
            self.show_what_changed(&mut unit).await?;
            match views {
                Some(views) => self.commit_with(&*views, &unit).await,
                None => self.write(unit).await,
            }
        })
    }

    /// Adds what queries find of aggregates that the unit changes, unless who changed them has done so: what an isolated saga has prepared is applied
    /// without anybody who knows the type.
    async fn show_what_changed(&self, unit: &mut Unit) -> StoreResult<()> {
        let Some(queryables) = self.queryables.get() else { return Ok(()) };
        let mut shown = Vec::new();
        for append in unit.appends.iter().filter(|append| append.events.iter().any(|event| !event.name.starts_with('$'))) {
            let Some((name, document)) = queryables.iter().find(|(name, _)| *name == append.stream.aggregate) else { continue };
            let key = append.stream.uuid.to_string();
            if unit.documents.iter().any(|write| write.collection == *name && write.key == key) {
                continue;
            }
            let mut events = self.store.stream(append.stream.clone(), 0).await?;
            events.truncate(usize::try_from(append.expected).unwrap_or(usize::MAX));
            events.extend(appended(append, unit.at, &unit.cause));
            #[cfg(feature = "sensitive")]
            self.open_events(&mut events).await?;
            let body = document(append.stream.uuid, events).map_err(|error| StoreError::Unstorable(error.chain()))?;
            shown.push(DocumentWrite { collection: (*name).into(), key, body, expected: None });
        }
        unit.documents.extend(shown);
        Ok(())
    }

    /// Commits a unit with what read models make of it: again, if they were changed since they were read.
    async fn commit_with(&self, views: &dyn Views, unit: &Unit) -> StoreResult<Committed> {
        let mut attempt = 1;
        loop {
            let mut whole = unit.clone();
            views.project(&mut whole).await.map_err(|error| match error.downcast_ref::<StoreError>() {
                Some(error) => error.clone(),
                None => StoreError::Unstorable(error.chain()),
            })?;
            match self.write(whole).await {
                Err(StoreError::DocumentConflict { .. }) if attempt < ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    /// The first of these read models that does not show in time what was committed at a position of the log.
    pub(crate) async fn not_shown(&self, names: &[&'static str], committed: Committed, patience: Duration) -> Option<&'static str> {
        let views = self.views.get().and_then(Weak::upgrade);
        for name in names {
            let shown = match &views {
                Some(views) => views.reached(name, committed.position, patience).await,
                None => Err(Error::internal(format!("the service has no projection `{name}`"))),
            };
            match shown {
                Ok(true) => {}
                Ok(false) => return Some(name),
                Err(error) => {
                    tracing::warn!(projection = name, error = error.chain(), "what was done may not be shown yet");
                    return Some(name);
                }
            }
        }
        None
    }

    /// Commits a unit with nothing beside it.
    ///
    /// # Errors
    /// As [`commit`](Environment::commit).
    pub(crate) fn write(&self, unit: Unit) -> BoxFuture<'_, StoreResult<Committed>> {
        #[cfg(feature = "sensitive")]
        if !unit.forgotten.is_empty() || has_marks(&unit) {
            return Box::pin(self.write_sealed(unit));
        }
        Box::pin(self.write_as_is(unit))
    }

    /// Gives the unit to the store at once, so that what waits for it does not carry it along.
    pub(super) fn write_as_is(&self, unit: Unit) -> impl Future<Output = StoreResult<Committed>> + Send + '_ {
        let writing = self.recent.writing(&unit);
        let commit = self.store.commit(unit);
        async move { self.written(writing, commit.await) }
    }

    fn written(&self, writing: Writing<'_>, result: StoreResult<Committed>) -> StoreResult<Committed> {
        match &result {
            Ok(_) => {
                self.metrics.commits.inc();
                writing.written();
            }
            Err(StoreError::Conflict { stream, .. }) => {
                writing.refused();
                self.recent.differs(stream);
            }
            // It may have been committed all the same.
            Err(error) if error.is_outage() => drop(writing),
            Err(_) => writing.refused(),
        }
        result
    }

    /// When a step asks how its saga ends that was done now.
    pub(crate) fn ask_at(&self, now: Timestamp) -> Timestamp {
        now.checked_add(self.ask_after).unwrap_or(Timestamp::MAX)
    }

    /// Sets who executes the service's sagas. Only the first call counts.
    pub fn set_coordinator(&self, coordinator: Weak<dyn Coordinator>) {
        // A second one would be a second set of sagas of one service, which nothing builds.
        let _ = self.coordinator.set(coordinator);
    }

    /// Who executes the service's sagas.
    pub(crate) fn coordinator(&self) -> Result<Arc<dyn Coordinator>> {
        let found = self.coordinator.get().and_then(Weak::upgrade);
        found.ok_or_else(|| Error::internal(format!("the service `{}` has no sagas", self.service)))
    }

    /// Sets the aggregates that are found by queries. Only the first call counts.
    pub(crate) fn set_queryables(&self, all: Vec<(&'static str, MakesDocument)>) {
        let _ = self.queryables.set(all);
    }

    /// Sets the read models that are part of each commit. Only the first call counts.
    pub(crate) fn set_views(&self, views: Weak<dyn Views>) {
        let _ = self.views.set(views);
    }

    /// Sets who carries questions to other services. Only the first call counts.
    pub fn set_courier(&self, courier: Arc<dyn Courier>) {
        // A second courier would be a second broker of one service, which nothing builds.
        let _ = self.courier.set(courier);
    }

    /// Refuses what could be stored and never be sent.
    pub(crate) fn fits(&self, name: &str, content: usize) -> Result<()> {
        match self.courier.get().and_then(|courier| courier.max_message()) {
            Some(limit) if content.saturating_add(HEADERS) > limit => {
                let message =
                    format!("`{name}` would be {content} bytes long, and the broker takes messages of {limit} bytes with their headers");
                Err(Error::new(ErrorKind::TooLarge, message))
            }
            _ => Ok(()),
        }
    }

    pub(crate) async fn ask(&self, request: Envelope) -> Result<Bytes> {
        match self.courier.get() {
            Some(courier) => courier.ask(request).await,
            None => Err(Error::unavailable("this service has no broker to ask others")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock, store::MemoryStore};

    struct Narrow;

    impl Courier for Narrow {
        fn ask(&self, _: Envelope) -> BoxFuture<'_, Result<Bytes>> {
            Box::pin(async { Ok(Bytes::new()) })
        }

        fn max_message(&self) -> Option<usize> {
            Some(10_000)
        }
    }

    #[test]
    fn what_could_never_be_sent_is_refused() {
        let environment = Environment::new("foo", Arc::new(MemoryStore::new()), clock::system(), Resources::default(), Metrics::new("foo"));
        assert!(environment.fits("FooCreated", usize::MAX).is_ok(), "without a broker there is no limit");
        environment.set_courier(Arc::new(Narrow));
        assert!(environment.fits("FooCreated", 7_000).is_ok());
        let error = environment.fits("FooCreated", 9_000).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert_eq!(
            error.to_string(),
            "`FooCreated` would be 9000 bytes long, and the broker takes messages of 10000 bytes with their headers"
        );
    }
}
