//! Whole services in a test: their router, their handlers, their broker and their sagas, in memory, by a clock that the test moves.

mod answer;
mod broker;
mod ground;
mod http;
mod message;
mod settle;
mod stand_in;
mod store;

pub use answer::TestAnswer;

use super::service::{Standing, TestService};
use crate::{
    auth::User,
    broker::LocalBroker,
    clock::Clock,
    config::{Config, LogConfig},
    context::{Context, Reads, store_error},
    error::{Error, Result},
    message::Message,
    service::{Running, Service},
    store::Cause,
    sync::lock,
    telemetry,
};
use ::http::HeaderMap;
use broker::TestBroker;
use ground::TestGround;
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use stand_in::StandIn;
use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};
use uuid::Uuid;

/// The pause between two attempts to handle a message: nobody waits in a test for what is to be mended elsewhere.
const PAUSE: Duration = Duration::from_millis(1);

impl TestService {
    /// Begins a test of whole services: with [`WholeService::start`], all handlers of this program run in memory, as they do in production. [`TestService::new`]
    /// is less: something to call a single handler on.
    pub fn whole() -> WholeService {
        WholeService { services: Vec::new(), stand_ins: Vec::new(), now: None, on_sqlite: false }
    }
}

/// Services that a test is about to start.
///
/// All of it is in memory and of this test alone: the stores, the broker, the clock. No port is opened. A service whose read models are tables is on SQLite, in a
/// directory that goes with the test.
#[must_use = "nothing runs before `start`"]
pub struct WholeService {
    services: Vec<Service>,
    stand_ins: Vec<(&'static str, StandIn)>,
    now: Option<Timestamp>,
    on_sqlite: bool,
}

impl fmt::Debug for WholeService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WholeService").field("services", &self.services.len()).finish_non_exhaustive()
    }
}

impl WholeService {
    /// This service, as the program builds it, with its modules, values and layers; and others with it, as in [`Service::run_all`]. Of its configuration, all counts
    /// but where it listens, where it stores, and which broker it has.
    pub fn service(mut self, service: Service) -> Self {
        self.services.push(service);
        self
    }

    /// This answers messages `M`, in place of a service that is not here. It is asked as that one would be: by commands, queries and steps of sagas, each handled
    /// once.
    pub fn answer<M>(mut self, answer: impl Fn(M) -> Result<M::Reply> + Send + Sync + 'static) -> Self
    where
        M: Message + DeserializeOwned + 'static,
        M::Reply: Serialize,
    {
        self.stand_ins.push((M::NAME, StandIn::new(answer)));
        self
    }

    /// The time at the start, if it is not to be 2000-01-01T00:00:00Z.
    pub fn at(mut self, now: Timestamp) -> Self {
        self.now = Some(now);
        self
    }

    /// All stores are SQLite files, in a directory that goes with the test: for handlers that use SQL of their own.
    pub fn on_sqlite(mut self) -> Self {
        self.on_sqlite = true;
        self
    }

    /// Starts them. Without a [service](WholeService::service), it is one, `test`, that has all handlers of this program.
    ///
    /// # Errors
    /// What would keep them from starting in production: two handlers for one route, an event that nobody makes.
    pub async fn start(self) -> Result<TestRunning> {
        let WholeService { mut services, stand_ins, now, on_sqlite } = self;
        if let Ok(level) = std::env::var("MINOS_LOG_LEVEL") {
            telemetry::init(&LogConfig { level, ..LogConfig::default() });
        }
        if services.is_empty() {
            services.push(Service::new(named("test")));
        }
        let clock = Arc::new(Standing::new());
        if let Some(now) = now {
            clock.set(now);
        }
        let broker = Arc::new(TestBroker::new(LocalBroker::new()));
        let ground = TestGround::new(clock, broker, on_sqlite);
        let services = services.into_iter().map(quick).collect();
        let running = Service::start_on(services, &ground).await?;
        let world = World { running, stand_ins: Mutex::default(), ground };
        let test = TestRunning { world: Arc::new(world), only: None, headers: HeaderMap::new(), user: User::anonymous() };
        for (name, stand_in) in stand_ins {
            test.stand_in(name, stand_in).await?;
        }
        Ok(test)
    }
}

/// A configuration that says no more than a name.
fn named(name: &str) -> Config {
    let mut config = Config::default();
    name.clone_into(&mut config.service.name);
    config
}

/// The same service, which does not wait before it tries again.
fn quick(mut service: Service) -> Service {
    let config = &mut service.config().broker;
    (config.first_pause, config.longest_pause) = (config.first_pause.min(PAUSE), config.longest_pause.min(PAUSE));
    service
}

/// Services that run in a test. Cheap to clone; all clones are the same services.
///
/// With several services, a request goes to the one that has its route, and a message to the one that handles it; [`of`](TestRunning::of) says which is meant.
#[derive(Clone)]
pub struct TestRunning {
    world: Arc<World>,
    /// Which one is meant, by its place.
    only: Option<usize>,
    /// What goes with each request.
    headers: HeaderMap,
    /// Who asks.
    user: User,
}

/// All that runs.
struct World {
    // Before the ground that they stand on.
    running: Vec<Running>,
    stand_ins: Mutex<Vec<(&'static str, StandIn, Arc<Running>)>>,
    ground: TestGround,
}

impl fmt::Debug for TestRunning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestRunning").field("services", &self.names()).finish_non_exhaustive()
    }
}

