//! The order of the start: check everything, open what is needed, listen to others, then speak.

use super::{
    Ownership, Service, admin,
    banner::Banner,
    check,
    console::Overview,
    ground::Ground,
    guarded::{self, Lock},
    registered::Registered,
    running::{ByHand, Running, Tasks},
};
use crate::{
    aggregate::{self, QueryableDef, UniqueDef},
    auth::User,
    broker::{self, Broker, DeadLetters, Dispatcher, Outcomes, Questions, Relay, RetryPolicy, Topics},
    clock::Clock,
    config::Config,
    context::Environment,
    contract::{self, Documents, Format},
    document::{self, IndexDef},
    error::{Error, Result},
    handler::{HandlerDef, Runner},
    health::Health,
    http::{App, Routes, Server, Way},
    metrics::Metrics,
    projection::{self, Projections},
    saga::{self, Manager, Policy},
    schedule::Periodic,
    stop::Stop,
    store::{SharedStore, StoreError},
    telemetry,
};
use std::{sync::Arc, time::Duration};

/// The name of the store in [`Health`].
const STORE: &str = "store";
/// How often the store is asked whether it still works, and how long it may take to answer.
const PING: Duration = Duration::from_secs(2);
/// How long an answer of the store counts: some questions.
const PING_COUNTS: Duration = Duration::from_secs(10);
/// How often answers that nobody will ask for again are removed.
const FORGET: Duration = Duration::from_secs(600);

/// What the handlers of one service ask for, read and checked.
struct Plan {
    defs: Vec<&'static HandlerDef>,
    routes: Routes,
    topics: Topics,
    /// Events of other services that do not come while this one runs alone.
    awaited: Vec<String>,
    periodic: Periodic,
    sagas: Vec<saga::Plan>,
    projections: Vec<projection::Plan>,
    queryables: Vec<&'static QueryableDef>,
    uniques: Vec<&'static UniqueDef>,
    indexes: Vec<&'static IndexDef>,
    documents: Documents,
}

/// A service that listens, and does not speak yet.
struct Ready {
    config: Config,
    indexes: Vec<&'static IndexDef>,
    periodic: Periodic,
    sagas: Manager,
    projections: Projections,
    runner: Runner,
    dispatcher: Dispatcher,
    broker: Arc<dyn Broker>,
    health: Health,
    app: App,
    way: Way,
    /// None if requests come from a test.
    server: Option<Server>,
    admin: Option<Server>,
    registered: Registered,
}

pub(super) async fn start_all(services: Vec<Service>, ground: &dyn Ground) -> Result<Vec<Running>> {
    #[cfg(feature = "failpoints")]
    crate::failpoint::configure()?;
    let plans = plan(&services, !ground.is_test())?;
    let mut ready = Vec::with_capacity(services.len());
    for (service, plan) in services.into_iter().zip(plans) {
        let name = service.config.service.name.clone();
        ready.push(prepare(service, plan, ground).await.map_err(|error| error.context(format!("`{name}` cannot start")))?);
    }
    // All listen before the first one speaks: an event that comes too early for a listener would be lost to it.
    Ok(ready.into_iter().map(begin).collect())
}

/// The document about the first of these services.
pub(super) fn describe(format: Format, services: &[Service]) -> Result<String> {
    Ok(plan(services, false)?.first().map(|plan| plan.documents.text(format)).unwrap_or_default())
}

/// Exports a document about these services. Nothing is opened for it.
pub(super) fn export(format: Format, services: &[Service]) -> Result<()> {
    let documents: Vec<_> = plan(services, false)?.into_iter().map(|plan| plan.documents).collect();
    contract::export(format, &documents)
}

