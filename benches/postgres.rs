//! What we claim about commands on PostgreSQL, as ratios against the raw driver doing the same work in the same run:
//!
//! ```sh
//! MINOS_TEST_POSTGRES_URL=postgres://… cargo bench --features postgres --bench postgres 2>/dev/null
//! ```
//!
//! The raw driver inserts one event and one outbox row for each command, in batches: whatever queued while the previous batch was under way. Each
//! pair is measured in turn, several times, and the medians are compared. Both write to schemas of their own, which are removed.

#![allow(unreachable_pub)]

use minos::{Running, prelude::*};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::{Client, NoTls};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);

#[aggregate]
pub struct Foo {
    pub name: String,
    pub n: u64,
}

#[derive(Serialize, Deserialize)]
pub struct CreateFoo {
    name: String,
    n: u64,
}

#[command("CreateFoo")]
async fn create_foo(cx: &mut Context, input: CreateFoo) -> Result<Uuid> {
    Ok(Foo::create(cx, Foo { name: input.name, n: input.n }).await?.uuid())
}

#[derive(Serialize, Deserialize)]
pub struct RenameFoo {
    uuid: Uuid,
    name: String,
}

#[command("RenameFoo")]
async fn rename_foo(cx: &mut Context, input: RenameFoo) -> Result<()> {
    let mut foo = Foo::get(cx, input.uuid).await?;
    foo.name = input.name;
    foo.save(cx).await
}

fn main() {
    let Ok(url) = std::env::var("MINOS_TEST_POSTGRES_URL") else {
        println!("not measured: MINOS_TEST_POSTGRES_URL does not name a PostgreSQL server");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run(&url));
}

async fn run(url: &str) {
    let admin = connect(url).await;
    let space = Uuid::now_v7().simple().to_string();
    let (ours, raw) = (format!("bench_{space}"), format!("raw_{space}"));
    let separator = if url.contains('?') { '&' } else { '?' };
    let running = start(&format!("{url}{separator}schema={ours}")).await;
    let writer = Raw::start(url, &raw).await;
    for concurrent in [32, 64] {
        let (mut creating, mut pairs, mut inserting) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            creating.push(
                rate(concurrent, {
                    let running = running.clone();
                    move |n| create(running.clone(), n)
                })
                .await,
            );
            inserting.push(
                rate(concurrent, {
                    let writer = writer.clone();
                    move |n| insert(writer.clone(), n)
                })
                .await,
            );
            pairs.push(
                2.0 * rate(concurrent, {
                    let running = running.clone();
                    move |n| create_and_rename(running.clone(), n)
                })
                .await,
            );
        }
        let raw = median(&mut inserting);
        report(&format!("create, {concurrent} at once"), median(&mut creating), raw);
        report(&format!("create and then rename, {concurrent} at once"), median(&mut pairs), raw);
    }
    alone(&running, &writer).await;
    if let Ok(running) = Arc::try_unwrap(running) {
        running.stop().await;
    }
    admin.batch_execute(&format!("DROP SCHEMA {ours} CASCADE; DROP SCHEMA {raw} CASCADE")).await.expect("the schemas are removed");
}

/// The time of one command when there is no other.
async fn alone(running: &Arc<Running>, writer: &Raw) {
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for n in 0..300 {
        let started = Instant::now();
        create(running.clone(), n).await;
        ours.push(started.elapsed().as_secs_f64() * 1e6);
        let started = Instant::now();
        insert(writer.clone(), n).await;
        raw.push(started.elapsed().as_secs_f64() * 1e6);
    }
    let (ours, raw) = (median(&mut ours), median(&mut raw));
    println!("{:<38} {ours:>8.0} µs  raw {raw:>8.0} µs  ratio {:.2}  (goal: at most 1.5)", "one command when idle", ours / raw);
}

async fn start(store: &str) -> Arc<Running> {
    let text = format!("[service]\nname = \"bench\"\n[http]\naddr = \"127.0.0.1:0\"\n[store]\nurl = \"{store}\"");
    Arc::new(Service::from_toml(&text).expect("a configuration").start().await.expect("it starts"))
}

