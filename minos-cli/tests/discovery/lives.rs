//! What becomes of clients when somebody dies.

use crate::{
    common::{get, until},
    kit::{Client, Instance, free, known, registry, services},
};
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

/// Clients of their own.
async fn clients(registry: std::net::SocketAddr, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(Client::start(registry).await);
    }
    clients
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_killed_costs_each_client_one_request_at_most() {
    let addr = free();
    let _registry = registry(addr);
    let (mut one, _other) = (Instance::registered(addr).await, Instance::registered(addr).await);
    let services = services(addr);
    known(&services, 2).await;
    let directory = get(addr, "/directory").await.json();
    assert_eq!(directory["instances"][0]["endpoints"][0]["path"], "/who/{name}", "{directory}");
    let clients = clients(addr, 4).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let began = Instant::now();
    one.process.signal("KILL");
    one.process.ended().await;
    known(&services, 1).await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let failed: Vec<_> = clients.iter().map(|client| client.failed.load(Ordering::SeqCst)).collect();
    tokio::time::sleep(Duration::from_secs(2)).await;
    for (client, failed) in clients.into_iter().zip(failed) {
        let (answered, all_failed) = client.stop().await;
        assert!(answered > 100, "{answered}");
        assert!(failed <= 1 && all_failed == failed, "{failed} and then {all_failed} of {answered}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_fails_nobody() {
    let addr = free();
    let _registry = registry(addr);
    let mut running = vec![Instance::registered(addr).await, Instance::registered(addr).await];
    let services = services(addr);
    known(&services, 2).await;
    let clients = clients(addr, 4).await;
    for _ in 0..3 {
        let mut old = running.remove(0);
        running.push(Instance::registered(addr).await);
        known(&services, 3).await;
        old.process.signal("TERM");
        assert!(old.process.ended().await.success(), "{:?}", old.process.lines());
        known(&services, 2).await;
    }
    for client in clients {
        let (answered, failed) = client.stop().await;
        assert!(answered > 100 && failed == 0, "{failed} of {answered}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_is_killed_and_comes_back_empty_is_not_noticed() {
    let addr = free();
    let first = registry(addr);
    let (mut one, two) = (Instance::registered(addr).await, Instance::registered(addr).await);
    let services = services(addr);
    known(&services, 2).await;
    let clients = clients(addr, 2).await;
    // As a value of this kind ends: `kill -9`.
    drop(first);
    two.process.says("others may not find this instance").await;
    let health = get(two.process.addr().await, "/health/ready").await;
    assert_eq!(health.status, 200, "it degrades the service, and no more: {health:?}");
    assert_eq!(health.json()["parts"]["discovery"]["works"], false, "{health:?}");
    let _second = registry(addr);
    until("both have said again that they are there", async || {
        matches!(crate::common::send(addr, "GET", "/directory", "", "").await, Ok(answer) if answer.status == 200 && answer.json()["instances"].as_array().is_some_and(|all| all.len() == 2))
    })
    .await;
    known(&services, 2).await;
    one.process.signal("TERM");
    assert!(one.process.ended().await.success());
    known(&services, 1).await;
    for client in clients {
        let (answered, failed) = client.stop().await;
        assert!(answered > 100 && failed == 0, "{failed} of {answered}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_starts_and_stops_without_a_registry() {
    let addr = free();
    let mut instance = Instance::start(addr);
    let answers = instance.process.addr().await;
    assert_eq!(get(answers, "/who/me").await.status, 200);
    until("it is ready", async || get(answers, "/health/ready").await.status == 200).await;
    let metrics = get(answers, "/metrics").await.body;
    until("it is counted", async || {
        get(answers, "/metrics").await.body.contains("minos_discovery_announcements_total{service=\"order\",outcome=\"failed\"}")
    })
    .await;
    assert!(metrics.contains("minos_"), "{metrics}");
    let began = Instant::now();
    instance.process.signal("TERM");
    assert!(instance.process.ended().await.success());
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_refuses_what_makes_no_sense() {
    let start = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_minos"));
        command.arg("discovery").args(arguments).env_remove("MINOS_REGISTRY_TOKEN");
        crate::common::process::Process::start(command)
    };
    let told = start(&["--addr", "0.0.0.0:0", "--store", "memory:"]).failure().await;
    assert!(told.starts_with("error: ") && told.contains("without a token"), "{told}");
    let told = start(&["--addr", "127.0.0.1:0", "--store", "etcd:"]).failure().await;
    assert!(told.contains("there is no store for `etcd:` URLs"), "{told}");
    let told = start(&["--config", "/no/such.toml"]).failure().await;
    assert_eq!(told, "error: /no/such.toml cannot be read: No such file or directory (os error 2)");
}
