//! More than a service can do at once, by clients of HTTP/2, each of which can ask for much on one connection.

use crate::{
    common::{
        config, get, post,
        process::{self, Process},
        until,
    },
    http2::{connect, try_send},
    setup::{all, start_with},
};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http_body_util::{BodyExt, StreamBody};
use hyper::{Request, body::Frame, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{convert::Infallible, fs, net::SocketAddr, time::Duration};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn f52_requests_above_the_limit_are_refused_at_once_and_it_recovers() {
    let (running, addr, calls) = start_with("trouble", "[http]", "[http]\nmax_requests = 8").await;
    let client = connect(addr).await;
    let ask = |path: &'static str| {
        let mut client = client.clone();
        tokio::spawn(async move { try_send(&mut client, "POST", path, "").await })
    };
    let waiting: Vec<_> = (0..8).map(|_| ask("/late")).collect();
    until("all places are taken", async || calls.count() == 8).await;
    for _ in 0..100 {
        let refused = post(addr, "/stock", "").await;
        assert_eq!((refused.status, refused.json()["title"].as_str()), (503, Some("overloaded")));
        assert!(refused.head.contains("retry-after: 1") && refused.detail().contains("nothing was done"), "{refused:?}");
    }
    assert_eq!(ask("/stock").await.unwrap().unwrap().0, 503);
    for path in ["/health", "/health/ready", "/metrics"] {
        assert_eq!(get(addr, path).await.status, 200, "probes are answered: {path}");
    }
    drop(waiting.into_iter().map(|request| request.abort()).collect::<Vec<_>>());
    drop(client);
    until("their clients have gone, and so have they", async || calls.count() == 16).await;
    assert_eq!(post(addr, "/stock", "").await.status, 409, "there is room again");
    running.stop().await;
}

/// Sends the beginning of a large body and no more. Returns the status of the answer.
async fn half_a_body(addr: SocketAddr, requests: usize, begun: Bytes) -> Vec<u16> {
    let stream = TokioIo::new(TcpStream::connect(addr).await.unwrap());
    let (client, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    all(requests, |_| {
        let (mut client, begun) = (client.clone(), begun.clone());
        async move {
            let first = stream::iter([Ok::<_, Infallible>(Frame::data(begun))]);
            let body = BodyExt::boxed(StreamBody::new(Box::pin(first.chain(stream::pending()))));
            let request = Request::post("http://x/jobs").body(body).unwrap();
            let sent = tokio::time::timeout(Duration::from_secs(10), client.send_request(request)).await.expect("it is answered");
            sent.map_or(0, |answer| answer.status().as_u16())
        }
    })
    .await
}

/// The most memory that a process has had, in MiB.
fn peak(process: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().split(' ').next().unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn f52_bodies_that_do_not_end_take_no_more_than_their_memory() {
    let directory = tempfile::tempdir().unwrap();
    let config = config("test", "memory:").replace("max_body = \"10KiB\"", "max_body = \"1MiB\"\nmax_body_memory = \"4MiB\"");
    let process = Process::start(process::service(directory.path(), "service::app::trouble", &config));
    let addr = process.addr().await;
    assert_eq!(post(addr, "/jobs", r#"{"mood":"fine"}"#).await.status, 200);
    let before = peak(&process);
    // 256 MiB in all.
    let begun = Bytes::from(vec![b' '; 512 * 1024]);
    let statuses = all(8, |_| half_a_body(addr, 64, begun.clone())).await.concat();
    let took = peak(&process) - before;
    let refused = statuses.iter().filter(|status| **status == 503).count();
    assert!(refused > 256, "{refused} were refused: {statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 503 | 408)), "{statuses:?}");
    assert!(took < 64, "{took} MiB more than before");
    assert_eq!(post(addr, "/jobs", r#"{"mood":"fine"}"#).await.status, 200, "there is room again");
}
