//! Connections of clients that are slow, silent, greedy or deaf. None of them keeps its place for long.

use crate::{
    common::{self, Answer, get, until},
    setup::{narrow, start},
};
use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Long enough for every limit of the tests' configuration.
const SOON: Duration = Duration::from_secs(5);

/// Reads until the other side closes, which it has to do soon.
async fn rest(mut stream: TcpStream) -> io::Result<String> {
    let mut text = String::new();
    match tokio::time::timeout(SOON, stream.read_to_string(&mut text)).await {
        Ok(read) => read.map(|_| text),
        Err(_) => panic!("the connection was left open; so far: {text:?}"),
    }
}

/// Sends these bytes, and then one more each 50 ms, until the other side has enough.
async fn drip(addr: SocketAddr, first: &str) -> String {
    let (mut read, mut write) = TcpStream::connect(addr).await.unwrap().into_split();
    write.write_all(first.as_bytes()).await.unwrap();
    let dripping = async {
        while write.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        std::future::pending().await
    };
    let mut answer = Vec::new();
    let reading = async { read.read_to_end(&mut answer).await };
    tokio::select! {
        // What was still under way may be answered with a reset.
        _ = reading => {}
        () = dripping => {}
        () = tokio::time::sleep(SOON) => panic!("it is still listened to"),
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_let_go() {
    let (running, addr, _) = start("account").await;
    // Headers that never end: the connection is closed.
    let closed = tokio::time::timeout(SOON, common::raw(addr, b"POST /accounts HTTP/1.1\r\nhost: x\r\n")).await;
    assert!(closed.is_ok(), "the connection was left open");
    let body = common::raw(addr, b"POST /accounts HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 100\r\n\r\n{").await.unwrap();
    assert_eq!((body.status, body.detail()), (408, "the body did not arrive within 0.5 s".to_owned()));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_send_a_byte_now_and_then_are_let_go() {
    let (running, addr, _) = start("account").await;
    let headers = drip(addr, "POST /accounts HTTP/1.1\r\nhost: x\r\nslow: ").await;
    assert!(!headers.contains(" 200 "), "{headers}");
    let body = drip(addr, "POST /accounts HTTP/1.1\r\nhost: x\r\ncontent-length: 10000\r\n\r\n").await;
    assert!(body.starts_with("HTTP/1.1 408"), "{body}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_says_which_version_it_speaks_is_let_go() {
    let (running, addr, _) = start("account").await;
    for beginning in ["P", "PRI * HTTP/2.0\r\n\r\nSM\r\n"] {
        let mut stalled = TcpStream::connect(addr).await.unwrap();
        stalled.write_all(beginning.as_bytes()).await.unwrap();
        assert_eq!(rest(stalled).await.unwrap_or_default(), "", "{beginning:?}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_nothing_is_let_go() {
    let (running, addr, _) = start("account").await;
    let silent = TcpStream::connect(addr).await.unwrap();
    assert_eq!(rest(silent).await.unwrap(), "");
    let mut idle = TcpStream::connect(addr).await.unwrap();
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let answer = rest(idle).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.matches("HTTP/1.1").count() == 1, "{answer}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_is_let_go() {
    let (running, addr, calls) = narrow("trouble", 1).await;
    let mut deaf = TcpStream::connect(addr).await.unwrap();
    deaf.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    until("it is answered", async || calls.count() == 1).await;
    // There is room for one connection: another client is answered when the first one is gone.
    let answer = tokio::time::timeout(SOON, get(addr, "/health")).await.expect("the deaf client keeps its place");
    assert_eq!(answer.status, 200);
    drop(deaf);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_when_all_connections_are_taken_waits() {
    let (running, addr, _) = narrow("account", 2).await;
    let begun = Instant::now();
    let silent = [TcpStream::connect(addr).await.unwrap(), TcpStream::connect(addr).await.unwrap()];
    let Answer { status, .. } = tokio::time::timeout(SOON, get(addr, "/health")).await.expect("it is answered in the end");
    assert_eq!(status, 200);
    assert!(begun.elapsed() > Duration::from_millis(400), "there was room for a third one");
    drop(silent);
    running.stop().await;
}
