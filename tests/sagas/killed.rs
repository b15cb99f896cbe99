//! `kill -9` of the coordinator and of the participant under load, on PostgreSQL and Kafka: every transfer ends, and no money is lost or made.

use crate::{
    bank::UNLUCKY,
    common::{
        config, get, post,
        process::{self, Process},
        send,
        servers::{KAFKA, POSTGRES, Servers},
        until, until_within,
    },
};
use minos::{prelude::*, store::SagaFilter};
use serde_json::json;
use std::net::SocketAddr;

const ROUNDS: usize = 16;
const EACH: usize = 12;
const ACCOUNTS: usize = 8;
const BALANCE: i64 = 1_000_000;

fn address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The URL of a schema of this name.
fn store(servers: &Servers, schema: &str) -> String {
    let separator = if servers.postgres.contains('?') { '&' } else { '?' };
    format!("{}{separator}schema={schema}", servers.postgres)
}

struct Party {
    name: &'static str,
    addr: SocketAddr,
    config: String,
    directory: std::path::PathBuf,
    process: Option<Process>,
}

impl Party {
    fn new(name: &'static str, servers: &Servers) -> Self {
        let addr = address();
        let config = config(name, &store(servers, name))
            // A restart takes up its partitions at once, and not when the session of the process that was killed has ended.
            .replace("[http]", "instance = \"one\"\n[http]")
            .replace("127.0.0.1:0", &addr.to_string())
            .replace("request_timeout = \"2s\"", "request_timeout = \"60s\"")
            .replace("[broker]", &format!("[broker]\nurl = \"{}\"", servers.kafka));
        let directory = servers.directory().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        Party { name, addr, config, directory, process: None }
    }

    async fn start(&mut self) {
        self.process = None;
        self.process = Some(Process::start(process::service(&self.directory, &format!("sagas::{}", self.name), &self.config)));
        let addr = self.addr;
        until_within(60, "it answers", async || matches!(send(addr, "GET", "/health", "", "").await, Ok(answer) if answer.status == 200))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes half a minute; run by `cargo test --all-features --test sagas -- --ignored`"]
async fn f33_killed_at_any_moment_every_saga_ends_and_no_money_is_lost() {
    let Some(servers) = Servers::start("sagas", &[POSTGRES, KAFKA]) else { return };
    let (mut teller, mut bank) = (Party::new("teller", &servers), Party::new("bank", &servers));
    teller.start().await;
    bank.start().await;
    let mut accounts = Vec::new();
    for _ in 0..ACCOUNTS {
        accounts.push(post(bank.addr, "/accounts", &BALANCE.to_string()).await.json().as_str().unwrap().to_owned());
    }
    let mut keys = Vec::new();
    for round in 0..ROUNDS {
        for n in 0..EACH {
            let number = round * EACH + n;
            let key = format!("order-{number}");
            let nobody = Uuid::now_v7().to_string();
            let to = if number % 5 == 4 { &nobody } else { &accounts[(number + 1) % ACCOUNTS] };
            let amount = if number % 3 == 2 { UNLUCKY } else { 1 + (number % 7) as i64 };
            let order = json!({ "key": key, "transfer": { "from": accounts[number % ACCOUNTS], "to": to, "amount": amount } }).to_string();
            let addr = teller.addr;
            until_within(
                60,
                "it is ordered",
                async || matches!(send(addr, "POST", "/orders", "", &order).await, Ok(answer) if answer.status == 200),
            )
            .await;
            keys.push(key);
        }
        tokio::time::sleep(std::time::Duration::from_millis((round as u64 * 83) % 700)).await;
        let party = if round % 2 == 0 { &mut teller } else { &mut bank };
        party.start().await;
    }
    let store = minos::store::open(&store(&servers, "teller"), "teller", &minos::metrics::Metrics::new("teller")).await.unwrap();
    let all = async || store.sagas(SagaFilter::default(), None, 10_000).await.unwrap();
    until_within(240, "all have ended", async || all().await.iter().all(|row| row.ended)).await;
    let rows = all().await;
    assert_eq!(rows.len(), keys.len(), "each order once");
    let mut expected = vec![BALANCE; ACCOUNTS];
    let place = |account: &serde_json::Value| accounts.iter().position(|known| *account == **known);
    for row in &rows {
        let state: serde_json::Value = serde_json::from_str(&row.state).unwrap();
        let values = &state["values"];
        let (from, to, amount) = (place(&values["from"]), place(&values["to"]), values["amount"].as_i64().unwrap());
        let done = row.status == "committed";
        assert!(!done || (amount != UNLUCKY && to.is_some()), "what cannot be has happened: {state}");
        if let (true, Some(from), Some(to)) = (done, from, to) {
            expected[from] -= amount;
            expected[to] += amount;
        }
    }
    let mut balances = Vec::new();
    for account in &accounts {
        balances.push(get(bank.addr, &format!("/accounts/{account}")).await.json()["balance"].as_i64().unwrap());
    }
    assert_eq!(balances, expected, "each step was done or undone exactly once");
    let done = rows.iter().filter(|row| row.status == "committed").count();
    until("the transfers that are noted are those that were done", async || {
        let log = store.log(0, 10_000, None).await.unwrap().events;
        let count = |name: &str| log.iter().filter(|event| event.name == name).count();
        count("TransferCreated") - count("TransferDeleted") == done
    })
    .await;
    let mut reasons = std::collections::BTreeMap::<String, usize>::new();
    for row in rows.iter().filter(|row| row.status != "committed") {
        let state: serde_json::Value = serde_json::from_str(&row.state).unwrap();
        let why = state["failure"]["message"].as_str().unwrap_or_default();
        *reasons.entry(why.split(" no ").next().unwrap_or_default().to_owned()).or_default() += 1;
    }
    eprintln!("rolled back because: {reasons:#?}");
    eprintln!("{ROUNDS} kills: {} sagas, {done} committed, {} rolled back", rows.len(), rows.len() - done);
    store.close().await;
}
