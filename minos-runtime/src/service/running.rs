//! A running service, and how it stops: it says so, takes nothing new, finishes what it has begun, and gives everything back.

use super::registered::Registered;
use crate::{
    aggregate,
    broker::{self, Broker, DeadLetters, Dispatcher, Outcomes},
    context::SagaStep,
    error::{Error, Result},
    handler::{Job, Response, Runner},
    health::Health,
    http::{App, Way},
    message::Envelope,
    projection::Projections,
    saga::Manager,
    schedule::Periodic,
    stop::{Stop, Stopper},
    store::{Cause, SharedStore, StreamId},
    telemetry,
};
use serde::Serialize;
use std::{borrow::Cow, future::Future, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{task::JoinHandle, time::Instant};
use uuid::Uuid;

/// A service that runs in the background of this program, until it is [stopped](Running::stop) or dropped with its runtime.
#[must_use = "stop it, or its last work is finished only at the next start"]
pub struct Running {
    pub(super) name: String,
    pub(super) registered: Registered,
    pub(super) runner: Runner,
    pub(super) addr: SocketAddr,
    pub(super) admin_addr: Option<SocketAddr>,
    pub(super) store: SharedStore,
    pub(super) health: Health,
    pub(super) dispatcher: Dispatcher,
    pub(super) broker: Arc<dyn Broker>,
    pub(super) sagas: Manager,
    pub(super) projections: Projections,
    pub(super) ways_in: Tasks,
    pub(super) relay: Tasks,
    pub(super) housekeeping: Tasks,
    /// What a test does itself.
    #[cfg_attr(not(any(test, feature = "testing")), allow(dead_code, reason = "only tests do it"))]
    pub(super) by_hand: Option<ByHand>,
    /// `http.drain_timeout`
    pub(super) drain_timeout: Duration,
}

/// What comes from outside and from the clock, where a test brings both.
#[cfg_attr(not(any(test, feature = "testing")), allow(dead_code, reason = "only tests do it"))]
pub(super) struct ByHand {
    pub(super) app: App,
    pub(super) way: Way,
    pub(super) periodic: Periodic,
    /// For the schedule.
    pub(super) runner: Runner,
}

/// Tasks that end when they are told to.
pub(super) struct Tasks {
    stop: Stopper,
    health: Health,
    tasks: Vec<(Cow<'static, str>, JoinHandle<()>)>,
}

/// Tells that a task has ended before it was told to, by a panic or otherwise.
struct Watch {
    name: Cow<'static, str>,
    stop: Stop,
    health: Health,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.stop.was_said() {
            self.health.ended(&self.name);
            tracing::error!("the part `{}` of the service has ended: start the service again", self.name);
        }
    }
}

impl Tasks {
    pub(super) fn new(health: &Health) -> Self {
        Tasks { stop: Stopper::new(), health: health.clone(), tasks: Vec::new() }
    }

    /// Starts a task, which gets the word when it is time to end. If it ends before, [`Health`] tells it under this name.
    pub(super) fn spawn<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        task: impl FnOnce(Stop) -> F,
    ) {
        let name = name.into();
        let watch = Watch { name: name.clone(), stop: self.stop.hear(), health: self.health.clone() };
        let task = task(self.stop.hear());
        let watched = async move {
            let _watch = watch;
            task.await;
        };
        self.tasks.push((name, tokio::spawn(watched)));
    }

    /// Tells them to end, and cuts off those that have not by then.
    async fn stop(&mut self, by: Instant) {
        self.stop.say();
        for (name, mut task) in self.tasks.drain(..) {
            match tokio::time::timeout_at(by, &mut task).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "the part `{name}` of the service did not end well"),
                Err(_) => {
                    tracing::warn!("the part `{name}` of the service had to be cut off");
                    task.abort();
                }
            }
        }
    }
}