/// Reads what all handlers ask for. All that is wrong is told at once, and if they can be `reached` by others, what should be protected and is not.
fn plan(services: &[Service], reached: bool) -> Result<Vec<Plan>> {
    let ownership = Ownership { services };
    let mut wrong = ownership.contested();
    let mut plans = Vec::new();
    for (n, service) in services.iter().enumerate() {
        let defs = ownership.handlers(n);
        wrong.extend(check::aggregates(|module| ownership.owner(module) == Some(n)));
        wrong.extend(check::events(|module| ownership.owner(module) == Some(n)));
        wrong.extend(check::subscribers(&defs));
        if reached {
            wrong.extend(guarded::unprotected(&service.config, &defs));
        }
        let topics = Topics::of(&defs, &mut wrong);
        let routes = collect(&mut wrong, Routes::of(&defs));
        let periodic = collect(&mut wrong, Periodic::of(&defs));
        let sagas = check::sagas(&ownership.sagas(n), Policy::of(&service.config.sagas), &mut wrong);
        let projections = check::projections(&ownership.projections(n), &mut wrong);
        let awaited = if is_local(&service.config) { check::undeliverable(&topics, &mut wrong) } else { Vec::new() };
        if let (Some(routes), Some(periodic)) = (routes, periodic) {
            let documents = ownership.documents(n, &defs);
            plans.push(Plan {
                defs,
                routes,
                topics,
                awaited,
                periodic,
                sagas,
                projections,
                queryables: ownership.queryables(n),
                uniques: ownership.uniques(n),
                indexes: ownership.indexes(n),
                documents,
            });
        }
    }
    let shared: Vec<_> = services
        .iter()
        .zip(&plans)
        .filter(|(service, _)| is_local(&service.config))
        .map(|(service, plan)| (service.config.service.name.as_str(), &plan.topics))
        .collect();
    wrong.extend(check::shared_topics(&shared));
    match &wrong[..] {
        [] => Ok(plans),
        [one] => Err(Error::internal(one.clone())),
        many => Err(Error::internal(format!("{} mistakes: ({})", many.len(), many.join("; (")))),
    }
}

fn collect<T>(wrong: &mut Vec<String>, result: Result<T, Vec<String>>) -> Option<T> {
    result.map_err(|mistakes| wrong.extend(mistakes)).ok()
}

fn is_local(config: &Config) -> bool {
    config.broker.url == "local:"
}

async fn prepare(service: Service, plan: Plan, ground: &dyn Ground) -> Result<Ready> {
    let metrics = Metrics::new(&service.config.service.name);
    let has_tables = plan.projections.iter().any(projection::Plan::has_tables);
    let store = ground
        .store(&service.config, has_tables, &metrics)
        .await
        .map_err(|error| Error::unavailable(error.to_string()).caused_by(error))?;
    let ready = listen(service, plan, ground, store.clone(), metrics).await;
    if ready.is_err() {
        // Whoever mends what is wrong finds the store free.
        store.close().await;
    }
    ready
}

