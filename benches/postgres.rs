//! What we claim about commands on PostgreSQL, as ratios against the raw driver doing the same work in the same run:
//!
//! ```sh
//! MINOS_TEST_POSTGRES_URL=postgres://… cargo bench --features postgres --bench postgres 2>/dev/null
//! ```
//!
//! The raw driver inserts one event and one outbox row for each command, in batches: whatever queued while the previous batch was under way. A command
//! that renames has to read what it changes: it is compared with inserts alone, and with inserts and reads, which the raw driver batches, too. Each pair is
//! measured in turn, several times, and the median of the ratios is told. Both write to schemas of their own, which are removed.

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

const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(600);

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
    // First: later, the service still reads the log of what was measured.
    alone(&running, &writer).await;
    for concurrent in [32, 64] {
        let (mut creating, mut inserting) = (Vec::new(), Vec::new());
        let (mut renaming, mut reading) = (Vec::new(), Vec::new());
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
                    move |n| insert_one(writer.clone(), n)
                })
                .await,
            );
            renaming.push(
                2.0 * rate(concurrent, {
                    let running = running.clone();
                    move |n| create_and_rename(running.clone(), n)
                })
                .await,
            );
            reading.push(
                2.0 * rate(concurrent, {
                    let writer = writer.clone();
                    move |n| insert_read_insert(writer.clone(), n)
                })
                .await,
            );
        }
        report(&format!("create, {concurrent} at once"), &creating, &inserting);
        report(&format!("create and then rename, {concurrent} at once"), &renaming, &inserting);
        report("  and the raw driver reads, too", &renaming, &reading);
    }
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
        insert(writer, Uuid::now_v7(), 1, n).await;
        raw.push(started.elapsed().as_secs_f64() * 1e6);
    }
    let (ours, raw) = (median(&ours), median(&raw));
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

fn median(all: &[f64]) -> f64 {
    let mut all = all.to_vec();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// The disk may be twice as fast in one round as in the next: what is compared was measured in the same one.
fn report(what: &str, ours: &[f64], raw: &[f64]) {
    let ratios: Vec<f64> = ours.iter().zip(raw).map(|(ours, raw)| ours / raw).collect();
    let (ours, raw, ratio) = (median(ours), median(raw), median(&ratios));
    println!("{what:<38} {ours:>8.0}/s  raw {raw:>8.0}/s  ratio {ratio:.2}  (goal: at least 0.8)");
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
    version: i64,
    data: String,
    done: oneshot::Sender<()>,
}

struct Read {
    uuid: Uuid,
    done: oneshot::Sender<Vec<serde_json::Value>>,
}

/// A connection that inserts what has queued up with one statement, and one that reads what has, as well as `tokio-postgres` can.
#[derive(Clone)]
struct Raw {
    rows: mpsc::Sender<Row>,
    reads: mpsc::Sender<Read>,
}

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
                let versions: Vec<i64> = rows.iter().map(|row| row.version).collect();
                let names = vec!["FooCreated"; rows.len()];
                let data: Vec<serde_json::Value> = rows.iter().map(|row| serde_json::from_str(&row.data).expect("JSON")).collect();
                let metadata = vec![serde_json::json!({}); rows.len()];
                client.execute(&insert, &[&streams, &versions, &names, &data, &metadata]).await.expect("they are inserted");
                for row in rows.drain(..) {
                    let _ = row.done.send(());
                }
            }
        });
        let client = connect(url).await;
        // Else it reads the whole table, once that was small.
        let plans =
            "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off;
            SET enable_mergejoin = off";
        client.batch_execute(plans).await.expect("the settings");
        let select = format!(
            "SELECT s.n, e.data FROM unnest($1::text[]) WITH ORDINALITY AS s(stream, n)
            JOIN {schema}.events e ON e.stream = s.stream ORDER BY s.n, e.version"
        );
        let select = client.prepare(&select).await.expect("the statement");
        let (reads, mut receive) = mpsc::channel::<Read>(4096);
        tokio::spawn(async move {
            let mut waiting = Vec::with_capacity(256);
            while receive.recv_many(&mut waiting, 256).await > 0 {
                let streams: Vec<String> = waiting.iter().map(|read| read.uuid.to_string()).collect();
                let mut found = vec![Vec::new(); waiting.len()];
                for row in client.query(&select, &[&streams]).await.expect("they are read") {
                    found[row.get::<_, i64>(0) as usize - 1].push(row.get(1));
                }
                for (read, found) in waiting.drain(..).zip(found) {
                    let _ = read.done.send(found);
                }
            }
        });
        Raw { rows: send, reads }
    }
}

async fn insert(writer: &Raw, uuid: Uuid, version: i64, n: usize) {
    let (done, wait) = oneshot::channel();
    let data = format!("{{\"name\":\"the name of a foo\",\"n\":{n}}}");
    writer.rows.send(Row { uuid, version, data, done }).await.expect("the writer is there");
    wait.await.expect("it is written");
}

async fn insert_one(writer: Raw, n: usize) {
    insert(&writer, Uuid::now_v7(), 1, n).await;
}

async fn insert_read_insert(writer: Raw, n: usize) {
    let uuid = Uuid::now_v7();
    insert(&writer, uuid, 1, n).await;
    let (done, wait) = oneshot::channel();
    writer.reads.send(Read { uuid, done }).await.expect("the reader is there");
    assert_eq!(wait.await.expect("it is read").len(), 1);
    insert(&writer, uuid, 2, n).await;
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}