impl Running {
    /// The address on which it answers by HTTP.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address of the operator's API, if there is one.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_addr
    }

    /// Whether its parts work.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Its store, for tests and tools.
    pub fn store(&self) -> &SharedStore {
        &self.store
    }

    /// What it measures of itself, as `GET /metrics` tells it.
    pub fn metrics(&self) -> String {
        self.runner.environment().metrics.text()
    }

    /// The topics that it listens to.
    pub fn topics(&self) -> impl Iterator<Item = &'static str> {
        self.dispatcher.topics().names()
    }

    /// Runs the command or query of this topic here and now, without HTTP or broker: for tests and tools.
    ///
    /// # Errors
    /// What the handler answers, or that there is none for this topic.
    pub async fn call(&self, topic: &str, input: &impl Serialize) -> Result<Response> {
        let found = self.dispatcher.topics().requests().find(|(name, _)| *name == topic);
        let (_, def) = found.ok_or_else(|| Error::not_found(format!("`{}` has no handler for `{topic}`", self.name)))?;
        let environment = self.runner.environment();
        let id = Uuid::now_v7();
        let cause = Cause { correlation: id, causation: id, user: environment.acts_as.clone(), trace: None };
        let message = Envelope::request(id, topic, None, serde_json::to_vec(input)?, environment.clock.now(), cause);
        self.runner.run(Job::new(def, broker::request(def, &message, None))).await
    }

    /// Its read models: how they stand, and to have them rebuilt.
    pub fn projections(&self) -> Projections {
        self.projections.clone()
    }

    /// What it could not handle.
    pub fn dead_letters(&self) -> DeadLetters {
        DeadLetters::new(self.dispatcher.clone(), self.projections.clone())
    }

    /// Its sagas: to look at their executions, and to repair them.
    pub fn sagas(&self) -> &Manager {
        &self.sagas
    }

    /// What is kept here for steps of sagas until it is known how those end.
    pub fn outcomes(&self) -> Outcomes {
        Outcomes::new(self.runner.environment().clone())
    }

    /// The step of a saga that holds an aggregate of this service, if one does.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn held_by(&self, aggregate: &str, uuid: Uuid) -> Result<Option<SagaStep>> {
        aggregate::held_by(&*self.store, &StreamId::new(aggregate.to_owned(), uuid)).await
    }

    /// Releases an aggregate of this service by hand, where the saga that holds it will never end, and records who has done that. Which step has held it.
    ///
    /// # Errors
    /// If nobody holds it, or the store does not take it.
    pub async fn release(&self, aggregate: &str, uuid: Uuid, by: Option<String>) -> Result<SagaStep> {
        aggregate::release_by_hand(self.runner.environment(), StreamId::new(aggregate.to_owned(), uuid), by).await
    }

    /// Stops it: no new requests, what runs is finished, what was not sent is sent at the next start. A handler that is not done within
    /// `http.drain_timeout` is not waited for.
    pub async fn stop(self) {
        stop_all(vec![self]).await;
    }
}

/// How long what has run may take to be given back after the drain: progress, leases, the broker's groups, the store.
const GIVE_BACK: Duration = Duration::from_secs(10);
/// What each step of a stop gets at least, though an earlier one has used up the time.
const AT_LEAST: Duration = Duration::from_secs(1);

/// How long the collector of traces may take to take the last ones.
const LAST_SPANS: Duration = Duration::from_secs(3);