async fn listen(service: Service, plan: Plan, ground: &dyn Ground, store: SharedStore, metrics: Metrics) -> Result<Ready> {
    let Service { config, mut resources, layers, guard, .. } = service;
    let registered = Registered::prepare(&config, &mut resources)?;
    let Plan { defs, routes, topics, awaited, periodic, sagas, projections, queryables, uniques, indexes, documents } = plan;
    let (clock, name) = (ground.clock(), config.service.name.clone());
    let health = Health::new(clock.clone());
    health.expect_every(STORE, PING_COUNTS);
    health.succeeded(STORE);
    let broker = ground.broker(&config, &health, &metrics)?;
    let spans = telemetry::open(&config)?;
    let questions = Questions::traced(&name, broker.clone(), spans.clone());
    let mut environment = Environment::new(name.clone(), store, clock, resources, metrics).remembering(config.store.recent);
    #[cfg(feature = "sensitive")]
    environment.set_master_key(config.store.master_key.expose()).await?;
    #[cfg(not(feature = "sensitive"))]
    if !config.store.master_key.is_empty() {
        return Err(Error::invalid("`store.master_key` needs a build with the feature `sensitive` of `minos`"));
    }
    let lock = Lock::of(&config, &defs, ground).await?;
    environment.acts_as = lock.handlers.as_ref().and_then(|_| User::service(&name).identity().cloned());
    let lock = lock.guarded(guard);
    environment.spans = spans;
    environment.patience = config.sagas.patience;
    environment.ask_after = config.sagas.ask_after;
    let environment = Arc::new(ground.environment(environment));
    environment.set_courier(Arc::new(questions.clone()));
    let sagas = Manager::new(environment.clone(), sagas, config.broker.concurrency, config.sagas.alarm_after, &health).await?;
    let projections = Projections::new(environment.clone(), projections, RetryPolicy::of(&config.broker));
    environment.set_views(projections.views());
    projections.prepare().await?;
    aggregate::prepare_queries(&environment, &queryables).await?;
    aggregate::prepare_unique(&environment, &uniques).await?;
    let runner = Runner::new(environment);
    let sources = topics.sources().into_iter().chain([questions.source()]).chain(broker::answers(&sagas)).collect();
    // Who asks by HTTP has `http.request_timeout`; nobody waits for a message or a schedule, so these need a limit of their own.
    let unwatched = runner.limited(config.broker.handler_timeout);
    let dispatcher = Dispatcher::new(unwatched, broker.clone(), topics, questions, Some(sagas.clone()), &config.broker).await?;
    let letters = DeadLetters::new(dispatcher.clone(), projections.clone());
    broker.subscribe(&name, sources, Arc::new(dispatcher.clone())).await?;
    let app = App::new(routes, runner.clone(), health.clone(), config.http.clone(), lock.handlers);
    app.describe(documents);
    let way = Way::new(app.clone(), layers);
    let mut ready = Ready {
        config,
        indexes,
        periodic,
        sagas,
        projections,
        runner,
        dispatcher,
        broker,
        health,
        app,
        way,
        server: None,
        admin: None,
        registered,
    };
    if ground.is_test() {
        return Ok(ready);
    }
    let server = Server::bind(&ready.config.http, ready.way.clone()).await?;
    let mut banner = Banner {
        name: &name,
        store: ready.runner.environment().store.describe(),
        broker: ready.broker.describe(),
        auth: &lock.told,
        is_closed: ready.config.auth.is_some(),
        http: server.local_addr(),
        admin: None,
        defs: &defs,
        topics: ready.dispatcher.topics(),
        awaited: &awaited,
        sagas: &ready.sagas,
        projections: &ready.projections,
        periodic: &ready.periodic,
    };
    let admin = match ready.config.admin.addr {
        Some(addr) => {
            let overview = Overview::of(&banner, &ready.health, ready.runner.environment().clock.now());
            let parts = (letters, ready.sagas.clone(), ready.projections.clone());
            Some(admin::server(addr, &ready.config.http, &ready.runner, parts, overview, lock.operators).await?)
        }
        None => None,
    };
    banner.admin = admin.as_ref().map(Server::local_addr);
    ready.registered.listens(&ready.config, banner.http, banner.admin, &defs)?;
    banner.tell();
    (ready.server, ready.admin) = (Some(server), admin);
    Ok(ready)
}

