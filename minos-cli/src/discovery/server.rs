//! From settings to a registry that runs, and back to silence.

use super::{
    checks,
    published::Published,
    records::Records,
    register::{Register, SharedRegister},
    settings::RegistrySettings,
};
use minos::{Config, Error, Result, Running, Service, discovery, store::StoreResult};
use minos_runtime::http::Guard;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{task::JoinSet, time::Instant};

/// The largest announcement.
const MAX_BODY: usize = 1024 * 1024;
/// How long what is under way may take at the end.
const DRAIN: Duration = Duration::from_secs(3);

/// What handlers and loops share.
pub(super) struct Shared {
    pub(super) published: Published,
    pub(super) records: Records,
    /// Whether others may write to the same store.
    pub(super) is_shared: bool,
    register: SharedRegister,
    read_at: Mutex<Instant>,
}

/// A panic of somebody who held a lock leaves nothing half done here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn register(&self) -> MutexGuard<'_, Register> {
        lock(&self.register)
    }

    /// When the store was read last.
    pub(super) fn read_at(&self) -> Instant {
        *lock(&self.read_at)
    }

    /// Reads what is recorded.
    pub(super) async fn read(&self) -> StoreResult<()> {
        let records = self.records.all().await?;
        let now = Instant::now();
        self.register().recorded(&records, now);
        *lock(&self.read_at) = now;
        self.published.changed();
        Ok(())
    }
}

/// A registry that runs in this process, until it is [stopped](RegistryServer::stop).
#[must_use = "it runs until it is stopped"]
pub struct RegistryServer {
    running: Running,
    shared: Arc<Shared>,
    loops: JoinSet<()>,
}

/// Starts a registry in this process.
///
/// # Errors
/// If the settings make no sense, or address or store cannot be used: the error says what to do.
pub async fn start(settings: RegistrySettings) -> Result<RegistryServer> {
    settings.check().map_err(|error| Error::invalid(error.to_string()))?;
    let mut config = Config::parse("[service]\nname = \"discovery\"")?;
    (config.http.addr, config.http.max_body, config.http.drain_timeout) = (settings.addr, MAX_BODY, DRAIN);
    (config.store.url, config.log) = (settings.store, settings.log);
    let is_shared = config.store.url.starts_with("postgres");
    let now = Instant::now();
    let register = Register::new(settings.ttl, settings.check_every, settings.max_instances, now);
    let shared = Arc::new(Shared {
        published: Published::new(),
        records: Records::default(),
        is_shared,
        register: Arc::new(Mutex::new(register)),
        read_at: Mutex::new(now),
    });
    let client = discovery::client().map_err(|error| Error::internal(error.to_string()))?;
    let is_open = settings.token.is_empty();
    let guard = if is_open {
        Guard::of_this_machine("discovery", "give the registry a token: `token` in `[registry]`, or MINOS_REGISTRY_TOKEN")
    } else {
        Guard::of_token("discovery", settings.token, "set `discovery.token`, or MINOS_DISCOVERY_TOKEN")
    };
    let service = Service::new(config).module(module_path!().replace("::server", "::routes")).with(shared.clone());
    let running = service.guarded(guard).start().await?;
    shared.records.open(running.store().clone());
    if let Err(error) = shared.read().await {
        running.stop().await;
        return Err(Error::unavailable(error.to_string()).context("what was known cannot be read"));
    }
    if is_open {
        tracing::warn!("no token is set: whoever can run programs on this machine may register services");
    }
    let mut loops = JoinSet::new();
    loops.spawn(checks::check(shared.clone(), client, settings.check_timeout));
    loops.spawn(checks::sweep(shared.clone()));
    if is_shared {
        loops.spawn(checks::read(shared.clone()));
    }
    let kept = shared.clone();
    loops.spawn(async move { kept.published.keep(|| kept.register().news(Instant::now())).await });
    Ok(RegistryServer { running, shared, loops })
}

impl RegistryServer {
    /// Where it answers.
    pub fn addr(&self) -> SocketAddr {
        self.running.addr()
    }

    /// The URL for `discovery.url`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// Ends it: who waits for news is answered, and asks again elsewhere. What it knows is in its store.
    pub async fn stop(mut self) {
        self.loops.shutdown().await;
        self.shared.published.end();
        self.running.stop().await;
    }
}

/// Runs it until the process is told to stop; told twice, it ends at once.
pub(super) async fn run(settings: RegistrySettings) -> Result<()> {
    let stop = signals()?;
    let server = start(settings).await?;
    stop.await;
    server.stop().await;
    Ok(())
}

#[cfg(unix)]
fn signals() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tokio::spawn(async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            std::process::exit(130);
        });
    })
}

#[cfg(not(unix))]
fn signals() -> Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
