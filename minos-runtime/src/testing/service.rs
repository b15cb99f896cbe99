//! A service without a process: its store is in memory, and its clock stands.

use crate::{
    auth::User,
    clock::Clock,
    context::{Context, Environment, Reads, Resources, store_error},
    error::{Error, Result},
    message::{Envelope, Message},
    metrics::Metrics,
    store::{Cause, MemoryStore, Store, Unit},
    sync::lock,
};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use uuid::Uuid;

/// A service for tests of what works on a [`Context`]: aggregates in a store in memory, values of [`Service::with`](crate::Service::with), a clock that only
/// the test moves, and uuids that are the same each time. Cheap to clone; the clones share all of it.
///
/// It has no broker and no HTTP: messages that are sent are kept to be looked at, and questions to others are refused. [`TestService::whole`] has both.
#[derive(Clone)]
pub struct TestService {
    environment: Arc<Environment>,
    clock: Arc<Standing>,
    user: User,
}

impl std::fmt::Debug for TestService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestService").finish_non_exhaustive()
    }
}

/// A clock that is set by hand.
pub(super) struct Standing(Mutex<Timestamp>);

impl Standing {
    /// At 2000-01-01T00:00:00Z.
    pub(super) fn new() -> Self {
        Standing(Mutex::new(Timestamp::UNIX_EPOCH + Duration::from_secs(946_684_800)))
    }

    pub(super) fn set(&self, now: Timestamp) {
        *lock(&self.0) = now;
    }
}

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        *lock(&self.0)
    }
}

impl Default for TestService {
    fn default() -> Self {
        Self::new()
    }
}

impl TestService {
    /// An empty store, at 2000-01-01T00:00:00Z.
    pub fn new() -> Self {
        let clock = Arc::new(Standing::new());
        let (store, metrics) = (Arc::new(MemoryStore::new()), Metrics::new("test"));
        let environment = Environment::new("test", store, clock.clone(), Resources::default(), metrics).counting_uuids(0);
        TestService { environment: Arc::new(environment), clock, user: User::anonymous() }
    }

    /// A value for [`Context::resource`].
    ///
    /// # Panics
    /// If the service was cloned before.
    #[must_use]
    #[track_caller]
    pub fn with<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        match Arc::get_mut(&mut self.environment) {
            Some(environment) => environment.resources.insert(value),
            None => panic!("a `TestService` is given its resources before it is cloned"),
        }
        self
    }

    /// The same service, asked by this user.
    #[must_use]
    pub fn as_user(&self, user: User) -> Self {
        TestService { user, ..self.clone() }
    }

    /// Does something, and commits it if it ends well: to prepare aggregates, to call a handler, or to look at what is there.
    ///
    /// # Errors
    /// What it says, or that it cannot be committed.
    pub fn run<T: Send>(&self, work: impl AsyncFnOnce(&mut Context) -> Result<T> + Send) -> Result<T> {
        block_on(async || {
            let mut cx = self.context(self.new_uuid());
            let value = work(&mut cx).await?;
            self.commit(collected(cx)?).await?;
            Ok(value)
        })
    }

    /// The messages of this type that were sent, in the order in which they were.
    ///
    /// # Panics
    /// If one cannot be read.
    #[track_caller]
    pub fn sent<M: Message + DeserializeOwned>(&self) -> Vec<M> {
        let rows = block_on(async || self.environment.store.outbox(0, usize::MAX).await.map_err(store_error));
        let rows = rows.unwrap_or_else(|error| panic!("{}", error.chain()));
        let messages = rows.into_iter().filter_map(|row| Envelope::of_row(row).ok()).filter(|message| message.name == M::NAME);
        messages.map(|message| read(M::NAME, &message.content)).collect()
    }

    /// The next uuid: they are numbered from 1, so that a test is the same each time.
    pub fn new_uuid(&self) -> Uuid {
        self.environment.new_uuid()
    }

    /// The time that its clock shows.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Moves its clock on.
    pub fn wait(&self, time: Duration) {
        let now = &mut *lock(&self.clock.0);
        *now = now.checked_add(time).unwrap_or(Timestamp::MAX);
    }

    pub(super) fn set(&self, now: Timestamp) {
        self.clock.set(now);
    }

    /// A context for work with this id.
    pub(super) fn context(&self, id: Uuid) -> Context {
        let cause = Cause { correlation: id, causation: id, user: self.user.identity().cloned(), trace: None };
        Context::new(self.environment.clone(), cause, Reads::ToWrite)
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.environment.service
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.environment.store
    }

    pub(super) async fn commit(&self, unit: Unit) -> Result<()> {
        if unit.is_empty() {
            return Ok(());
        }
        self.environment.commit(unit).await.map(|_| ()).map_err(store_error)
    }
}

/// What was collected there.
pub(super) fn collected(cx: Context) -> Result<Unit> {
    let (unit, _guards) = cx.finish();
    if unit.sagas.is_empty() { Ok(unit) } else { Err(Error::internal("a `TestService` executes no sagas: test each by itself")) }
}

/// What a message says.
#[track_caller]
pub(super) fn read<T: DeserializeOwned>(name: &str, content: &[u8]) -> T {
    serde_json::from_slice(content).unwrap_or_else(|error| {
        panic!("`{name}` cannot be read as `{}`: {error}: {}", std::any::type_name::<T>(), String::from_utf8_lossy(content))
    })
}

/// Waits for it, in a test that is asynchronous itself or is not: on a thread of its own.
pub(super) fn block_on<T: Send>(work: impl AsyncFnOnce() -> Result<T> + Send) -> Result<T> {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| Error::from(error).context("the runtime cannot start"))?.block_on(work())
    };
    match std::thread::scope(|scope| scope.spawn(run).join()) {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
