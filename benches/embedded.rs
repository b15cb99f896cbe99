//! What we claim about the embedded service, as ratios against the raw library doing the same work in the same run:
//!
//! ```sh
//! cargo bench --bench embedded 2>/dev/null
//! ```
//!
//! Each pair is measured in turn, several times, and the medians are compared. Logs are on, at their default level, on standard error.

#![allow(unreachable_pub)]

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use minos::{Running, prelude::*};
use std::{
    convert::Infallible,
    net::SocketAddr,
    path::Path as FilePath,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
const CONCURRENT: usize = 64;
const CONNECTIONS: usize = 32;
const TEXT: &str = "This is an example response!";

#[aggregate]
pub struct Foo {
    pub bar: String,
    pub n: u64,
}

#[derive(Serialize, Deserialize)]
pub struct CreateFoo {
    bar: String,
    n: u64,
}

#[command("CreateFoo")]
async fn create_foo(cx: &mut Context, input: CreateFoo) -> Result<Uuid> {
    Ok(Foo::create(cx, Foo { bar: input.bar, n: input.n }).await?.uuid())
}

#[query(GET "/example")]
async fn example() -> &'static str {
    TEXT
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    // `cargo bench --bench embedded commands` measures only those.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    runtime.block_on(async {
        if is_wanted("commands") {
            commands().await;
        }
        if is_wanted("queries") {
            queries().await;
        }
    });
}

async fn start(store: &str) -> Running {
    let text = format!("[service]\nname = \"bench\"\n[http]\naddr = \"127.0.0.1:0\"\n[store]\nurl = \"{store}\"");
    Service::from_toml(&text).expect("a configuration").start().await.expect("it starts")
}

fn report(what: &str, goal: f64, ours: &mut [f64], raw: &mut [f64]) {
    let median = |all: &mut [f64]| {
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let (ours, raw) = (median(ours), median(raw));
    println!("{what:<44} {ours:>9.0}/s  raw {raw:>9.0}/s  ratio {:.2}  (goal {goal})", ours / raw);
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

/// Commands that create an aggregate, against a writer that inserts the same rows in batches.
async fn commands() {
    let directory = tempfile::tempdir().expect("a directory");
    let running = Arc::new(start(&format!("sqlite://{}", directory.path().join("ours.db").display())).await);
    let raw = Raw::open(&directory.path().join("raw.db"));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let service = running.clone();
        ours.push(
            rate(CONCURRENT, move |n| {
                let service = service.clone();
                async move {
                    let input = CreateFoo { bar: "the name of a foo".to_owned(), n: n as u64 };
                    service.call("CreateFoo", &input).await.expect("it is created");
                }
            })
            .await,
        );
        let raw = raw.clone();
        theirs.push(rate(CONCURRENT, move |n| raw.clone().insert(n)).await);
    }
    report("commands on SQLite, 64 at once", 0.8, &mut ours, &mut theirs);
}

type Row = (String, String, oneshot::Sender<()>);

/// One thread that inserts what has queued up in one transaction, as well as `rusqlite` can.
#[derive(Clone)]
struct Raw(mpsc::Sender<Row>);

impl Raw {
    fn open(path: &FilePath) -> Self {
        let connection = rusqlite::Connection::open(path).expect("a database");
        let schema = "PRAGMA journal_mode = wal; PRAGMA synchronous = full;
            CREATE TABLE events (position INTEGER PRIMARY KEY, aggregate TEXT NOT NULL, uuid TEXT NOT NULL, version INTEGER NOT NULL, name TEXT NOT NULL,
                data TEXT NOT NULL, at TEXT NOT NULL, correlation TEXT NOT NULL, causation TEXT NOT NULL, user TEXT, UNIQUE (aggregate, uuid, version)) STRICT";
        connection.execute_batch(schema).expect("a schema");
        let (send, mut receive) = mpsc::channel::<Row>(4096);
        std::thread::spawn(move || {
            let mut rows = Vec::new();
            while receive.blocking_recv_many(&mut rows, 512) > 0 {
                connection.execute_batch("BEGIN IMMEDIATE").expect("it begins");
                for (uuid, data, _) in &rows {
                    let sql = "INSERT INTO events (aggregate, uuid, version, name, data, at, correlation, causation, user) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
                    let row = ("Foo", uuid, 1, "FooCreated", data, "2026-01-01T00:00:00.000000Z", uuid, uuid, None::<String>);
                    connection.prepare_cached(sql).expect("a statement").execute(row).expect("it is inserted");
                }
                connection.execute_batch("COMMIT").expect("it commits");
                for (_, _, done) in rows.drain(..) {
                    let _ = done.send(());
                }
            }
        });
        Raw(send)
    }

    async fn insert(self, n: usize) {
        let (done, wait) = oneshot::channel();
        let data = format!("{{\"bar\":\"the name of a foo\",\"n\":{n}}}");
        self.0.send((Uuid::now_v7().to_string(), data, done)).await.expect("the writer is there");
        wait.await.expect("it is written");
    }
}

/// A query through the whole of HTTP, against bare hyper with the same answer.
async fn queries() {
    let running = start("memory:").await;
    let bare = bare().await;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(requests(running.addr()).await);
        theirs.push(requests(bare).await);
    }
    report("GET through #[query], 32 connections", 0.9, &mut ours, &mut theirs);
    running.stop().await;
}

async fn bare() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let _ = stream.set_nodelay(true);
            tokio::spawn(async move {
                let answer = service_fn(async |_: Request<Incoming>| {
                    let answer = Response::builder()
                        .header("content-type", "application/json")
                        .header("x-correlation-id", "01a20b38-a4cb-71c9-a52c-43d9fc4ea58e");
                    Ok::<_, Infallible>(answer.body(Full::new(Bytes::from(format!("\"{TEXT}\"")))).expect("an answer"))
                });
                let _ =
                    hyper_util::server::conn::auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    addr
}

/// Requests on connections that stay open.
async fn requests(addr: SocketAddr) -> f64 {
    let (done, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (done, stop) = (done.clone(), stop.clone());
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(addr).await.expect("a connection");
                stream.set_nodelay(true).expect("an option");
                let mut buffer = vec![0; 4096];
                while !stop.load(Ordering::Relaxed) {
                    stream.write_all(b"GET /example HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("it is sent");
                    let mut read = 0;
                    // The answer ends with the closing quote.
                    while read == 0 || buffer[read - 1] != b'"' {
                        read += stream.read(&mut buffer[read..]).await.expect("it is answered");
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let started = Instant::now();
    tokio::time::sleep(ROUND).await;
    let rate = done.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("it does not panic");
    }
    rate
}