/// Sets everything going.
fn begin(ready: Ready) -> Running {
    let Ready {
        config,
        indexes,
        periodic,
        sagas,
        projections,
        runner,
        dispatcher,
        broker,
        health,
        app,
        way,
        server,
        admin,
        mut registered,
    } = ready;
    let environment = runner.environment().clone();
    let (store, clock) = (environment.store.clone(), environment.clock.clone());
    let (mut ways_in, mut relay, mut housekeeping) = (Tasks::new(&health), Tasks::new(&health), Tasks::new(&health));
    let is_test = server.is_none();
    let addr = server.as_ref().map_or(config.http.addr, Server::local_addr);
    let admin_addr = admin.as_ref().map(Server::local_addr);
    if let Some(server) = server {
        ways_in.spawn("http", |stop| server.serve(stop.said()));
    }
    if let Some(admin) = admin {
        // Told to stop with the housekeeping: the operator may look as long as anything runs.
        housekeeping.spawn("admin", |stop| admin.serve(stop.said()));
    }
    let unwatched = runner.limited(config.broker.handler_timeout);
    let by_hand = if is_test {
        Some(ByHand { app, way, periodic, runner: unwatched })
    } else {
        ways_in.spawn("schedule", |stop| periodic.run(unwatched, stop));
        None
    };
    if !sagas.is_empty() {
        ways_in.spawn(Manager::PART, |stop| sagas.clone().run(health.clone(), stop));
    }
    if !indexes.is_empty() {
        let (store, policy) = (store.clone(), RetryPolicy::of(&config.broker));
        housekeeping.spawn("indexes", |stop| async move { document::make_indexes(&store, indexes, policy, stop).await });
    }
    for (part, run) in projections.loops(&health) {
        ways_in.spawn(part, run);
    }
    if !is_test {
        let outcomes = Outcomes::new(environment.clone());
        ways_in.spawn("outcomes", |stop| outcomes.run(stop));
    }
    let messages = Relay::new(
        store.clone(),
        broker.clone(),
        clock.clone(),
        health.clone(),
        environment.metrics.clone(),
        RetryPolicy::of(&config.broker),
    );
    let messages = messages.traced(environment.spans.clone());
    let messages = if is_test { messages.saving_at_once() } else { messages };
    relay.spawn(Relay::PART, |stop| messages.run(stop));
    housekeeping.spawn(STORE, |stop| ping(store.clone(), health.clone(), stop));
    housekeeping.spawn("housekeeping", |stop| forget(store.clone(), clock, config.http.keep_answers, config.sagas.keep, stop));
    if !is_test {
        registered.begin(&config, &health, &environment.metrics);
    }
    Running {
        name: environment.service.clone(),
        registered,
        runner,
        addr,
        admin_addr,
        store,
        health,
        dispatcher,
        broker,
        sagas,
        projections,
        ways_in,
        relay,
        housekeeping,
        by_hand,
        drain_timeout: config.http.drain_timeout,
    }
}

/// Asks the store again and again whether it works, so that readiness says so before the next command finds out. One that does not answer, because its
/// server stands still or its disk hangs, does not work.
async fn ping(store: SharedStore, health: Health, stop: Stop) {
    let silent = || StoreError::Unavailable(format!("nothing came within {} s", PING.as_secs()));
    while stop.pause(PING).await {
        match tokio::time::timeout(PING, store.ping()).await.unwrap_or_else(|_| Err(silent())) {
            Ok(()) => {
                if health.succeeded(STORE) {
                    tracing::info!("the store works again");
                }
            }
            Err(error) => {
                if health.failed(STORE, error.to_string()) {
                    tracing::error!(%error, "the service is not ready");
                }
            }
        }
    }
}

/// Removes answers that are older than promised, and the keys of clients with them, and executions of sagas that ended long ago. That a message was handled
/// is kept for ever.
async fn forget(store: SharedStore, clock: Arc<dyn Clock>, answers: Duration, sagas: Duration, stop: Stop) {
    while stop.pause(FORGET).await {
        let before = |keep: Duration| clock.now().checked_sub(keep).ok();
        if let Some(before) = before(answers)
            && let Err(error) = store.forget_answers(before).await
        {
            tracing::warn!(%error, "old answers could not be removed; will be tried again");
        }
        if let Some(before) = before(sagas)
            && let Err(error) = store.forget_sagas(before).await
        {
            tracing::warn!(%error, "old executions of sagas could not be removed; will be tried again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::silent::SilentStore, *};
    use crate::{clock, stop::Stopper};

    #[tokio::test(start_paused = true)]
    async fn a_store_that_does_not_answer_is_told() {
        let (health, stopper) = (Health::new(clock::system()), Stopper::new());
        health.expect_every(STORE, PING_COUNTS);
        health.succeeded(STORE);
        let pinging = tokio::spawn(ping(Arc::new(SilentStore), health.clone(), stopper.hear()));
        tokio::time::sleep(PING * 2 + Duration::from_millis(1)).await;
        assert!(!health.is_ready());
        assert_eq!(
            health.parts()[STORE].failing.as_deref(),
            Some("the store does not answer: nothing came within 2 s"),
            "it is told before the last answer is too old to count"
        );
        stopper.say();
        pinging.await.unwrap();
    }
}
