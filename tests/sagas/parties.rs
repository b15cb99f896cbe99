//! The teller and the bank as processes of their own, on a PostgreSQL and a Kafka that end with the test.

use crate::common::{
    config, get, post,
    process::{self, Process},
    send,
    servers::{KAFKA, POSTGRES, Servers},
    until, until_within,
};
use minos::store::{SagaFilter, SagaRow, SharedStore};
use serde_json::Value;
use std::{net::SocketAddr, path::PathBuf};

/// How many accounts are enough for most tests.
pub const ACCOUNTS: usize = 8;
const BALANCE: i64 = 1_000_000;

/// One of them.
pub struct Party {
    pub addr: SocketAddr,
    name: &'static str,
    config: String,
    postgres: String,
    directory: PathBuf,
    process: Option<Process>,
}

impl Party {
    fn new(name: &'static str, servers: &Servers) -> Self {
        let addr = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = config(name, &url(servers, name))
            // A restart takes up its partitions at once, and not when the session of the process that was killed has ended.
            .replace("[http]", "instance = \"one\"\n[http]")
            .replace("127.0.0.1:0", &addr.to_string())
            .replace("request_timeout = \"2s\"", "request_timeout = \"60s\"")
            .replace("[broker]", &format!("[broker]\nurl = \"{}\"", servers.kafka));
        let directory = servers.directory().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        Party { addr, name, config, postgres: servers.postgres.clone(), directory, process: None }
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// The id of its process, which runs.
    pub fn id(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Kills it if it runs, and starts it.
    pub async fn start(&mut self) {
        self.spawn("").await;
        let addr = self.addr;
        until_within(60, "it answers", async || matches!(send(addr, "GET", "/health", "", "").await, Ok(answer) if answer.status == 200))
            .await;
    }

    /// The same with these failpoints, which may end it before it answers.
    pub async fn spawn(&mut self, failpoints: &str) -> &mut Process {
        if self.process.take().is_some() {
            self.give_back_leases().await;
        }
        let mut command = process::service(&self.directory, &format!("sagas::{}", self.name), &self.config);
        command.env("FAILPOINTS", failpoints);
        self.process.insert(Process::start(command))
    }
}

impl Party {
    /// The process that held its leases is gone, and nobody waits here for their time to pass.
    async fn give_back_leases(&self) {
        let (client, connection) = tokio_postgres::connect(&self.postgres, tokio_postgres::NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        client.execute(&format!("UPDATE {}.leases SET owner = NULL", self.name), &[]).await.unwrap();
        drop(client);
        connection.await.unwrap().unwrap();
    }
}

/// Both of them, and the accounts of the bank.
pub struct Parties {
    pub teller: Party,
    pub bank: Party,
    pub accounts: Vec<String>,
    // After the processes that use them.
    servers: Servers,
}

impl Parties {
    /// Nothing if tests with servers are not wanted here.
    pub async fn start(test: &str, accounts: usize) -> Option<Self> {
        let servers = Servers::start(test, &[POSTGRES, KAFKA])?;
        let (mut teller, mut bank) = (Party::new("teller", &servers), Party::new("bank", &servers));
        teller.start().await;
        bank.start().await;
        let mut opened = Vec::new();
        for _ in 0..accounts {
            opened.push(post(bank.addr, "/accounts", &BALANCE.to_string()).await.json().as_str().unwrap().to_owned());
        }
        Some(Parties { teller, bank, accounts: opened, servers })
    }

    /// The store of one of them.
    pub async fn store(&self, party: &str) -> SharedStore {
        minos::store::open(&url(&self.servers, party), party, &minos::metrics::Metrics::new(party)).await.unwrap()
    }

    /// Waits until these orders have ended, each as one execution, and checks that each step was done or undone exactly once.
    pub async fn all_is_well(&self, orders: usize) -> Vec<SagaRow> {
        let (teller, bank) = (self.store("teller").await, self.store("bank").await);
        let all = async || teller.sagas(SagaFilter::default(), None, 10_000).await.unwrap();
        until_within(120, "all have ended", async || all().await.iter().all(|row| row.ended)).await;
        let rows = all().await;
        assert_eq!(rows.len(), orders, "each order once");
        let mut expected = vec![BALANCE; self.accounts.len()];
        let (mut moves, mut notes) = (0, 0);
        for row in &rows {
            let state: Value = serde_json::from_str(&row.state).unwrap();
            let values = &state["values"];
            let amount = values["amount"].as_i64().unwrap();
            for (account, sign) in [("from", -1), ("to", 1)] {
                let place = self.accounts.iter().position(|known| values[account] == **known);
                if let Some(place) = place.filter(|_| row.status == "committed") {
                    expected[place] += sign * amount;
                }
            }
            // Of an isolated one nothing is left but what is applied.
            let isolated = row.saga == "MoveAtOnce";
            let times = |step: &str| match state["steps"][step]["status"].as_str() {
                _ if isolated => usize::from(row.status == "committed"),
                Some("succeeded") => 1,
                Some("undone") => 2,
                Some("failed") | None => 0,
                Some(other) => panic!("a step of an execution that has ended is {other}: {state}"),
            };
            moves += times("take") + times("give");
            notes += times("note");
        }
        let mut balances = Vec::new();
        for account in &self.accounts {
            balances.push(get(self.bank.addr, &format!("/accounts/{account}")).await.json()["balance"].as_i64().unwrap());
        }
        assert_eq!(balances, expected, "each step was done or undone exactly once");
        let count = async |store: &SharedStore, names: &[&str]| {
            let log = store.log(0, 100_000, None).await.unwrap().events;
            log.iter().filter(|event| names.contains(&&*event.name)).count()
        };
        // What another process has just committed can be read from the log by the next look at it.
        for (store, names, times) in [(&bank, &["AccountUpdated"][..], moves), (&teller, &["TransferCreated", "TransferDeleted"], notes)] {
            until("all that was done is in the log", async || count(store, names).await >= times).await;
            assert_eq!(count(store, names).await, times, "nothing was done twice and undone twice");
        }
        teller.close().await;
        bank.close().await;
        rows
    }
}

/// The URL of a schema of this name.
fn url(servers: &Servers, schema: &str) -> String {
    let separator = if servers.postgres.contains('?') { '&' } else { '?' };
    format!("{}{separator}schema={schema}", servers.postgres)
}

/// Gives an order, however often the teller ends meanwhile.
pub async fn order(teller: SocketAddr, path: &str, order: &Value) {
    let order = order.to_string();
    until_within(60, "it is ordered", async || matches!(send(teller, "POST", path, "", &order).await, Ok(answer) if answer.status == 200))
        .await;
}
