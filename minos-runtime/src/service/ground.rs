//! What services stand on: a process, or a test.

use crate::{
    broker::{self, Broker, LocalBroker},
    clock::{self, Clock},
    config::Config,
    context::Environment,
    error::Result,
    health::Health,
    metrics::Metrics,
    store::{self, SharedStore, StoreResult},
};
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// What services are started on.
pub(crate) trait Ground: Send + Sync {
    /// Whether it is a test, which brings the requests itself and lets time pass: then nothing listens, and no schedule runs.
    fn is_test(&self) -> bool;

    /// The time.
    fn clock(&self) -> Arc<dyn Clock>;

    /// Opens the store of a service, which has read models in SQL, or has none.
    fn store<'a>(&'a self, config: &'a Config, has_tables: bool, metrics: &'a Metrics) -> BoxFuture<'a, StoreResult<SharedStore>>;

    /// Opens the broker of a service.
    ///
    /// # Errors
    /// If there is no such broker here, or the configuration makes no sense to it.
    fn broker(&self, config: &Config, health: &Health, metrics: &Metrics) -> Result<Arc<dyn Broker>>;

    /// What the handlers of a service share, as they get it here.
    fn environment(&self, environment: Environment) -> Environment;
}

/// A process: all is as the configuration says. Its services share the broker `local:`.
#[derive(Default)]
pub(super) struct Process {
    local: LocalBroker,
}

impl Ground for Process {
    fn is_test(&self) -> bool {
        false
    }

    fn clock(&self) -> Arc<dyn Clock> {
        clock::system()
    }

    fn store<'a>(&'a self, config: &'a Config, _: bool, metrics: &'a Metrics) -> BoxFuture<'a, StoreResult<SharedStore>> {
        Box::pin(store::open(&config.store.url, &config.service.name, metrics))
    }

    fn broker(&self, config: &Config, health: &Health, metrics: &Metrics) -> Result<Arc<dyn Broker>> {
        broker::open(config, &self.local, health, metrics)
    }

    fn environment(&self, environment: Environment) -> Environment {
        environment
    }
}
