//! `kill -9` under load, again and again: what was acknowledged is there, every event is handled, and what its handler did happened once.

#![allow(unreachable_pub)]

mod common;

#[cfg(feature = "kafka")]
use common::servers::{KAFKA, Servers};
use common::{
    post,
    process::{self, Process},
    until, until_within,
};
use minos::prelude::*;
use std::{collections::BTreeMap, net::SocketAddr, path::Path as FilePath, time::Duration};

#[aggregate]
pub struct Order {
    pub item: String,
    pub rank: u32,
}

#[derive(Deserialize)]
pub struct Place {
    item: String,
}

#[command(POST "/orders")]
async fn place(cx: &mut Context, input: Place) -> Result<Uuid> {
    let mut order = Order::create(cx, Order { item: input.item, rank: 0 }).await?;
    order.rank = 1;
    order.save(cx).await?;
    Ok(order.uuid())
}

/// How many orders there are of an item: an effect in another aggregate.
#[aggregate]
pub struct Tally {
    pub orders: u64,
}

#[event("OrderCreated")]
async fn count(cx: &mut Context, event: OrderCreated) -> Result<()> {
    cx.execute(
        "INSERT INTO seen (handler, uuid, version) VALUES ('created', ?1, ?2)",
        [event.uuid().to_string().into(), event.version().into()],
    );
    let item = Uuid::new_v5(&Uuid::NAMESPACE_OID, event.item.as_bytes());
    match Tally::find_one(cx, item).await? {
        None => Tally::create_as(cx, item, Tally { orders: 1 }).await.map(|_| ()),
        Some(mut tally) => {
            tally.orders += 1;
            tally.save(cx).await
        }
    }
}

#[event("OrderUpdated.rank")]
async fn ranked(cx: &mut Context, event: OrderUpdated) -> Result<()> {
    cx.execute(
        "INSERT INTO seen (handler, uuid, version) VALUES ('updated', ?1, ?2)",
        [event.uuid().to_string().into(), event.version().into()],
    );
    Ok(())
}

/// A table without any key, so that nothing but the inbox keeps an effect from happening twice.
#[command(POST "/prepare")]
async fn prepare(cx: &mut Context) {
    cx.execute("CREATE TABLE IF NOT EXISTS seen (n INTEGER PRIMARY KEY, handler TEXT, uuid TEXT, version INTEGER)", []);
}

fn config(directory: &FilePath, addr: &str, broker: &str) -> String {
    let url = format!("sqlite://{}", directory.join("crash.db").display());
    common::config("crash", &url).replace("127.0.0.1:0", addr).replace("[broker]", &format!("[broker]\nurl = \"{broker}\""))
}

/// No test of its own: the process that is killed.
#[test]
fn the_service() {
    process::run(serve);
}

#[minos::main]
async fn serve() -> minos::Result<()> {
    process::asked_for()?.run().await
}

async fn answers(addr: SocketAddr) -> bool {
    matches!(common::send(addr, "GET", "/health", "", "").await, Ok(answer) if answer.status == 200)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes half a minute; run by `cargo test --test crash -- --ignored`"]
async fn killed_under_load_it_loses_nothing_and_doubles_nothing() {
    killed_under_load(25, "local:").await;
}

/// The same with Kafka between the service and itself, which delivers again what was handled and not committed.
#[cfg(feature = "kafka")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute; run by `cargo test --features kafka --test crash -- --ignored`"]
async fn killed_under_load_with_kafka_it_loses_nothing_and_doubles_nothing() {
    if let Some(servers) = Servers::start("crash", &[KAFKA]) {
        killed_under_load(15, &servers.kafka).await;
    }
}

async fn killed_under_load(rounds: u64, broker: &str) {
    let directory = tempfile::tempdir().unwrap();
    let addr = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (mut acknowledged, mut in_the_middle) = (Vec::new(), 0);
    for round in 0..rounds {
        let process = Process::start(process::service(directory.path(), "crash", &config(directory.path(), &addr.to_string(), broker)));
        until("it answers", async || answers(addr).await).await;
        post(addr, "/prepare", "").await;
        let clients: Vec<_> = (0..16)
            .map(|client| {
                tokio::spawn(async move {
                    let (mut uuids, body) = (Vec::new(), format!(r#"{{"item":"item {}"}}"#, client % 4));
                    while let Ok(answer) = common::send(addr, "POST", "/orders", "", &body).await {
                        assert_eq!(answer.status, 200, "{answer:?}");
                        uuids.push(answer.json().as_str().unwrap().parse::<Uuid>().unwrap());
                    }
                    uuids
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(60 + (round * 37) % 150)).await;
        drop(process);
        let before = acknowledged.len();
        for client in clients {
            acknowledged.extend(client.await.unwrap());
        }
        in_the_middle += usize::from(acknowledged.len() > before);
    }
    assert!(in_the_middle > rounds as usize / 2, "it was mostly killed before it did anything");

    // Now in this process, to look inside.
    let running = Service::from_toml(&config(directory.path(), "127.0.0.1:0", broker)).unwrap().start().await.unwrap();
    let store = running.store().clone();
    let mut events = Vec::new();
    loop {
        let page = store.log(events.last().map_or(0, |event: &minos::store::StoredEvent| event.position), 1000, None).await.unwrap().events;
        if page.is_empty() {
            break;
        }
        events.extend(page);
    }
    let mut orders: BTreeMap<Uuid, Vec<u64>> = BTreeMap::new();
    for event in events.iter().filter(|event| event.stream.aggregate == "Order") {
        orders.entry(event.stream.uuid).or_default().push(event.version);
    }
    for uuid in &acknowledged {
        assert!(orders.contains_key(uuid), "acknowledged, and not stored: {uuid}");
    }
    assert!(orders.values().all(|versions| *versions == [1, 2]), "streams have no gaps");
    let expected = orders.len() * 2;
    let seen = async || {
        let statement = minos::store::Statement {
            sql: "SELECT count(*) AS rows, count(DISTINCT uuid || version) AS events FROM seen".to_owned(),
            parameters: vec![],
        };
        let row = store.select(statement).await.unwrap().remove(0);
        (row["rows"].as_u64().unwrap() as usize, row["events"].as_u64().unwrap() as usize)
    };
    // Kafka waits for the processes that were killed until their sessions end.
    until_within(120, "every event is handled", async || seen().await.1 == expected).await;
    assert_eq!(seen().await, (expected, expected), "each effect happened once");
    let mut tallied = 0;
    for n in 0..4 {
        let item = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("item {n}").as_bytes());
        let tally = store.stream(minos::store::StreamId::new("Tally", item), 0).await.unwrap();
        tallied += tally.len();
    }
    assert_eq!(tallied, orders.len(), "each order was counted once");
    assert!(running.dead_letters().list().await.unwrap().is_empty());
    running.stop().await;
    eprintln!("{rounds} kills: {} acknowledged, {} stored, {expected} events handled once each", acknowledged.len(), orders.len());
}
