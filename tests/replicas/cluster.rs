//! Processes of one service, and clients that use whichever answers.

use crate::common::{
    self,
    process::{self, Process},
    servers::{KAFKA, POSTGRES, Servers},
    until,
};
use minos::prelude::*;
use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinHandle;

/// How many items there are to be ordered: few enough that many write the tally of one at once.
pub const ITEMS: usize = 200;

/// What was acknowledged: the orders, each with the highest version that a client was told.
pub type Acknowledged = Vec<(Uuid, u64)>;

pub struct Cluster {
    pub servers: Servers,
    replicas: Vec<Replica>,
}

struct Replica {
    addr: SocketAddr,
    process: Option<Process>,
}

impl Cluster {
    /// This many processes, all of which answer.
    pub async fn start(test: &str, replicas: usize) -> Option<Self> {
        let servers = Servers::start(test, &[POSTGRES, KAFKA])?;
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let replicas = (0..replicas).map(|_| Replica { addr: free(), process: None }).collect();
        let mut cluster = Cluster { servers, replicas };
        for n in 0..cluster.replicas.len() {
            cluster.begin(n);
        }
        for replica in &cluster.replicas {
            until("it answers", async || answers(replica.addr).await).await;
        }
        let prepared = common::post(cluster.addr(0), "/prepare", "").await;
        assert_eq!(prepared.status, 204, "{prepared:?}");
        Some(cluster)
    }

    pub fn len(&self) -> usize {
        self.replicas.len()
    }

    pub fn addr(&self, n: usize) -> SocketAddr {
        self.replicas[n].addr
    }

    pub fn process(&self, n: usize) -> &Process {
        self.replicas[n].process.as_ref().expect("it runs")
    }

    /// The configuration of one process.
    pub fn config(&self, instance: &str, addr: &str) -> String {
        format!(
            "[service]\nname = \"orders\"\ninstance = \"{instance}\"\n[http]\naddr = \"{addr}\"\n[store]\nurl = \"{}\"\n[broker]\nurl = \"{}\"\nfirst_pause = \"10ms\"\nlongest_pause = \"200ms\"\nconcurrency = 8\n[log]\nlevel = \"error\"",
            self.servers.postgres, self.servers.kafka
        )
    }

    /// Starts a process.
    pub fn begin(&mut self, n: usize) {
        let directory = self.servers.directory().join(format!("replica {n}"));
        std::fs::create_dir_all(&directory).unwrap();
        let config = self.config(&format!("replica-{n}"), &self.replicas[n].addr.to_string());
        self.replicas[n].process = Some(Process::start(process::service(&directory, "replicas::app", &config)));
    }

    /// `kill -9`.
    pub fn kill(&mut self, n: usize) {
        self.replicas[n].process = None;
    }

    pub async fn answers(&self, n: usize) {
        until("it answers", async || answers(self.replicas[n].addr).await).await;
    }

    /// The store, to look at it beside the processes.
    pub async fn store(&self) -> minos::store::SharedStore {
        minos::store::open(&self.servers.postgres, "orders", &minos::metrics::Metrics::new("test")).await.unwrap()
    }
}

async fn answers(addr: SocketAddr) -> bool {
    matches!(common::send(addr, "GET", "/health", "", "").await, Ok(answer) if answer.status == 200)
}

/// Clients that place orders and promote them, as fast as they are answered.
pub struct Clients {
    stop: Arc<AtomicBool>,
    pub answered: Arc<AtomicU64>,
    clients: Vec<JoinHandle<()>>,
    acknowledged: Arc<Mutex<Acknowledged>>,
}

impl Clients {
    pub fn start(cluster: &Cluster, clients: usize) -> Self {
        let addrs: Arc<[SocketAddr]> = cluster.replicas.iter().map(|replica| replica.addr).collect();
        let (stop, answered, acknowledged) =
            (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default(), Arc::<Mutex<Acknowledged>>::default());
        let clients = (0..clients)
            .map(|client| {
                let (addrs, stop, answered, acknowledged) = (addrs.clone(), stop.clone(), answered.clone(), acknowledged.clone());
                tokio::spawn(async move {
                    let mut turn = client * 7;
                    while !stop.load(Ordering::Relaxed) {
                        turn += 1;
                        if let Some(order) = order(&addrs, turn).await {
                            acknowledged.lock().unwrap().push(order);
                            answered.fetch_add(1, Ordering::Relaxed);
                        } else {
                            // Nobody is there just now: no reason to ask a million times.
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                    }
                })
            })
            .collect();
        Clients { stop, answered, clients, acknowledged }
    }

    pub async fn stop(self) -> Acknowledged {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.unwrap();
        }
        std::mem::take(&mut *self.acknowledged.lock().unwrap())
    }
}

/// One order, placed with one process and promoted with the next one. None if it was not acknowledged.
async fn order(addrs: &[SocketAddr], turn: usize) -> Option<(Uuid, u64)> {
    let ask = async |n: usize, path: &str, body: &str| {
        let answer = common::send(addrs[n % addrs.len()], "POST", path, "", body).await.ok()?;
        // What is down says so, and is not acknowledged; anything else is a mistake.
        assert!(matches!(answer.status, 200 | 503 | 504 | 409), "{answer:?}");
        (answer.status == 200).then(|| answer.json())
    };
    let uuid = ask(turn, "/orders", &format!(r#"{{"item":"item {}"}}"#, turn % ITEMS)).await?.as_str()?.parse().ok()?;
    match ask(turn + 1, &format!("/orders/{uuid}/rank"), "").await {
        Some(version) => Some((uuid, version.as_u64()?)),
        None => Some((uuid, 2)),
    }
}
