//! What the services of a test stand on.

use super::{broker::TestBroker, store::Watched};
use crate::{
    broker::Broker,
    clock::Clock,
    config::Config,
    context::Environment,
    error::Result,
    health::Health,
    metrics::Metrics,
    service::Ground,
    store::{self, MemoryStore, SharedStore, StoreError, StoreResult},
    testing::service::Standing,
};
use futures_util::future::BoxFuture;
use std::{
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::watch;
use uuid::Uuid;

/// How many uuids a service may make before they are those of the next one.
const UUIDS: u64 = 1 << 32;

/// One clock, one broker, and the stores of all services.
pub(super) struct TestGround {
    pub(super) clock: Arc<Standing>,
    pub(super) broker: Arc<TestBroker>,
    /// Changes with each commit of any of them.
    pub(super) commits: watch::Sender<u64>,
    on_sqlite: bool,
    services: AtomicU64,
    directory: OnceLock<Directory>,
}

/// Is removed with what is in it.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        // Where it cannot be removed, the system does it some day.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl TestGround {
    pub(super) fn new(clock: Arc<Standing>, broker: Arc<TestBroker>, on_sqlite: bool) -> Self {
        let (commits, services) = (watch::Sender::new(0), AtomicU64::new(0));
        TestGround { clock, broker, commits, on_sqlite, services, directory: OnceLock::new() }
    }

    async fn open(&self, config: &Config, has_tables: bool, metrics: &Metrics) -> StoreResult<SharedStore> {
        if !has_tables && !self.on_sqlite {
            return Ok(Arc::new(MemoryStore::new()));
        }
        let path = std::env::temp_dir().join(format!("minos-test-{}", Uuid::now_v7()));
        let directory = &self.directory.get_or_init(|| Directory(path)).0;
        std::fs::create_dir_all(directory)
            .map_err(|error| StoreError::Unavailable(format!("{} cannot be made: {error}", directory.display())))?;
        let url = format!("sqlite://{}", directory.join(format!("{}.db", config.service.name)).display());
        store::open(&url, &config.service.name, metrics).await
    }
}

impl Ground for TestGround {
    fn is_test(&self) -> bool {
        true
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    fn store<'a>(&'a self, config: &'a Config, has_tables: bool, metrics: &'a Metrics) -> BoxFuture<'a, StoreResult<SharedStore>> {
        Box::pin(async move {
            let store = self.open(config, has_tables, metrics).await?;
            Ok(Arc::new(Watched::new(store, self.commits.clone())) as SharedStore)
        })
    }

    fn broker(&self, _: &Config, _: &Health, _: &Metrics) -> Result<Arc<dyn Broker>> {
        Ok(self.broker.clone())
    }

    fn environment(&self, environment: Environment) -> Environment {
        environment.counting_uuids(self.services.fetch_add(1, Ordering::Relaxed) * UUIDS)
    }
}
