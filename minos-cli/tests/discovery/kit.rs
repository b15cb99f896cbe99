//! Processes of a registry and of services, and clients.

use crate::common::{
    process::{self, Process},
    send,
};
use minos::{config::DiscoveryConfig, discovery::Services};
use std::{
    net::{SocketAddr, TcpListener},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;

pub fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A registry without a memory, as by default otherwise.
pub fn registry(addr: SocketAddr) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_minos"));
    command.args(["discovery", "--addr", &addr.to_string(), "--store", "memory:"]);
    Process::start(command)
}

/// A process of the service, with a directory of its own.
pub struct Instance {
    pub process: Process,
    _directory: TempDir,
}

impl Instance {
    pub fn start(registry: SocketAddr) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = format!(
            "[service]\nname = \"order\"\n[http]\naddr = \"127.0.0.1:0\"\n[store]\nurl = \"memory:\"\n[log]\nlevel = \"error\"\n\
             [discovery]\nurl = \"http://{registry}\"\nrenew = \"500ms\"\nlinger = \"500ms\""
        );
        Instance { process: Process::start(process::service(directory.path(), "discovery::app", &config)), _directory: directory }
    }

    /// As soon as it has registered.
    pub async fn registered(registry: SocketAddr) -> Self {
        let instance = Instance::start(registry);
        instance.process.says("order: registered as ").await;
        instance
    }
}

pub fn services(registry: SocketAddr) -> Services {
    Services::open(&DiscoveryConfig::at(format!("http://{registry}"))).unwrap()
}

/// Waits until so many are known.
pub async fn known(services: &Services, count: usize) {
    let mut known = services.watch();
    let reached = known.wait_for(|known| known.instances.len() == count);
    assert!(matches!(tokio::time::timeout(Duration::from_secs(20), reached).await, Ok(Ok(_))), "{count} are not known within 20 s");
}

/// A client of its own, which asks whomever it finds, without a pause to speak of.
pub struct Client {
    stop: Arc<AtomicBool>,
    pub answered: Arc<AtomicUsize>,
    pub failed: Arc<AtomicUsize>,
    asking: JoinHandle<()>,
}

impl Client {
    /// One that finds instances itself.
    pub async fn start(registry: SocketAddr) -> Self {
        let services = services(registry);
        assert!(!services.instances("order").await.is_empty());
        let services = Arc::new(services);
        Client::asking(move || ask(services.clone()))
    }

    /// One that asks so.
    pub fn asking<F: Future<Output = bool> + Send>(ask: impl Fn() -> F + Send + Sync + 'static) -> Self {
        let (stop, answered, failed) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (stopped, good, bad) = (stop.clone(), answered.clone(), failed.clone());
        let asking = tokio::spawn(async move {
            while !stopped.load(Ordering::SeqCst) {
                if ask().await { &good } else { &bad }.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        Client { stop, answered, failed, asking }
    }

    /// How many were answered, and how many failed.
    pub async fn stop(self) -> (usize, usize) {
        self.stop.store(true, Ordering::SeqCst);
        self.asking.await.unwrap();
        (self.answered.load(Ordering::SeqCst), self.failed.load(Ordering::SeqCst))
    }
}

async fn ask(services: Arc<Services>) -> bool {
    let Some(instance) = services.choose("order").await else { return false };
    let addr = instance.url.strip_prefix("http://").and_then(|addr| addr.parse().ok()).unwrap();
    match send(addr, "GET", "/who/me", "", "").await {
        Ok(answer) if answer.status == 200 => {
            services.worked(&instance);
            true
        }
        _ => {
            services.failed(&instance);
            false
        }
    }
}
