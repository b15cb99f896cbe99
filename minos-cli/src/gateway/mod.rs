//! `minos gateway`: one address for all services.
//!
//! A request comes in at `server`, on one of the `workers`, is looked at in `app` with what is in `edge`, finds its `table` entry, and is asked of an instance in `upstream`. Which
//! services there are is told from outside, by a [`Directory`] that changes.

mod admin;
mod app;
pub(crate) mod command;
pub mod config;
mod edge;
mod metrics;
mod openapi;
mod operator;
mod patience;
mod server;
mod table;
mod tls;
mod upstream;
mod workers;

pub use config::GatewayConfig;
pub use edge::verify::{TokenError, Verified, Verifier, Verifying};

use admin::Admin;
use app::App;
use config::Audience;
use edge::{Peer, tokens::Tokens};
use http::{Request, Response};
use hyper::body::Incoming;
use minos_runtime::{
    auth, clock,
    discovery::{Directory, Services},
    stop::{Stop, Stopper},
};
use server::{Answers, Server};
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};
use table::Table;
use tls::Tls;
use tokio::{sync::watch, task::JoinHandle};
use upstream::Body;
use workers::Workers;

/// How often connections are closed that nobody uses.
const TIDY: Duration = Duration::from_secs(2);
/// How long a service whose document is missing is left alone, at first: it may have just begun.
const SOON: Duration = Duration::from_secs(2);

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// The configuration makes no sense; where, and what to write.
    #[error("{0}")]
    Config(String),
    /// It cannot listen.
    #[error("{addr} cannot be listened on: {why}; set `{key}` to another address")]
    Listen {
        /// Where.
        addr: SocketAddr,
        /// The key that says so.
        key: &'static str,
        /// Why not.
        why: std::io::Error,
    },
}

/// A gateway that does not run yet.
#[must_use = "a gateway does nothing before `start`"]
pub struct Gateway {
    config: GatewayConfig,
    directory: Option<watch::Receiver<Arc<Directory>>>,
    services: Option<Services>,
    verifier: Option<Arc<dyn Verifier>>,
    local_operators: bool,
}

/// A gateway that runs in the background of this program, until it is [stopped](RunningGateway::stop).
#[must_use = "stop it, or what is under way is cut off"]
pub struct RunningGateway {
    addr: SocketAddr,
    admin_addr: Option<SocketAddr>,
    app: Arc<App>,
    stop: Stopper,
    tasks: Vec<JoinHandle<()>>,
}

impl Gateway {
    /// A gateway with this configuration.
    pub fn new(config: GatewayConfig) -> Self {
        Gateway { config, directory: None, services: None, verifier: None, local_operators: false }
    }

    /// Serves the services of this directory, beside those of the configuration, and follows its changes. Then nobody else is asked, whatever `discovery.url` says.
    pub fn directory(mut self, directory: watch::Receiver<Arc<Directory>>) -> Self {
        self.directory = Some(directory);
        self
    }

    /// Says to the operator that this is who tells which services there are. Without a [directory](Gateway::directory), what it knows is followed.
    pub fn services(mut self, services: Services) -> Self {
        self.services = Some(services);
        self
    }

    /// Looks at tokens with this, and not by what `[auth]` says.
    pub fn verifier(mut self, verifier: Arc<dyn Verifier>) -> Self {
        self.verifier = Some(verifier);
        self
    }

    /// Takes everybody who asks from this machine for the operator, whatever they show: for where services are developed, on a machine that is one person's.
    pub fn local_operators(mut self) -> Self {
        self.local_operators = true;
        self
    }

    /// Starts it, and returns as soon as it answers.
    ///
    /// # Errors
    /// If the configuration makes no sense, or an address cannot be listened on.
    pub async fn start(self) -> Result<RunningGateway, GatewayError> {
        let Gateway { config, directory, services, verifier, local_operators } = self;
        let tls = Tls::new(&config.tls)?;
        let verifier = match (verifier, &config.auth) {
            (None, Some(auth)) => {
                let opened = auth::Verifier::open(auth, clock::system()).await;
                Some(Arc::new(Tokens(opened.map_err(|error| GatewayError::Config(error.to_string()))?)) as Arc<dyn Verifier>)
            }
            (given, _) => given,
        };
        let services = if services.is_none() && directory.is_none() { registry(&config)? } else { services };
        let directory = directory.or_else(|| services.as_ref().map(Services::watch));
        let app = Arc::new(App::new(config, verifier, services)?);
        let (http, admin) = (&app.config.http, app.config.admin.addr);
        let listen = |addr, key| move |why| GatewayError::Listen { addr, key, why };
        let count = http.worker_threads();
        let workers = Workers::start(count)
            .map_err(|error| GatewayError::Config(format!("{count} threads cannot be started: {error}; see `http.workers`")))?;
        let server = Server::bind(http.addr, http, tls, workers).await.map_err(listen(http.addr, "http.addr"))?;
        let operators = match admin {
            Some(addr) => Some(Server::bind(addr, http, None, Workers::none()).await.map_err(listen(addr, "admin.addr"))?),
            None => None,
        };
        follow(&app, directory.as_ref().map(|directory| directory.borrow().clone()).as_deref());
        let stop = Stopper::new();
        let (addr, admin_addr) = (server.addr, operators.as_ref().map(|server| server.addr));
        let mut tasks =
            vec![tokio::spawn(server.serve(app.clone(), stop.hear().said())), tokio::spawn(keep(app.clone(), directory, stop.hear()))];
        if let Some(server) = operators {
            tasks.push(tokio::spawn(server.serve(Arc::new(Admin::new(app.clone(), local_operators)), stop.hear().said())));
        }
        Ok(RunningGateway { addr, admin_addr, app, stop, tasks })
    }
}

