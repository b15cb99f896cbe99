//! Services of [`app`](crate::app) on free ports, and what tests do with all of them.

use crate::common::{config, post};
use minos::{Running, prelude::*};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// Counts calls, from inside handlers.
#[derive(Default, Clone)]
pub struct Calls(Arc<AtomicUsize>);

/// What a handler has seen, and whether its bug is fixed.
#[derive(Default, Clone)]
pub struct Bug {
    pub seen: Arc<Mutex<Vec<String>>>,
    pub fixed: Arc<AtomicBool>,
}

/// After how many milliseconds `POST /late` would do something.
pub struct TooLate(pub u64);

impl Calls {
    pub fn add(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

pub fn service(store: &str, module: &str, calls: &Calls) -> Service {
    service_with(store, module, calls, str::to_owned)
}

/// A service whose configuration is not quite that of the others.
pub fn service_with(store: &str, module: &str, calls: &Calls, change: impl FnOnce(&str) -> String) -> Service {
    let config = change(&config("test", store));
    Service::from_toml(&config)
        .unwrap()
        .module(format!("service::app::{module}"))
        .with(calls.clone())
        .with(Bug::default())
        .with(TooLate(60_000))
}

pub async fn start(module: &str) -> (Running, SocketAddr, Calls) {
    let calls = Calls::default();
    let running = service("memory:", module, &calls).start().await.unwrap();
    let addr = running.addr();
    (running, addr, calls)
}

/// A service with room for this many connections.
pub async fn narrow(module: &str, connections: usize) -> (Running, SocketAddr, Calls) {
    start_with(module, "[http]", &format!("[http]\nmax_connections = {connections}")).await
}

/// A service in whose configuration one text is another.
pub async fn start_with(module: &str, text: &str, other: &str) -> (Running, SocketAddr, Calls) {
    let calls = Calls::default();
    let running = service_with("memory:", module, &calls, |config| config.replace(text, other)).start().await.unwrap();
    let addr = running.addr();
    (running, addr, calls)
}

pub async fn open(addr: SocketAddr) -> String {
    let answer = post(addr, "/accounts", r#"{"owner":"ada"}"#).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json().as_str().unwrap().to_owned()
}

/// Runs this many at once.
pub async fn all<T: Send + 'static, F: Future<Output = T> + Send + 'static>(count: usize, make: impl Fn(usize) -> F) -> Vec<T> {
    let tasks: Vec<_> = (0..count).map(|n| tokio::spawn(make(n))).collect();
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.unwrap());
    }
    all
}
