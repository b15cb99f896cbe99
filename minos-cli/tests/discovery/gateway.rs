//! A gateway that is told by the registry, before services that are processes of their own.

use crate::{
    common::{get, process::Process, send, until},
    kit::{Client, Instance, free, registry},
};
use std::{fs, net::SocketAddr, process::Command, sync::atomic::Ordering, time::Duration};
use tempfile::TempDir;

struct Gateway {
    process: Process,
    operator: SocketAddr,
    _directory: TempDir,
}

impl Gateway {
    fn start(registry: SocketAddr) -> Self {
        let (directory, addr, operator) = (tempfile::tempdir().unwrap(), free(), free());
        let path = directory.path().join("gateway.toml");
        let text = format!(
            "[http]\naddr = \"{addr}\"\n[admin]\naddr = \"{operator}\"\ntoken = \"the operator of all\"\n[discovery]\nurl = \"http://{registry}\"\n[log]\nlevel = \"info\""
        );
        fs::write(&path, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_minos"));
        command.arg("gateway").arg("--config").arg(path);
        Gateway { process: Process::start(command), operator, _directory: directory }
    }

    async fn addr(&self) -> SocketAddr {
        let line = self.process.says("gateway: listening on http://").await;
        line.rsplit("http://").next().and_then(|addr| addr.trim().parse().ok()).unwrap_or_else(|| panic!("{line}"))
    }

    /// Waits until it knows so many instances.
    async fn knows(&self, count: usize) {
        let token = "authorization: Bearer the operator of all\r\n";
        until(&format!("the gateway knows {count} instances"), async || {
            let told = send(self.operator, "GET", "/instances", token, "").await;
            told.is_ok_and(|told| told.status == 200 && told.json().as_array().is_some_and(|all| all.len() == count))
        })
        .await;
    }

    async fn clients(&self, count: usize) -> Vec<Client> {
        let addr = self.addr().await;
        let ask = move || async move { send(addr, "GET", "/who/me", "", "").await.is_ok_and(|answer| answer.status == 200) };
        (0..count).map(|_| Client::asking(ask)).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_registers_is_served_and_who_is_killed_costs_one_request_at_most() {
    let addr = free();
    let gateway = Gateway::start(addr);
    let at = gateway.addr().await;
    assert_eq!(get(at, "/who/me").await.status, 404, "nobody has told it of anything");
    let _registry = registry(addr);
    let (mut one, _other) = (Instance::registered(addr).await, Instance::registered(addr).await);
    gateway.knows(2).await;
    let clients = gateway.clients(4).await;
    let answered = async |more: usize| {
        let before: Vec<_> = clients.iter().map(|client| client.answered.load(Ordering::SeqCst)).collect();
        until("all clients go on", async || {
            clients.iter().zip(&before).all(|(client, before)| client.answered.load(Ordering::SeqCst) > before + more)
        })
        .await;
    };
    answered(50).await;
    one.process.signal("KILL");
    one.process.ended().await;
    gateway.knows(1).await;
    answered(50).await;
    for client in clients {
        let (answered, failed) = client.stop().await;
        assert!(failed <= 1, "{failed} of {answered}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_and_the_death_of_the_registry_fail_nobody() {
    let addr = free();
    let first = registry(addr);
    let gateway = Gateway::start(addr);
    let mut running = vec![Instance::registered(addr).await, Instance::registered(addr).await];
    gateway.knows(2).await;
    let clients = gateway.clients(6).await;
    for _ in 0..2 {
        let mut old = running.remove(0);
        running.push(Instance::registered(addr).await);
        gateway.knows(3).await;
        old.process.signal("TERM");
        assert!(old.process.ended().await.success(), "{:?}", old.process.lines());
        gateway.knows(2).await;
    }
    drop(first);
    running[0].process.says("others may not find this instance").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    gateway.knows(2).await;
    for client in clients {
        let (answered, failed) = client.stop().await;
        assert!(answered > 100 && failed == 0, "{failed} of {answered}");
    }
}
