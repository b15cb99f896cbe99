//! What a test does with a service that runs on its ground: it is the client, and the clock.

use super::{
    Ground, Running, Service,
    running::{self, ByHand},
    start,
};
use crate::{
    config::Config,
    context::Environment,
    error::{Error, Result},
    handler::HandlerDef,
    http::{Body, Response},
};
use ::http::{Method, Request};
use jiff::Timestamp;
use std::sync::Arc;

impl Service {
    /// Starts services on this ground.
    ///
    /// # Errors
    /// As [`start_all`](Service::start_all).
    pub(crate) async fn start_on(services: Vec<Service>, ground: &dyn Ground) -> Result<Vec<Running>> {
        start::start_all(services, ground).await
    }

    /// Stops services that may send each other messages.
    pub(crate) async fn stop_all(running: Vec<Running>) {
        running::stop_all(running).await;
    }

    /// Its configuration, to change it.
    pub(crate) fn config(&mut self) -> &mut Config {
        &mut self.config
    }

    /// The same with this handler beside those of its modules.
    pub(crate) fn beside(mut self, def: &'static HandlerDef) -> Self {
        self.handlers.push(def);
        self
    }
}

impl Running {
    /// The service's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What its handlers share.
    pub(crate) fn environment(&self) -> &Arc<Environment> {
        self.runner.environment()
    }

    fn by_hand(&self) -> Result<&ByHand> {
        self.by_hand.as_ref().ok_or_else(|| Error::internal(format!("`{}` runs in a process, not in a test", self.name)))
    }

    /// Whether a handler is for this method and path.
    pub(crate) fn has_route(&self, method: &Method, path: &str) -> bool {
        self.by_hand.as_ref().is_some_and(|hand| hand.app.has(method, path))
    }

    /// Answers a request as if it had come by HTTP, through all layers.
    pub(crate) async fn answer(&self, request: Request<Body>) -> Result<Response> {
        let Ok(answer) = Arc::new(self.by_hand()?.way.clone()).answer(request).await;
        Ok(answer)
    }

    /// The first time after this one at which something of its own accord happens: a schedule, a timer of a saga, or a question how one has ended.
    pub(crate) async fn next_after(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        let scheduled = self.by_hand()?.periodic.next_after(now);
        let saga = self.sagas.due_after(now).await?;
        let asked = self.outcomes().due_after(now).await?;
        Ok(scheduled.into_iter().chain(saga).chain(asked).min())
    }

    /// Does what is due now that was not at this time before.
    pub(crate) async fn pass_time(&self, last: Timestamp, now: Timestamp) -> Result<()> {
        let ByHand { periodic, runner, .. } = self.by_hand()?;
        self.sagas.ring();
        let scheduled = periodic.run_at(runner, last, now).await;
        self.outcomes().ask_due().await?;
        scheduled.map_err(|error| error.context(format!("`{}` failed on its schedule", self.name)))
    }
}
