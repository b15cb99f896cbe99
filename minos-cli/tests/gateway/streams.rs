//! Bodies that are larger than any buffer, in both directions, and HTTP/2.

use crate::kit::*;
use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::time::Duration;
use tokio::net::TcpStream;

const QUIET: Duration = Duration::from_secs(2);
const ROUTES: &str = "\"GET /large\", \"POST /large\"";

/// The memory of this process, which is that of the gateway, the service and the client.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

async fn large() -> Upstream {
    Upstream::new(async |request: Request<hyper::body::Incoming>| {
        let mut body = request.into_body();
        let mut received = 0;
        while let Some(Ok(frame)) = body.frame().await {
            received += frame.data_ref().map_or(0, Bytes::len);
        }
        if received > 0 {
            return answer(200, received.to_string());
        }
        http::Response::new(Pieces::new(LARGE).boxed())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_larger_than_any_buffer_passes_in_constant_memory() {
    let upstream = large().await;
    let gateway = gateway(&format!("{}[http]\nmax_body = \"1GiB\"", service(&[&upstream], ROUTES))).await;
    let stream = TcpStream::connect(gateway.addr()).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let before = resident();
    let upload = Request::post("/large").header("host", "x").body(Pieces::new(LARGE)).unwrap();
    let body = sender.send_request(upload).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, LARGE.to_string());
    let more = resident().saturating_sub(before);
    assert!(more < LARGE / 4, "{} MiB more for what is sent", more >> 20);
    sender.ready().await.unwrap();
    let download = Request::get("/large").header("host", "x").body(Pieces::new(0)).unwrap();
    let mut body = sender.send_request(download).await.unwrap().into_body();
    let (mut received, mut most) = (0, 0);
    while let Some(frame) = body.frame().await {
        received += frame.unwrap().data_ref().map_or(0, Bytes::len);
        if received % (16 * 1024 * 1024) < PIECE {
            most = most.max(resident());
        }
    }
    assert_eq!(received, LARGE);
    assert!(most.saturating_sub(before) < LARGE / 4, "{} MiB more", most.saturating_sub(before) >> 20);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_pass_as_they_come() {
    // Each piece only comes when the one before has been read by the client.
    let (tell, hear) = tokio::sync::watch::channel(0_usize);
    let upstream = Upstream::new(move |_| {
        let mut hear = hear.clone();
        async move {
            let (mut sender, body) = http_body_util::channel::Channel::<Bytes, hyper::Error>::new(1);
            tokio::spawn(async move {
                for n in 0..5_usize {
                    hear.wait_for(|read| *read >= n).await.unwrap();
                    sender.send_data(Bytes::from(format!("data: {n}\n\n"))).await.unwrap();
                }
            });
            http::Response::new(body.boxed())
        }
    })
    .await;
    let gateway = gateway(&service(&[&upstream], ROUTES)).await;
    let stream = TcpStream::connect(gateway.addr()).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("/large").header("host", "x").body(Pieces::new(0)).unwrap();
    let mut body = sender.send_request(request).await.unwrap().into_body();
    for n in 0..5 {
        let frame = tokio::time::timeout(Duration::from_secs(5), body.frame()).await.expect("it passes at once").unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), format!("data: {n}\n\n"));
        tell.send_replace(n + 1);
    }
    assert!(body.frame().await.is_none());
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_on_the_same_address() {
    let upstream = Upstream::echo().await;
    let gateway = gateway(&service(&[&upstream], "\"GET /foos/{id}\", \"POST /foos\"")).await;
    let stream = TcpStream::connect(gateway.addr()).await.unwrap();
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut asking = Vec::new();
    for n in 0..50 {
        let mut sender = sender.clone();
        asking.push(tokio::spawn(async move {
            let request = Request::get(format!("http://shop.example/foos/{n}")).body(http_body_util::Empty::<Bytes>::new()).unwrap();
            let response = sender.send_request(request).await.unwrap();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let told: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(told["uri"], format!("/foos/{n}"));
            assert_eq!(header(&told, "x-forwarded-host").as_deref(), Some("shop.example"));
        }));
    }
    for one in asking {
        one.await.unwrap();
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_is_refused() {
    let upstream = Upstream::echo().await;
    let gateway = gateway(&format!("{}[http]\nmax_body = \"1KiB\"\nmax_headers = \"8KiB\"", service(&[&upstream], ROUTES))).await;
    let got = ask(gateway.addr(), "POST", "/large", &[], &"x".repeat(1025)).await;
    assert_eq!((got.status, upstream.asked()), (413, 0), "by its length");
    assert_eq!(ask(gateway.addr(), "POST", "/large", &[], &"x".repeat(1024)).await.status, 200);
    let chunked = format!(
        "POST /large HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n800\r\n{}\r\n0\r\n\r\n",
        "x".repeat(0x800)
    );
    let said = raw(gateway.addr(), chunked.as_bytes(), QUIET).await;
    assert!(said.starts_with("HTTP/1.1 413 "), "as it comes: {said}");
    let before = upstream.asked();
    let said =
        raw(gateway.addr(), format!("GET /large HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "x".repeat(20_000)).as_bytes(), QUIET).await;
    // Who still sends when it is closed may not hear why.
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 431 "), "{said}");
    assert_eq!(upstream.asked(), before);
    // In one piece, too, and whatever it is that is long: it is the sum that counts.
    for (target, header, status) in [(6, 8100, 200), (6, 8300, 431), (5000, 5000, 431), (8300, 6, 431)] {
        let line = format!("/large?{}", "q".repeat(target - 6));
        let head = format!("GET {line} HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\nConnection: close\r\n\r\n", "x".repeat(header));
        let said = raw(gateway.addr(), head.as_bytes(), QUIET).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{target} {header}: {said}");
        assert_eq!(said.contains("more than 8192 bytes"), status == 431, "{said}");
    }
    assert_eq!(upstream.asked(), before + 1);
    let many: String = (0..101).map(|n| format!("x-{n}: y\r\n")).collect();
    let said = raw(gateway.addr(), format!("GET /large HTTP/1.1\r\nHost: x\r\n{many}\r\n").as_bytes(), QUIET).await;
    assert!(said.starts_with("HTTP/1.1 431 "), "headers have a limit in number: {said}");
    gateway.stop().await;
}
