//! Who means harm: slow clients, smuggled requests, floods.

use crate::kit::*;
use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const QUIET: Duration = Duration::from_millis(300);
const ROUTES: &str = "\"GET /foos\", \"POST /foos\"";

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_cut_off_and_keep_nobody_out() {
    const SLOW: usize = 500;
    let upstream = Upstream::echo().await;
    let gateway = gateway(&format!("{}[http]\nheader_timeout = \"1s\"\nbody_timeout = \"1s\"", service(&[&upstream], ROUTES))).await;
    let addr = gateway.addr();
    let p99 = || async move {
        let (mut client, mut took) = (Client::new(addr), Vec::new());
        for _ in 0..300 {
            let started = Instant::now();
            assert_eq!(client.send(request("GET", "/foos", &[], "")).await.unwrap().status, 200);
            took.push(started.elapsed());
        }
        took.sort_unstable();
        took[took.len() * 99 / 100]
    };
    let before = p99().await;
    let mut slow = Vec::new();
    for n in 0..SLOW {
        // Not all at once: who is not in the queue of the socket is no concern of the gateway.
        if n % 20 == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        slow.push(tokio::spawn(async move {
            let mut stream = TcpStream::connect(addr).await.unwrap();
            let begin: &[u8] = match n % 5 {
                0 => b"",
                1 => b"G",
                2 => b"PRI * HT",
                3 => b"GET /foos HTTP/1.1\r\nHost: x\r\nX-Slow: ",
                _ => b"POST /foos HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n",
            };
            let started = Instant::now();
            let _ = stream.write_all(begin).await;
            let mut buffer = [0; 1024];
            loop {
                // A byte now and then, and a look whether the other side still wants it.
                let read = tokio::time::timeout(Duration::from_millis(300), stream.read(&mut buffer)).await;
                if matches!(read, Ok(Ok(0) | Err(_))) || (n % 5 > 2 && stream.write_all(b"x").await.is_err()) {
                    return started.elapsed();
                }
                assert!(started.elapsed() < Duration::from_secs(10), "{n} is still there");
            }
        }));
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let during = p99().await;
    for one in slow {
        assert!(one.await.unwrap() < Duration::from_secs(8), "cut off in time");
    }
    // What a loaded machine does to a few milliseconds is no fault.
    assert!(during < before * 2 + Duration::from_millis(20), "{during:?} and not {before:?}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_cannot_have_all_connections() {
    let upstream = Upstream::echo().await;
    let gateway = gateway(&format!("{}[http]\nmax_connections_per_client = 5", service(&[&upstream], ROUTES))).await;
    let mut held = Vec::new();
    for _ in 0..5 {
        let mut client = Client::new(gateway.addr());
        assert_eq!(client.send(request("GET", "/foos", &[], "")).await.unwrap().status, 200);
        held.push(client);
    }
    let said = raw(gateway.addr(), b"GET /foos HTTP/1.1\r\nHost: x\r\n\r\n", QUIET).await;
    assert_eq!(said, "", "the sixth is closed");
    held.pop();
    for _ in 0..100 {
        if raw(gateway.addr(), b"GET /foos HTTP/1.1\r\nHost: x\r\n\r\n", QUIET).await.starts_with("HTTP/1.1 200") {
            return gateway.stop().await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("a place that was given back is not free");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_is_given_up() {
    let upstream = Upstream::new(async |_| http::Response::new(http_body_util::BodyExt::boxed(Pieces::new(LARGE)))).await;
    let gateway = gateway(&format!("{}[http]\nbody_timeout = \"500ms\"", service(&[&upstream], ROUTES))).await;
    let mut stream = TcpStream::connect(gateway.addr()).await.unwrap();
    stream.write_all(b"GET /foos HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut received = 0;
    let mut buffer = vec![0; 1 << 20];
    while let Ok(Ok(n @ 1..)) = tokio::time::timeout(Duration::from_secs(2), stream.read(&mut buffer)).await {
        received += n;
    }
    assert!(received < LARGE, "it was not kept for the client: {received}");
    gateway.stop().await;
}

/// What the instance saw: the lines of its requests.
async fn seen(bytes: &[u8]) -> (Vec<String>, String) {
    let seen = Seen::default();
    let told = seen.clone();
    let upstream = Upstream::new(move |request: http::Request<hyper::body::Incoming>| {
        let told = told.clone();
        async move {
            let line = format!("{} {}", request.method(), request.uri());
            let body = http_body_util::BodyExt::collect(request.into_body()).await.map(|body| body.to_bytes());
            told.add(match body {
                Ok(body) => format!("{line} {}", String::from_utf8_lossy(&body)),
                Err(_) => format!("{line} broken"),
            });
            answer(200, "ok")
        }
    })
    .await;
    let gateway = gateway(&service(&[&upstream], "\"GET /foos\", \"POST /foos\"")).await;
    let said = raw(gateway.addr(), bytes, QUIET).await;
    gateway.stop().await;
    (seen.all(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_smuggled() {
    let smuggled = "GET /admin HTTP/1.1\r\nHost: x\r\n\r\n";
    for (name, head, body) in [
        ("both, chunked wins", "Content-Length: 4\r\nTransfer-Encoding: chunked", format!("0\r\n\r\n{smuggled}")),
        ("both the other way round", "Transfer-Encoding: chunked\r\nContent-Length: 4", format!("0\r\n\r\n{smuggled}")),
        ("two lengths", "Content-Length: 0\r\nContent-Length: 36", smuggled.to_owned()),
        ("a list of lengths", "Content-Length: 0, 36", smuggled.to_owned()),
        ("a signed length", "Content-Length: +0", smuggled.to_owned()),
        ("chunked that is not last", "Transfer-Encoding: chunked, identity", format!("0\r\n\r\n{smuggled}")),
        ("another encoding", "Transfer-Encoding: xchunked", format!("0\r\n\r\n{smuggled}")),
        ("a space in front of the colon", "Transfer-Encoding : chunked", format!("0\r\n\r\n{smuggled}")),
        ("a folded line", "X: y\r\n Transfer-Encoding: chunked", format!("0\r\n\r\n{smuggled}")),
        ("a vertical tab", "Transfer-Encoding: \x0bchunked", format!("0\r\n\r\n{smuggled}")),
        ("a length that is no number", "Content-Length: 0x0", smuggled.to_owned()),
        ("a chunk with a signed size", "Transfer-Encoding: chunked", format!("+0\r\n\r\n{smuggled}")),
        ("a chunk with a negative size", "Transfer-Encoding: chunked", format!("-1\r\n\r\n{smuggled}")),
        ("a chunk that is too large to be one", "Transfer-Encoding: chunked", format!("ffffffffffffffff0\r\n\r\n{smuggled}")),
        ("lengths that hide in `Connection`", "Connection: content-length\r\nContent-Length: 34", smuggled.to_owned()),
        ("a bare line feed", "X: y\nTransfer-Encoding: chunked\r\nContent-Length: 0", smuggled.to_owned()),
    ] {
        let (seen, said) = seen(format!("POST /foos HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n{body}").as_bytes()).await;
        assert!(!seen.iter().any(|line| line.starts_with("GET /admin")), "{name}: {seen:?}");
        assert!(seen.len() <= 1, "{name}: {seen:?}");
        // What follows is either the body, or refused, or a request of its own that no route names. Who still sends when it is closed may not hear that.
        let statuses: Vec<&str> = said.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
        assert!(statuses.iter().all(|status| ["200", "400", "404"].contains(status)), "{name}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_host_is_named_and_no_other() {
    for (head, status) in [
        ("GET /foos HTTP/1.1\r\n", "400"),
        ("GET /foos HTTP/1.1\r\nHost: a\r\nHost: b\r\n", "400"),
        ("GET /foos HTTP/1.1\r\nHost: a\r\nHost: a\r\n", "400"),
        ("GET http://shop.example/foos HTTP/1.1\r\n", "400"),
        ("GET http://shop.example/foos HTTP/1.1\r\nHost: x\r\n", "200"),
        ("GET /foos HTTP/1.1\r\nHost:\r\n", "200"),
        ("GET /foos HTTP/1.0\r\n", "200"),
    ] {
        let (seen, said) = seen(format!("{head}\r\n").as_bytes()).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")) || said.starts_with(&format!("HTTP/1.0 {status} ")), "{head}: {said}");
        assert_eq!(seen.len(), usize::from(status == "200"), "{head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_behind_each_other_are_answered_in_order() {
    let mut bytes = String::new();
    for n in 0..20 {
        bytes.push_str(&format!("GET /foos?n={n} HTTP/1.1\r\nHost: x\r\n\r\n"));
    }
    bytes.push_str("GET /admin HTTP/1.1\r\nHost: x\r\n\r\nPOST /foos HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    let (seen, said) = seen(bytes.as_bytes()).await;
    let mut expected: Vec<String> = (0..20).map(|n| format!("GET /foos?n={n} ")).collect();
    expected.push("POST /foos abc".to_owned());
    assert_eq!(seen, expected);
    let statuses: Vec<&str> = said.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!((statuses.len(), statuses[20], statuses[21]), (22, "404", "200"));
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(content);
    bytes
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// `GET http /foos x`, without a table.
const HEAD: &[u8] = b"\x82\x86\x04\x05/foos\x01\x01x";

/// Sends bytes to a gateway until it says goodbye or closes, and then asks it something in an orderly way.
async fn flood(pieces: impl Iterator<Item = Vec<u8>>) -> (bool, usize, usize) {
    let upstream = Upstream::new(async |request| {
        tokio::time::sleep(Duration::from_millis(20)).await;
        echo(request).await
    })
    .await;
    let gateway = gateway(&service(&[&upstream], ROUTES)).await;
    let (mut read, mut write) = TcpStream::connect(gateway.addr()).await.unwrap().into_split();
    let reading = tokio::spawn(async move {
        let mut all = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(5), read.read_to_end(&mut all)).await;
        all
    });
    write.write_all(PREFACE).await.unwrap();
    write.write_all(&frame(4, 0, 0, &[])).await.unwrap();
    let (mut refused, mut sent) = (false, 0);
    for piece in pieces {
        if write.write_all(&piece).await.is_err() || reading.is_finished() {
            refused = true;
            break;
        }
        sent += 1;
    }
    drop(write);
    let said = reading.await.unwrap();
    // GOAWAY is a frame of kind 7.
    let mut at = 0;
    while at + 9 <= said.len() {
        let length = u32::from_be_bytes([0, said[at], said[at + 1], said[at + 2]]) as usize;
        // With an error, and not as a farewell.
        refused |= said[at + 3] == 7 && said.get(at + 9 + 4..at + 9 + 8).is_some_and(|code| code != [0; 4]);
        at += 9 + length;
    }
    assert_eq!(get(gateway.addr(), "/foos").await.status, 200, "others are served");
    let asked = upstream.asked();
    gateway.stop().await;
    (refused, sent, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rapid_reset_ends_the_connection() {
    let pieces = (0..50_000_u32).map(|n| {
        let mut bytes = frame(1, 0x5, 2 * n + 1, HEAD);
        bytes.extend(frame(3, 0, 2 * n + 1, &8_u32.to_be_bytes()));
        bytes
    });
    let (refused, sent, asked) = flood(pieces).await;
    assert!(refused, "{sent} were taken");
    assert!(asked < 2000, "and not all of them asked: {asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_without_an_end_end_the_connection() {
    let begin = std::iter::once(frame(1, 0, 1, HEAD));
    let (refused, sent, asked) = flood(begin.chain((0..100_000).map(|_| frame(9, 0, 1, b"\x00\x04xxxx\x7f\x81\x01xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")))).await;
    assert!(refused, "{sent} were taken");
    assert_eq!(asked, 1, "only what was asked in an orderly way");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_and_pings_without_end_do_no_harm() {
    let (_, _, asked) = flood((0..20_000).map(|n| if n % 2 == 0 { frame(4, 0, 0, &[]) } else { frame(6, 0, 0, &[0; 8]) })).await;
    assert_eq!(asked, 1);
}

/// An instance whose answers have no end, and how many of them it is at.
async fn pouring() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (url, busy) = (format!("http://{}", listener.local_addr().unwrap()), Arc::new(AtomicUsize::new(0)));
    let count = busy.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let count = count.clone();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                count.fetch_add(1, SeqCst);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
                while stream.write_all(format!("4000\r\n{}\r\n", "x".repeat(0x4000)).as_bytes()).await.is_ok() {}
                count.fetch_sub(1, SeqCst);
            });
        }
    });
    (url, busy)
}

async fn within(seconds: u64, what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(seconds), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_nothing_of_answers_over_http2_keeps_no_instance_busy() {
    const ASKED: usize = 20;
    let (url, busy) = pouring().await;
    let text = format!("[services.foo]\nurls = [\"{url}\"]\nroutes = [{ROUTES}]\n[http]\nheader_timeout = \"1s\"\nbody_timeout = \"1s\"");
    let gateway = gateway(&text).await;
    let stream = TcpStream::connect(gateway.addr()).await.unwrap();
    // It answers pings, so nothing is wrong with the connection as such.
    let mut client = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    // Those that are not taken leave room on the connection for the one that is.
    client.initial_stream_window_size(64 * 1024).initial_connection_window_size(8 * 1024 * 1024);
    let (sender, connection) = client.handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut answers = Vec::new();
    for _ in 0..ASKED {
        let request = http::Request::get("http://shop.example/foos").body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
        answers.push(sender.clone().send_request(request).await.unwrap());
    }
    assert_eq!(busy.load(SeqCst), ASKED);
    // One of them is taken, though slowly.
    let mut taken = answers.pop().unwrap().into_body();
    let taking = tokio::spawn(async move {
        for _ in 0..30 {
            taken.frame().await.expect("there is more").expect("it goes on");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    within(5, "what nobody takes is let go", || busy.load(SeqCst) <= 1).await;
    taking.await.unwrap();
    within(5, "and so is what nobody takes any more", || busy.load(SeqCst) == 0).await;
    within(20, "in the end the connection is closed", || connection.is_finished()).await;
    gateway.stop().await;
}
