//! What sagas cost: one of a remote and a local step, over two services in this process.
//!
//! ```sh
//! cargo bench --bench sagas 2>/dev/null
//! MINOS_TEST_POSTGRES_URL=postgres://… MINOS_TEST_KAFKA_URL=kafka://… cargo bench --features postgres,bench-kafka --bench sagas 2>/dev/null
//! ```
//!
//! Without servers it runs on SQLite and the local broker. With them it is measured on these, too. Then many executions wait for a participant that is not
//! there, and end when it is.

#![allow(unreachable_pub)]

use minos::{Running, prelude::*};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

const TASKS: usize = 64;
const ROUND: Duration = Duration::from_secs(3);
const ROUNDS: usize = 3;
const WAITING: usize = 10_000;

mod shop {
    use minos::prelude::*;

    #[aggregate]
    pub struct Order {
        pub stock: Uuid,
    }

    #[message("Reserve", reply = Uuid)]
    pub struct Reserve {
        pub pieces: u32,
    }

    #[message("Release")]
    pub struct Release {
        pub stock: Uuid,
    }

    saga! {
        /// Reserves, and then notes it.
        pub PlaceOrder { pieces: u32 }

        remote reserve -> stock: Uuid {
            on_execute: |saga| Reserve { pieces: saga.pieces },
            on_failure: |saga| Release { stock: saga.stock },
            timeout: "10m",
        }

        local note -> order: Uuid {
            on_execute: async |cx, saga| Ok(Order::create(cx, Order { stock: saga.stock }).await?.uuid()),
            on_failure: (),
        }
    }

    #[command("PlaceOrder")]
    async fn place(cx: &mut Context, input: PlaceOrder) -> Result<Uuid> {
        Ok(cx.run(input).await?.order)
    }

    #[command("StartOrder")]
    async fn start(cx: &mut Context, input: PlaceOrder) -> Result<Uuid> {
        cx.start(input).await
    }
}

mod stock {
    use minos::prelude::*;

    #[aggregate]
    pub struct Reserved {
        pub pieces: u32,
    }

    #[derive(Deserialize)]
    pub struct Reserve {
        pieces: u32,
    }

    #[command("Reserve")]
    async fn reserve(cx: &mut Context, input: Reserve) -> Result<Uuid> {
        Ok(Reserved::create(cx, Reserved { pieces: input.pieces }).await?.uuid())
    }

    #[derive(Deserialize)]
    pub struct Release {
        stock: Uuid,
    }

    #[command("Release")]
    async fn release(cx: &mut Context, input: Release) -> Result<()> {
        Reserved::get(cx, input.stock).await?.delete(cx).await
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let sqlite = |name: &str| format!("sqlite://{}", directory.path().join(name).display());
        measure("SQLite, local broker", &sqlite("shop.db"), &sqlite("stock.db"), "local:").await;
        match (std::env::var("MINOS_TEST_POSTGRES_URL"), std::env::var("MINOS_TEST_KAFKA_URL")) {
            (Ok(postgres), Ok(kafka)) if cfg!(all(feature = "postgres", feature = "kafka")) => {
                let space = Uuid::now_v7().simple().to_string();
                let separator = if postgres.contains('?') { '&' } else { '?' };
                let store = |name: &str| format!("{postgres}{separator}schema=bench_{name}_{space}");
                measure("PostgreSQL and Kafka", &store("shop"), &store("stock"), &kafka).await;
                wait_for_the_dead(&store("shop"), &store("stock"), &kafka).await;
                drop_schemas(&postgres, &space).await;
            }
            _ => println!("not measured: PostgreSQL and Kafka, for which no servers are named or the features are missing"),
        }
    });
}

#[cfg(feature = "postgres")]
async fn drop_schemas(url: &str, space: &str) {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("a connection");
    tokio::spawn(connection);
    let sql = format!("DROP SCHEMA bench_shop_{space} CASCADE; DROP SCHEMA bench_stock_{space} CASCADE");
    client.batch_execute(&sql).await.expect("the schemas are removed");
}

