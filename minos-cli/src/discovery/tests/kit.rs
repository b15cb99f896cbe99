//! Registries, instances that live as the test wants, and the suite's place.

use crate::discovery::{RegistryServer, RegistrySettings, start};
use futures_util::future::BoxFuture;
use minos::discovery::{Discovery, Endpoint, Instance, InstanceName, Registry, suite::Place};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// As by default, on a free port, and in memory.
pub(super) fn settings() -> RegistrySettings {
    let log = RegistrySettings::default().log;
    RegistrySettings { addr: ([127, 0, 0, 1], 0).into(), store: "memory:".to_owned(), log, ..RegistrySettings::default() }
}

pub(super) async fn registry() -> RegistryServer {
    start(settings()).await.unwrap()
}

pub(super) fn asks(url: &str) -> Registry {
    Registry::new(url, "".into(), Duration::from_secs(5)).unwrap()
}

/// An address at which somebody says whether they are ready.
pub(super) struct Living {
    pub(super) addr: SocketAddr,
    ready: Arc<AtomicBool>,
    serving: JoinHandle<()>,
}

impl Living {
    pub(super) async fn new() -> Self {
        Living::at(([127, 0, 0, 1], 0).into()).await
    }

    pub(super) async fn at(addr: SocketAddr) -> Self {
        let listener = TcpListener::bind(addr).await.unwrap();
        let (addr, ready) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(true)));
        let says = ready.clone();
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(answer(stream, says.clone()));
            }
        });
        Living { addr, ready, serving }
    }

    pub(super) fn is_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::SeqCst);
    }

    pub(super) fn instance(&self, service: &str, id: &str) -> Arc<Instance> {
        let endpoints = vec![Endpoint { method: "GET".to_owned(), path: "/".to_owned() }];
        let admin = Some(OPERATED.to_owned());
        Arc::new(Instance { service: service.to_owned(), id: id.to_owned(), url: format!("http://{}", self.addr), endpoints, admin })
    }

    /// As `kill -9`: without a word, and with all its connections.
    pub(super) async fn dies(self) -> SocketAddr {
        self.serving.abort();
        let _ = self.serving.await;
        self.addr
    }
}

async fn answer(mut stream: TcpStream, ready: Arc<AtomicBool>) {
    let mut asked = [0; 2048];
    while matches!(stream.read(&mut asked).await, Ok(n) if n > 0) {
        let status = if ready.load(Ordering::SeqCst) { "200 OK" } else { "503 Service Unavailable" };
        if stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Where the operator's API of all of them is, as they say.
pub(super) const OPERATED: &str = "http://127.0.0.1:9";

/// The ids that are handed out of a service. What they say of their operator's API is known wherever they are.
pub(super) async fn ids(registry: &Registry, service: &str) -> Vec<String> {
    let listing = registry.directory(None).await.unwrap();
    let all = || listing.directory.instances_of(service);
    assert!(all().all(|instance| instance.admin.as_deref() == Some(OPERATED)), "{listing:?}");
    all().map(|instance| instance.id.clone()).collect()
}

/// Waits until these are handed out; how long that took.
pub(super) async fn until(registry: &Registry, service: &str, wanted: &[&str]) -> Duration {
    let began = tokio::time::Instant::now();
    while ids(registry, service).await != wanted {
        assert!(began.elapsed() < Duration::from_secs(30), "not within 30 s: {wanted:?}, but {:?}", ids(registry, service).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    began.elapsed()
}

/// A registry, and the instances that the suite wants there.
struct Registered {
    server: RegistryServer,
    there: Mutex<BTreeMap<InstanceName, (Living, Arc<Instance>)>>,
}

impl Place for Registered {
    fn discovery(&self) -> Arc<dyn Discovery> {
        Arc::new(asks(&self.server.url()))
    }

    fn let_be<'a>(&'a self, services: &'a [(&'a str, usize)], endpoint: Endpoint) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let registry = asks(&self.server.url());
            let names = |(service, count): &(&str, usize)| {
                let service = (*service).to_owned();
                (1..=*count).map(move |n| InstanceName { service: service.clone(), id: format!("i-{n}") }).collect::<Vec<_>>()
            };
            let wanted: Vec<_> = services.iter().flat_map(names).collect();
            let gone: Vec<_> = {
                let mut there = self.there.lock().unwrap();
                let gone: Vec<_> = there.keys().filter(|name| !wanted.contains(name)).cloned().collect();
                gone.iter().filter_map(|name| there.remove(name)).collect()
            };
            for (_, instance) in &gone {
                registry.withdraw(instance.clone()).await.unwrap();
            }
            for name in wanted {
                if self.there.lock().unwrap().contains_key(&name) {
                    continue;
                }
                let living = Living::new().await;
                let instance =
                    Arc::new(Instance { endpoints: vec![endpoint.clone()], ..(*living.instance(&name.service, &name.id)).clone() });
                registry.announce(instance.clone()).await.unwrap();
                self.there.lock().unwrap().insert(name, (living, instance));
            }
        })
    }
}

minos::discovery_suite!(suite, async || {
    // So long that nobody has to be announced again, and that it is warming all the time.
    let server = start(RegistrySettings { ttl: Duration::from_secs(120), ..settings() }).await.unwrap();
    Some(Registered { server, there: Mutex::default() })
});
