//! Stops: nothing new is taken, and what was begun is finished. The real thing is a process that gets a signal.

use crate::{
    common::{
        config, get, post,
        process::{self, Process},
        send, until,
    },
    http2,
    setup::{Calls, TooLate, narrow, open, service_with, start, start_with},
};
use std::{
    io,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_what_was_begun() {
    let (running, addr, calls) = start("trouble").await;
    let begun = tokio::spawn(async move { get(addr, "/takes-a-while").await });
    until("it has begun", async || calls.count() == 1).await;
    running.stop().await;
    let answer = begun.await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "\"done\""));
    assert!(send(addr, "GET", "/takes-a-while", "", "").await.is_err(), "nothing new is taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_connection_when_the_stop_comes_is_answered() {
    let (running, addr, calls) = narrow("trouble", 1).await;
    let ask = async |path| {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        stream
    };
    let mut all = vec![ask("/takes-a-while").await];
    until("it has begun", async || calls.count() == 1).await;
    for _ in 0..5 {
        all.push(ask("/health").await);
    }
    running.stop().await;
    for mut stream in all {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_again_on_a_connection_when_the_stop_comes_is_answered_and_told_to_go() {
    let (running, addr, _) = start("account").await;
    let mut kept = TcpStream::connect(addr).await.unwrap();
    let mut first = [0; 1024];
    kept.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let n = kept.read(&mut first).await.unwrap();
    assert!(!String::from_utf8_lossy(&first[..n]).to_lowercase().contains("connection: close"));
    let stopping = tokio::spawn(running.stop());
    tokio::time::sleep(Duration::from_millis(100)).await;
    kept.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    kept.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.to_lowercase().contains("connection: close"), "{answer}");
    stopping.await.unwrap();
}

fn process(directory: &Path, module: &str) -> Process {
    let url = format!("sqlite://{}", directory.join("test.db").display());
    Process::start(process::service(directory, &format!("service::app::{module}"), &config("test", &url)))
}

/// A command on a connection that is there already.
async fn deposit(mut stream: TcpStream, account: &str) -> io::Result<String> {
    let body = r#"{"amount":1}"#;
    let head =
        format!("POST /accounts/{account}/deposits HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// What one client has seen: how many deposits were acknowledged, and what went wrong with those that had a connection before the signal.
#[derive(Default)]
struct Seen {
    acknowledged: u64,
    failed: Vec<String>,
}

/// Deposits on a new connection each, until there are no more connections.
fn client(addr: SocketAddr, account: String, told: Arc<AtomicBool>) -> JoinHandle<Seen> {
    tokio::spawn(async move {
        let mut seen = Seen::default();
        while let Ok(stream) = TcpStream::connect(addr).await {
            let before = !told.load(Ordering::SeqCst);
            match deposit(stream, &account).await {
                Ok(answer) if answer.starts_with("HTTP/1.1 200") => seen.acknowledged += 1,
                // Between the last connection that is taken and the end of the socket, some are refused by the system.
                other if before => seen.failed.push(format!("{other:?}")),
                Ok(answer) => assert_eq!(answer, "", "an answer is whole"),
                Err(_) => {}
            }
        }
        seen
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn f50_whoever_is_connected_when_the_signal_comes_is_answered() {
    stops_under_load(20).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn f50_two_hundred_stops_under_load() {
    stops_under_load(200).await;
}

/// What a process may take to end: `http.drain_timeout`, as the default is.
const DEADLINE: Duration = Duration::from_secs(10);

async fn stops_under_load(cycles: u64) {
    let directory = tempfile::tempdir().unwrap();
    let (mut account, mut acknowledged) = (None, 0);
    for cycle in 0..cycles {
        let mut process = process(directory.path(), "account");
        let addr = process.addr().await;
        let account = match &account {
            Some(account) => String::clone(account),
            None => account.insert(open(addr).await).clone(),
        };
        let told = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..4).map(|_| client(addr, account.clone(), told.clone())).collect();
        // Some connect and ask only after the signal.
        let mut late = Vec::new();
        for _ in 0..4 {
            late.push(TcpStream::connect(addr).await.unwrap());
        }
        tokio::time::sleep(Duration::from_millis(cycle * 7 % 40)).await;
        told.store(true, Ordering::SeqCst);
        let signalled = Instant::now();
        process.signal("TERM");
        for stream in late {
            let answer = deposit(stream, &account).await;
            assert!(
                answer.as_ref().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")),
                "cycle {cycle}: {answer:?}, {:#?}",
                process.lines()
            );
            acknowledged += 1;
        }
        for client in clients {
            let Seen { acknowledged: more, failed } = client.await.unwrap();
            assert!(failed.is_empty(), "cycle {cycle}: {failed:?}");
            acknowledged += more;
        }
        assert_eq!(process.ended().await.code(), Some(0), "{:#?}", process.lines());
        assert!(signalled.elapsed() < DEADLINE, "cycle {cycle}: it took {:?}", signalled.elapsed());
        assert!(!process.lines().iter().any(|line| line.contains("cut off")), "cycle {cycle}: {:#?}", process.lines());
    }
    let process = process(directory.path(), "account");
    let stored = get(process.addr().await, &format!("/accounts/{}", account.unwrap())).await.json()["balance"].as_u64().unwrap();
    assert_eq!(stored, acknowledged, "what is stored is what was acknowledged");
    assert!(acknowledged > cycles * 5, "there was hardly any load: {acknowledged}");
}

/// A process whose drain is short.
fn hasty(directory: &Path, module: &str) -> Process {
    let config = config("test", "memory:").replace("[http]", "[http]\ndrain_timeout = \"200ms\"");
    Process::start(process::service(directory, &format!("service::app::{module}"), &config))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_of_a_message_that_never_ends_does_not_keep_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let mut process = hasty(directory.path(), "trouble");
    let addr = process.addr().await;
    assert_eq!(post(addr, "/jobs", r#"{"mood":"sleeps"}"#).await.status, 200);
    process.says("sleeps").await;
    process.signal("TERM");
    assert_eq!(process.ended().await.code(), Some(0), "{:#?}", process.lines());
    process.says("a handler still ran after `http.drain_timeout`; its message is delivered again").await;
    process.says("test: stopped").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_take_too_long_for_a_stop_are_cut_off() {
    let (running, addr, calls) = start_with("trouble", "[http]", "[http]\ndrain_timeout = \"100ms\"").await;
    let mut http2 = http2::connect(addr).await;
    let first = tokio::spawn(async move { send(addr, "POST", "/late", "", "").await });
    let second = tokio::spawn(async move { http2::try_send(&mut http2, "POST", "/late", "").await });
    until("both have begun", async || calls.count() == 2).await;
    running.stop().await;
    assert!(first.await.unwrap().is_err() && second.await.unwrap().is_err(), "nobody knows what became of them");
    until("both are gone", async || calls.count() == 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_took_too_long_does_nothing_later() {
    let calls = Calls::default();
    let running = service_with("memory:", "trouble", &calls, |config| config.replace("\"2s\"", "\"100ms\""));
    let running = running.with(TooLate(300)).start().await.unwrap();
    let answer = post(running.addr(), "/late", "").await;
    assert_eq!((answer.status, calls.count()), (504, 2), "its handler is gone before the client is answered");
    assert!(answer.detail().contains("may have been done"), "{answer:?}");
    assert!(running.store().log(0, 10, None).await.unwrap().events.is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut process = process(directory.path(), "trouble");
    let addr = process.addr().await;
    let slow = tokio::spawn(async move { send(addr, "GET", "/slow", "", "").await });
    process.says("waits for ever").await;
    process.signal("TERM");
    process.says("test: stopping").await;
    let told = Instant::now();
    process.signal("TERM");
    assert_eq!(process.ended().await.code(), Some(130));
    assert!(told.elapsed() < Duration::from_secs(1), "it waited for the request after all");
    assert!(slow.await.unwrap().is_err(), "a request that was cut off has no answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_is_a_stop_as_well() {
    let directory = tempfile::tempdir().unwrap();
    let mut process = process(directory.path(), "account");
    let id = open(process.addr().await).await;
    process.signal("INT");
    assert_eq!(process.ended().await.code(), Some(0), "{:#?}", process.lines());
    let again = self::process(directory.path(), "account");
    assert_eq!(get(again.addr().await, &format!("/accounts/{id}")).await.status, 200);
}
