//! What stands around the services, in the process of `minos dev`: the registry that they tell where they are, and the gateway, which routes by that.
//!
//! The gateway stays open while there are no services: it knows none then, and lets requests wait.

use super::{
    addresses::{Addresses, Place},
    console::Console,
};
use crate::{
    discovery::{RegistryServer, RegistrySettings, start},
    error::{CliError, CliResult},
    gateway::{Gateway, GatewayConfig, RunningGateway},
};
use minos_runtime::{
    config::{DiscoveryConfig, LogConfig},
    discovery::{Directory, Discovery, Instance, Services, open},
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};

/// Where the gateway listens, if nothing else is said.
pub(super) const GATEWAY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
/// Where its operator's API listens, with the console of all services: before those of the services.
const OPERATORS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9089);
/// How long a request waits for services that are being started.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long requests that are under way may take when all of it ends.
const DRAIN: Duration = Duration::from_secs(2);
/// How long services may take until they are registered, which they are when they are ready.
const READY: Duration = Duration::from_secs(30);
/// How often the registry looks whether services are ready: nobody is handed out before, and somebody waits for it.
const LOOK: Duration = Duration::from_millis(200);
/// How long the registry may take to believe that somebody has gone.
const GONE: Duration = Duration::from_secs(3);

/// The registry and the gateway.
pub(super) struct Platform {
    registry: RegistryServer,
    gateway: RunningGateway,
    discovery: Arc<dyn Discovery>,
    known: watch::Receiver<Arc<Directory>>,
    told: watch::Sender<Arc<Directory>>,
    following: Option<JoinHandle<()>>,
    /// Asks the registry as long as it is there.
    _services: Services,
}

impl Platform {
    /// Both, and where they are.
    pub(super) async fn start(wanted: SocketAddr, addresses: &mut Addresses, console: &Console) -> CliResult<Self> {
        minos_runtime::init_logs(&log());
        let mut settings = RegistrySettings::default();
        let (gateway, moved) = addresses.give("the gateway", "gateway", Some(wanted))?;
        let (registry, also) = addresses.give("the registry", "registry", Some(settings.addr))?;
        let (operators, as_well) = addresses.give("the gateway", "operators", Some(OPERATORS))?;
        let places =
            [("the gateway", moved, gateway), ("the registry", also, registry), ("the console of all services", as_well, operators)];
        for (what, wanted, addr) in places {
            if let Some(wanted) = wanted {
                console.own(format_args!("{wanted} is taken, so {what} takes http://{addr} for now"));
            }
        }
        (settings.addr, settings.store, settings.check_every) = (registry, "memory:".to_owned(), LOOK);
        let registry = start(settings).await.map_err(CliError::Discovery)?;
        let discovery = open(&DiscoveryConfig::at(registry.url())).map_err(|error| CliError::said(error.to_string()))?;
        let services = Services::new(discovery.clone());
        let told = watch::Sender::default();
        let mut config = GatewayConfig::default();
        (config.http.addr, config.http.drain_timeout, config.upstream.patience) = (gateway, DRAIN, PATIENCE);
        config.admin.addr = Some(operators);
        let gateway = Gateway::new(config).directory(told.subscribe()).services(services.clone()).local_operators().start().await?;
        console.own(format_args!("the gateway is on http://{0}, and its page on http://{0}/docs", gateway.addr()));
        Ok(Platform { known: services.watch(), registry, gateway, discovery, told, following: None, _services: services })
    }

    /// The URL that services need.
    pub(super) fn registry(&self) -> String {
        self.registry.url()
    }

    /// Requests wait from now on, until it is [opened](Platform::open).
    pub(super) fn hold(&mut self) {
        if let Some(following) = self.following.take() {
            following.abort();
        }
        self.told.send_replace(Arc::default());
    }

    /// No service runs any more: what one of them could not say itself is said for it.
    pub(super) async fn forget(&mut self) {
        let left = self.known.borrow().instances.clone();
        for instance in left {
            // If it fails: nobody is handed out for long who does not answer.
            let _ = timeout(GONE, self.discovery.withdraw(Arc::new(instance))).await;
        }
        let _ = timeout(GONE, self.known.wait_for(|known| known.instances.is_empty())).await;
    }

    /// Lets requests in as soon as all services are registered. If one of them does not, it does so all the same in the end, and says who.
    pub(super) async fn open(&mut self, places: &[Place], console: &Console) {
        let by = Instant::now() + READY;
        let are_there = |known: &Arc<Directory>| places.iter().all(|place| known.instances.iter().any(|one| is_at(one, place)));
        if timeout_at(by, self.known.wait_for(are_there)).await.is_err() {
            let known = self.known.borrow().clone();
            for place in places.iter().filter(|place| !known.instances.iter().any(|one| is_at(one, place))) {
                console.own(format_args!(
                    "{0} is not ready, so the gateway does not serve it: http://{1}/health/ready says why",
                    place.name, place.http
                ));
            }
        }
        let (mut known, told) = (self.known.clone(), self.told.clone());
        self.following = Some(tokio::spawn(async move {
            loop {
                let now = known.borrow_and_update().clone();
                told.send_replace(now);
                if known.changed().await.is_err() {
                    return;
                }
            }
        }));
    }

    /// Where the operator's API of the gateway is.
    pub(super) fn operators(&self) -> Option<SocketAddr> {
        self.gateway.admin_addr()
    }

    /// Where the gateway is.
    pub(super) fn gateway(&self) -> SocketAddr {
        self.gateway.addr()
    }

    /// Ends the gateway, then the services, which answer until then what is under way, and then the registry, from which they withdraw.
    pub(super) async fn stop(mut self, services: impl Future<Output = ()>) {
        if let Some(following) = self.following.take() {
            following.abort();
        }
        self.gateway.stop().await;
        services.await;
        self.registry.stop().await;
    }
}

fn is_at(instance: &Instance, place: &Place) -> bool {
    instance.url == place.url()
}

/// What is worth a line among those of the services.
fn log() -> LogConfig {
    let mut log = LogConfig::default();
    log.level = "error,minos_cli::gateway=warn".to_owned();
    log
}