async fn create(running: Arc<Running>, n: usize) {
    let input = CreateFoo { name: "the name of a foo".to_owned(), n: n as u64 };
    running.call("CreateFoo", &input).await.expect("it is created");
}

async fn create_and_rename(running: Arc<Running>, n: usize) {
    let input = CreateFoo { name: "the name of a foo".to_owned(), n: n as u64 };
    let answer = running.call("CreateFoo", &input).await.expect("it is created");
    let uuid = serde_json::from_slice(answer.body()).expect("a uuid");
    running.call("RenameFoo", &RenameFoo { uuid, name: "another name".to_owned() }).await.expect("it is renamed");
}

fn median(all: &mut [f64]) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn report(what: &str, ours: f64, raw: f64) {
    println!("{what:<38} {ours:>8.0}/s  raw {raw:>8.0}/s  ratio {:.2}  (goal: at least 0.8)", ours / raw);
}

/// Runs work in many tasks for a while; how often it was done in a second.
async fn rate<F: Future<Output = ()> + Send + 'static>(tasks: usize, work: impl Fn(usize) -> F + Clone + Send + 'static) -> f64 {
    let (done, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let tasks: Vec<_> = (0..tasks)
        .map(|n| {
            let (work, done, stop) = (work.clone(), done.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    work(n).await;
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let started = Instant::now();
    tokio::time::sleep(ROUND).await;
    let rate = done.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.expect("it does not panic");
    }
    rate
}

struct Row {
    uuid: Uuid,
    data: String,
    done: oneshot::Sender<()>,
}

/// One connection that inserts what has queued up with one statement, as well as `tokio-postgres` can.
#[derive(Clone)]
struct Raw(mpsc::Sender<Row>);

impl Raw {
    async fn start(url: &str, schema: &str) -> Self {
        let client = connect(url).await;
        let tables = format!(
            "CREATE SCHEMA {schema};
            CREATE TABLE {schema}.events (position bigint GENERATED ALWAYS AS IDENTITY UNIQUE, xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
                stream text NOT NULL, version bigint NOT NULL, name text NOT NULL, data jsonb NOT NULL, metadata jsonb NOT NULL,
                PRIMARY KEY (stream, version));
            CREATE TABLE {schema}.outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, topic text NOT NULL, key text NOT NULL, data jsonb NOT NULL)"
        );
        client.batch_execute(&tables).await.expect("the tables");
        let insert = format!(
            "WITH e AS (INSERT INTO {schema}.events (stream, version, name, data, metadata)
                SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::jsonb[], $5::jsonb[]) RETURNING stream, name, data)
            INSERT INTO {schema}.outbox (topic, key, data) SELECT name, stream, data FROM e"
        );
        let insert = client.prepare(&insert).await.expect("the statement");
        let (send, mut receive) = mpsc::channel::<Row>(4096);
        tokio::spawn(async move {
            let mut rows = Vec::with_capacity(256);
            while receive.recv_many(&mut rows, 256).await > 0 {
                let streams: Vec<String> = rows.iter().map(|row| row.uuid.to_string()).collect();
                let (versions, names) = (vec![1_i64; rows.len()], vec!["FooCreated"; rows.len()]);
                let data: Vec<serde_json::Value> = rows.iter().map(|row| serde_json::from_str(&row.data).expect("JSON")).collect();
                let metadata = vec![serde_json::json!({}); rows.len()];
                client.execute(&insert, &[&streams, &versions, &names, &data, &metadata]).await.expect("they are inserted");
                for row in rows.drain(..) {
                    let _ = row.done.send(());
                }
            }
        });
        Raw(send)
    }
}

async fn insert(writer: Raw, n: usize) {
    let (done, wait) = oneshot::channel();
    let data = format!("{{\"name\":\"the name of a foo\",\"n\":{n}}}");
    writer.0.send(Row { uuid: Uuid::now_v7(), data, done }).await.expect("the writer is there");
    wait.await.expect("it is written");
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}
