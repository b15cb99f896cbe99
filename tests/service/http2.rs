//! HTTP/2 by prior knowledge, on the same port.

use crate::{
    common::until_within,
    setup::{Calls, service_with, start, start_with},
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Frame, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::net::TcpStream;

pub type Client = http2::SendRequest<Full<Bytes>>;

pub async fn connect(addr: SocketAddr) -> Client {
    let stream = TokioIo::new(TcpStream::connect(addr).await.unwrap());
    let (client, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    // Ends with the client.
    tokio::spawn(connection);
    client
}

async fn send(client: &mut Client, method: &str, path: &str, body: &str) -> (u16, String) {
    try_send(client, method, path, body).await.unwrap()
}

pub async fn try_send(client: &mut Client, method: &str, path: &str, body: &str) -> hyper::Result<(u16, String)> {
    try_send_to(client, "x", method, path, body).await
}

/// Under a name of the client's choice.
pub async fn try_send_to(client: &mut Client, host: &str, method: &str, path: &str, body: &str) -> hyper::Result<(u16, String)> {
    let request = Request::builder().method(method).uri(format!("http://{host}{path}")).body(Full::from(body.to_owned())).unwrap();
    let response = client.send_request(request).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8(body.to_vec()).unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_carries_many_requests_at_once() {
    let (running, addr, _) = start("account").await;
    let mut client = connect(addr).await;
    let (status, id) = send(&mut client, "POST", "/accounts", r#"{"owner":"ada"}"#).await;
    assert_eq!(status, 200, "{id}");
    let id: String = serde_json::from_str(&id).unwrap();
    let deposits: Vec<_> = (0..50)
        .map(|_| {
            let (mut client, path) = (client.clone(), format!("/accounts/{id}/deposits"));
            tokio::spawn(async move { send(&mut client, "POST", &path, r#"{"amount":1}"#).await.0 })
        })
        .collect();
    for deposit in deposits {
        assert_eq!(deposit.await.unwrap(), 200);
    }
    let (_, account) = send(&mut client, "GET", &format!("/accounts/{id}"), "").await;
    assert_eq!(serde_json::from_str::<Value>(&account).unwrap()["balance"], 50);
    for (method, path, body, status) in [
        ("POST", "/accounts", "{", 400),
        ("POST", "/accounts", "{}", 422),
        ("POST", "/accounts", &"x".repeat(20_000), 413),
        ("PUT", "/accounts", "", 405),
        ("GET", "/nothing", "", 404),
    ] {
        let answer = send(&mut client, method, path, body).await;
        assert_eq!(answer.0, status, "{answer:?}");
        assert!(serde_json::from_str::<Value>(&answer.1).is_ok_and(|problem| problem["detail"].is_string()), "{answer:?}");
    }
    drop(client);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_costs_one_request_and_a_stop_answers_the_others() {
    let (running, addr, calls) = start("trouble").await;
    let mut client = connect(addr).await;
    assert_eq!(send(&mut client, "GET", "/panic", "").await.0, 500);
    let mut other = client.clone();
    let begun = tokio::spawn(async move { send(&mut other, "GET", "/takes-a-while", "").await });
    crate::common::until("it has begun", async || calls.count() == 1).await;
    running.stop().await;
    assert_eq!(begun.await.unwrap(), (200, "\"done\"".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_nothing_for_long_is_let_go_though_it_answers_pings() {
    let (running, addr, calls) = start_with("trouble", "header_timeout = \"500ms\"", "header_timeout = \"100ms\"").await;
    let stream = TokioIo::new(TcpStream::connect(addr).await.unwrap());
    let (mut client, connection) = http2::handshake::<_, _, Full<Bytes>>(TokioExecutor::new(), stream).await.unwrap();
    let connection = tokio::spawn(connection);
    // Longer than it may be idle: a request that runs is asked for.
    let mut other = client.clone();
    let asked = tokio::spawn(async move { try_send(&mut other, "GET", "/takes-a-while", "").await });
    crate::common::until("it has begun", async || calls.count() == 1).await;
    assert_eq!(asked.await.unwrap().unwrap().0, 200);
    assert_eq!(send(&mut client, "GET", "/nothing", "").await.0, 404, "it goes on");
    // The client is there, and only says that it is.
    let ended = tokio::time::timeout(Duration::from_secs(10), connection).await;
    assert!(ended.is_ok(), "the connection was left open");
    drop(client);
    running.stop().await;
}

/// A body without an end, which counts as one as long as it is there.
struct Pouring(Arc<AtomicUsize>);

impl Drop for Pouring {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl hyper::body::Body for Pouring {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 1024 * 1024])))))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_does_not_take_is_let_go() {
    const ASKED: usize = 5;
    let busy = Arc::new(AtomicUsize::new(0));
    let count = busy.clone();
    // A layer of the user may answer with anything.
    let layer = tower::util::MapResponseLayer::new(move |response: minos::http::Response| {
        count.fetch_add(1, SeqCst);
        response.map(|_| minos::http::Body::new(Pouring(count.clone())))
    });
    let short = |config: &str| config.replace("header_timeout = \"500ms\"", "header_timeout = \"100ms\"");
    let running = service_with("memory:", "trouble", &Calls::default(), short).layer(layer).start().await.unwrap();
    let stream = TokioIo::new(TcpStream::connect(running.addr()).await.unwrap());
    let mut client = http2::Builder::new(TokioExecutor::new());
    // Those that are not taken leave room on the connection for the one that is.
    client.initial_stream_window_size(64 * 1024).initial_connection_window_size(8 * 1024 * 1024);
    let (sender, connection) = client.handshake::<_, Full<Bytes>>(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut answers = Vec::new();
    for _ in 0..ASKED {
        answers.push(sender.clone().send_request(Request::get("http://x/nothing").body(Full::default()).unwrap()).await.unwrap());
    }
    assert_eq!(busy.load(SeqCst), ASKED);
    // One of them is taken, though slowly.
    let mut taken = answers.pop().unwrap().into_body();
    let (enough, mut stop) = tokio::sync::oneshot::channel();
    let taking = tokio::spawn(async move {
        while stop.try_recv().is_err() {
            taken.frame().await.expect("there is more").expect("it goes on");
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
        taken
    });
    until_within(5, "what nobody takes is let go", async || busy.load(SeqCst) <= 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(busy.load(SeqCst), 1, "and what is taken is not");
    enough.send(()).unwrap();
    let taken = taking.await.unwrap();
    until_within(5, "and so is what nobody takes any more", async || busy.load(SeqCst) == 0).await;
    until_within(20, "in the end the connection is closed", async || connection.is_finished()).await;
    drop((sender, answers, taken));
    running.stop().await;
}