#[cfg(not(feature = "postgres"))]
async fn drop_schemas(_: &str, _: &str) {}

fn service(module: &str, store: &str, broker: &str) -> Service {
    let text = format!(
        "[service]\nname = \"{module}\"\n[http]\naddr = \"127.0.0.1:0\"\n[store]\nurl = \"{store}\"\n[broker]\nurl = \"{broker}\"\n[log]\nlevel = \"warn\""
    );
    Service::from_toml(&text).expect("a configuration").module(format!("sagas::{module}"))
}

async fn both(shop: &str, stock: &str, broker: &str) -> (Arc<Running>, Running) {
    let mut both = Service::start_all([service("shop", shop, broker), service("stock", stock, broker)]).await.expect("they start");
    let (stock, shop) = (both.pop().expect("two"), both.pop().expect("two"));
    (Arc::new(shop), stock)
}

async fn measure(what: &str, shop: &str, stock: &str, broker: &str) {
    let (shop, stock) = both(shop, stock, broker).await;
    rate(&shop).await;
    let before = commits(&shop) + commits(&stock);
    let (mut rates, mut all) = (Vec::new(), 0);
    for _ in 0..ROUNDS {
        let (rate, count) = rate(&shop).await;
        rates.push(rate);
        all += count;
    }
    rates.sort_by(f64::total_cmp);
    let each = (commits(&shop) + commits(&stock) - before) as f64 / all as f64;
    println!("{what}: {:.0} sagas/s, {each:.2} units of work for each, of two steps", rates[ROUNDS / 2]);
    if let Ok(shop) = Arc::try_unwrap(shop) {
        shop.stop().await;
    }
    stock.stop().await;
}

/// What the service has committed, by its own count.
fn commits(running: &Running) -> u64 {
    let text = running.metrics();
    let line = text.lines().find(|line| line.starts_with("minos_store_commits_total"));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default()
}

async fn rate(shop: &Arc<Running>) -> (f64, u64) {
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let started = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (shop, stop, count) = (shop.clone(), stop.clone(), count.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    shop.call("PlaceOrder", &shop::PlaceOrder { pieces: 1 }).await.expect("it is placed");
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    tokio::time::sleep(ROUND).await;
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.expect("it ends");
    }
    let count = count.load(Ordering::Relaxed);
    (count as f64 / started.elapsed().as_secs_f64(), count)
}

/// The participant is not there: its messages wait in the broker, and the executions in the store.
async fn wait_for_the_dead(shop: &str, stock: &str, broker: &str) {
    let running = service("shop", shop, broker).start().await.expect("it starts");
    let started = Instant::now();
    let shop = Arc::new(running);
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let shop = shop.clone();
            tokio::spawn(async move {
                for _ in 0..WAITING / TASKS {
                    shop.call("StartOrder", &shop::PlaceOrder { pieces: 1 }).await.expect("it is started");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("it ends");
    }
    let all = WAITING / TASKS * TASKS;
    println!("waiting: {all} started in {:.1} s", started.elapsed().as_secs_f64());
    while !shop.store().outbox(0, 1).await.expect("it is read").is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (before, from) = (cpu(), Instant::now());
    tokio::time::sleep(Duration::from_secs(15)).await;
    println!("waiting: {:.1} % of a core  (goal: under 5)", (cpu() - before) / from.elapsed().as_secs_f64() * 100.0);
    let from = Instant::now();
    let stock = service("stock", stock, broker).start().await.expect("it starts");
    let ended = async || {
        let text = shop.metrics();
        let lines = text.lines().filter(|line| line.starts_with("minos_sagas_ended_total") && line.contains("committed"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum::<usize>()
    };
    while ended().await < all {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(from.elapsed() < Duration::from_secs(300), "only {} of {all} have ended", ended().await);
    }
    println!("waiting: all ended {:.1} s after the participant was there", from.elapsed().as_secs_f64());
    if let Ok(shop) = Arc::try_unwrap(shop) {
        shop.stop().await;
    }
    stock.stop().await;
}

/// The seconds of a processor that this process has used; only Linux tells it here.
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}