impl RunningGateway {
    /// The address on which it answers.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address of the operator's API, if there is one.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_addr
    }

    /// What it serves: `GET /foos/{uuid} -> foo`.
    pub fn routes(&self) -> Vec<String> {
        self.app.table.load().routes().map(|route| format!("{} {} -> {}", route.method, route.path, route.service)).collect()
    }

    /// Stops it: no new connections, what runs is answered, within `http.drain_timeout`.
    pub async fn stop(self) {
        self.stop.say();
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a part of the gateway did not end well");
            }
        }
    }
}

impl Answers for App {
    async fn answer(self: Arc<Self>, peer: Arc<Peer>, request: Request<Incoming>) -> Response<Body> {
        App::answer(&self, &peer, request).await
    }

    fn connected(&self, by: i64) {
        self.metrics.connections.inc_by(by);
    }
}

/// Who tells which services there are, if the configuration names somebody.
fn registry(config: &GatewayConfig) -> Result<Option<Services>, GatewayError> {
    if config.discovery.url.is_empty() {
        return Ok(None);
    }
    let mut discovery = minos_runtime::config::DiscoveryConfig::at(&config.discovery.url);
    discovery.token = config.discovery.token.clone();
    Services::open(&discovery).map(Some).map_err(|error| GatewayError::Config(format!("`discovery.url`: {error}")))
}

/// Takes a new directory, with the services of the configuration.
fn follow(app: &App, told: Option<&Directory>) {
    let mut directory = app.config.directory();
    if let Some(told) = told {
        directory.revision.clone_from(&told.revision);
        directory.instances.extend(told.instances.iter().cloned());
    }
    let before = app.table.load();
    let table = Table::build(&before, &directory, &app.config, &app.metrics);
    for conflict in table.conflicts.iter().filter(|conflict| !before.conflicts.contains(conflict)) {
        tracing::warn!("`{}` of `{}` is not served: {} has it", conflict.route, conflict.service, conflict.kept_by);
    }
    for (service, why) in table.unusable.iter().filter(|one| !before.unusable.contains(one)) {
        tracing::warn!("an instance of `{service}` is not asked: {why}");
    }
    tracing::debug!("{} routes, {} instances", table.routes().count(), table.instances.len());
    app.table.store(Arc::new(table));
    app.patience.renewed();
}

/// Keeps the table as the directory is, the documents as the services tell them, and no connection longer than needed.
async fn keep(app: Arc<App>, directory: Option<watch::Receiver<Arc<Directory>>>, stop: Stop) {
    let mut documents = BTreeMap::new();
    let mut said = std::pin::pin!(stop.said());
    let documenting = async {
        if app.config.openapi.serve == Audience::Nobody {
            return std::future::pending().await;
        }
        loop {
            openapi::refresh(&app, &mut documents).await;
            let is_whole = app.documents.missing().is_empty();
            let refresh = app.config.openapi.refresh;
            let pause = if is_whole { refresh } else { refresh.min(SOON) };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = app.renewed.notified() => {}
            }
        }
    };
    let following = async {
        let Some(mut directory) = directory else { return std::future::pending().await };
        // Who told has gone: what was told last still holds.
        while directory.changed().await.is_ok() {
            let told = directory.borrow_and_update().clone();
            follow(&app, Some(&told));
            app.renewed.notify_one();
        }
        std::future::pending::<()>().await;
    };
    let tidying = async {
        loop {
            tokio::time::sleep(TIDY).await;
            let table = app.table.load();
            table.instances.iter().for_each(|instance| instance.tidy());
            table.operated.tidy();
        }
    };
    tokio::select! {
        () = &mut said => {}
        () = documenting => {}
        () = following => {}
        () = tidying => {}
    }
}