/// Stops services that may send each other messages: first nothing comes in, then what is under way arrives, then the handlers end. Nothing can hold
/// this up for longer than `http.drain_timeout` and [`GIVE_BACK`]: what was cut off is done again at the next start, or was not acknowledged.
pub(super) async fn stop_all(mut all: Vec<Running>) {
    // As long as others do not know, they go on asking.
    futures_util::future::join_all(all.iter_mut().map(|running| running.registered.withdraw())).await;
    let drained = Instant::now() + all.iter().map(|running| running.drain_timeout).max().unwrap_or_default();
    let end = drained + GIVE_BACK;
    for running in &mut all {
        tracing::info!("{}: stopping", running.name);
        running.ways_in.stop.say();
    }
    for running in &mut all {
        running.ways_in.stop(drained + AT_LEAST).await;
    }
    for running in &mut all {
        let steps = drained.max(Instant::now() + AT_LEAST);
        by(steps, "a step of a saga still ran after `http.drain_timeout`; it is run again", running.sagas.stop()).await;
    }
    for running in &mut all {
        running.relay.stop(end - AT_LEAST).await;
    }
    for running in &mut all {
        // The broker waits for what it delivered, which the dispatcher ends.
        let handlers = drained.max(Instant::now() + AT_LEAST);
        tokio::join!(
            by(handlers, "a handler still ran after `http.drain_timeout`; its message is delivered again", running.dispatcher.stop()),
            by(end, "the broker did not end in time; what it did not answer for is sent again", running.broker.close()),
        );
        running.housekeeping.stop(end).await;
        by(end.max(Instant::now() + AT_LEAST), "the store did not end in time; what it acknowledged is kept", running.store.close()).await;
        running.runner.environment().spans.close(LAST_SPANS).await;
        tracing::info!("{}: stopped", running.name);
    }
}

/// Waits until this is done, or it is too late for it, which is told.
async fn by(deadline: Instant, otherwise: &str, work: impl Future<Output = ()>) {
    if tokio::time::timeout_at(deadline, work).await.is_err() {
        tracing::warn!("{otherwise}");
    }
}

/// Ends when the program is told to stop. A second signal ends the program at once.
pub(super) fn signals() -> Result<impl Future<Output = ()>> {
    let mut first = Signals::new()?;
    Ok(async move {
        first.next().await;
        tokio::spawn(async move {
            first.next().await;
            tracing::warn!("told to stop twice: ending at once");
            telemetry::flush();
            std::process::exit(130);
        });
    })
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| signal(kind).map_err(|error| Error::from(error).context("signals cannot be received"));
        Ok(Signals { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> Result<Self> {
        Ok(Signals)
    }

    async fn next(&mut self) {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::error!(%error, "Ctrl-C cannot be received");
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[tokio::test]
    async fn a_part_that_ends_before_its_time_is_told() {
        let health = Health::new(clock::system());
        let mut tasks = Tasks::new(&health);
        tasks.spawn("good", |stop| async move { stop.said().await });
        tasks.spawn("lazy", |_| async {});
        tasks.spawn("clumsy", |_| async { panic!("as told") });
        for (_, task) in tasks.tasks.split_off(1) {
            let _ = task.await;
        }
        assert!(!health.is_ready());
        assert_eq!(health.parts().into_keys().collect::<Vec<_>>(), ["clumsy", "lazy"]);
        tasks.stop(Instant::now() + Duration::from_secs(10)).await;
        assert!(!health.parts().contains_key("good"), "it ended when it was told to");
    }

    #[tokio::test]
    async fn tasks_whose_owner_is_gone_end_as_if_they_were_told_to() {
        let health = Health::new(clock::system());
        let mut tasks = Tasks::new(&health);
        tasks.spawn("good", |stop| async move { stop.said().await });
        let (_, task) = tasks.tasks.remove(0);
        drop(tasks);
        task.await.unwrap();
        assert!(health.is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_holds_up_a_stop_for_ever() {
        let text = "[service]\nname = \"x\"\n[http]\naddr = \"127.0.0.1:0\"\ndrain_timeout = \"1s\"\n[store]\nurl = \"memory:\"";
        let mut running = crate::Service::from_toml(text).unwrap().module("none").start().await.unwrap();
        running.store = Arc::new(super::super::silent::SilentStore);
        for tasks in [&mut running.ways_in, &mut running.relay, &mut running.housekeeping] {
            tasks.spawn("deaf", |_| std::future::pending());
        }
        let before = Instant::now();
        tokio::time::timeout(Duration::from_secs(3600), running.stop()).await.expect("it ends");
        let took = before.elapsed();
        assert!(took < Duration::from_secs(1) + GIVE_BACK + 2 * AT_LEAST, "{took:?}");
    }
}