impl TestRunning {
    fn names(&self) -> Vec<&str> {
        self.world.running.iter().map(Running::name).collect()
    }

    /// The same, where this one of several services is meant.
    ///
    /// # Panics
    /// If there is no service of this name.
    #[must_use]
    #[track_caller]
    pub fn of(&self, name: &str) -> Self {
        match self.world.running.iter().position(|running| running.name() == name) {
            Some(place) => TestRunning { only: Some(place), ..self.clone() },
            None => panic!("there is no service `{name}` in this test; there are {}", quoted(&self.names())),
        }
    }

    /// The same, asked by this user: by HTTP, with messages, and in what is [done](TestRunning::run) on the service's context. The test vouches for them, so no token
    /// is needed, and no `[auth]`: `shop.as_user(User::new("ada").with_role("clerk")).post(…)`.
    ///
    /// A service whose handlers demand roles or scopes is closed in a test, too, as one with `[auth]` is.
    #[must_use]
    pub fn as_user(&self, user: User) -> Self {
        TestRunning { user, ..self.clone() }
    }

    /// The service that is meant: its store, its read models, its sagas and dead letters, as a program sees them.
    ///
    /// # Panics
    /// If there are several, and none is named with [`of`](TestRunning::of).
    #[track_caller]
    pub fn running(&self) -> &Running {
        let running = &self.world.running;
        match (&running[..], self.only.and_then(|only| running.get(only))) {
            (_, Some(one)) | ([one], None) => one,
            _ => panic!("there are several services in this test: say with `.of(\"…\")` which is meant of {}", quoted(&self.names())),
        }
    }

    /// Does something on a [`Context`] of the service, and commits it if it ends well: to prepare aggregates, or to look at what is there.
    ///
    /// # Errors
    /// What it says, or that it cannot be committed.
    pub async fn run<T>(&self, work: impl AsyncFnOnce(&mut Context) -> Result<T>) -> Result<T> {
        let environment = self.running().environment();
        let id = environment.new_uuid();
        let cause = Cause { correlation: id, causation: id, user: self.user.identity().cloned(), trace: None };
        let mut cx = Context::new(environment.clone(), cause, Reads::ToWrite);
        let value = work(&mut cx).await?;
        let (unit, _guards) = cx.finish();
        let began: Vec<Uuid> = unit.sagas.iter().map(|write| write.row.id).collect();
        if !unit.is_empty() {
            environment.commit(unit).await.map_err(store_error)?;
        }
        if !began.is_empty() {
            environment.coordinator()?.began(began);
        }
        Ok(value)
    }

    /// The time that all of them have.
    pub fn now(&self) -> Timestamp {
        self.world.ground.clock.now()
    }

    /// Stops them, as at the end of a process: what runs is finished. A test need not: what it drops ends with it.
    pub async fn stop(self) {
        let Ok(World { running, .. }) = Arc::try_unwrap(self.world) else { return };
        Service::stop_all(running).await;
    }

    fn stand_ins(&self) -> Vec<Arc<Running>> {
        lock(&self.world.stand_ins).iter().map(|(_, _, running)| running.clone()).collect()
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What cannot be sent or asked because nobody is there for it.
fn nobody(name: &str) -> Error {
    Error::not_found(format!(
        "no service of this test handles `{name}`: start the one that does, or give it a stand-in with `.answer::<…>(…)`"
    ))
}
