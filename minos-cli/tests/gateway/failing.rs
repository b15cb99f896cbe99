//! Instances that fail: what is asked again, and what is not.

use crate::kit::*;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const ROUTES: &str = "\"GET /foos\", \"POST /foos\", \"PUT /foos\"";

/// An instance that reads a request and closes the connection without an answer.
async fn rude() -> (String, Arc<std::sync::atomic::AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let asked = count.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 4096];
            if matches!(stream.read(&mut buffer).await, Ok(1..)) {
                asked.fetch_add(1, SeqCst);
            }
        }
    });
    (url, count)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_been_done_is_not_done_twice() {
    let (url, asked) = rude().await;
    let upstream = Upstream::echo().await;
    let text = format!(
        "[services.foo]\nurls = [\"{url}\", \"{}\"]\nroutes = [{ROUTES}]\n[ejection]\nfailures = 1000000\n[retries]\nattempts = 5",
        upstream.url()
    );
    let gateway = gateway(&text).await;
    let (mut answered, mut broken) = (0, 0);
    for n in 0..40 {
        // Without a body, too: nothing of it would be missing if it were sent again.
        let got = ask(gateway.addr(), "POST", "/foos", &[], if n % 2 == 0 { "x" } else { "" }).await;
        match got.status {
            200 => answered += 1,
            502 => broken += 1,
            _ => panic!("{got:?}"),
        }
        assert!(got.status == 200 || got.json()["detail"].as_str().unwrap().contains("`Idempotency-Key`"));
    }
    let rudely = asked.load(SeqCst);
    assert_eq!((rudely, upstream.asked()), (broken, answered), "each once");
    assert!(broken > 0, "it was asked");
    for n in 0..20 {
        let key = format!("k{n}");
        assert_eq!(
            ask(gateway.addr(), "POST", "/foos", &[("idempotency-key", &key)], "x").await.status,
            200,
            "with a key it may be repeated"
        );
        let got = ask(gateway.addr(), "PUT", "/foos", &[], "the body").await;
        assert_eq!((got.status, got.json()["body"].as_str()), (200, Some("the body")), "the body again, too");
    }
    assert!(asked.load(SeqCst) > rudely, "it was asked");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_have_a_budget() {
    let (url, asked) = rude().await;
    let text = format!("[services.foo]\nurls = [\"{url}\"]\nroutes = [{ROUTES}]\n[retries]\nattempts = 2\npercent = 20");
    let gateway = gateway(&text).await;
    let started = Instant::now();
    for _ in 0..500 {
        assert!(matches!(get(gateway.addr(), "/foos").await.status, 502 | 503));
    }
    // A hundred that were saved up, a fifth of what was asked, and ten a second.
    let most = 500 + 100 + 100 + 10 * (2 + started.elapsed().as_secs() as usize);
    assert!(asked.load(SeqCst) <= most, "{} of {most}", asked.load(SeqCst));
    assert!(asked.load(SeqCst) > 500, "some were asked again");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_closed_while_idle_costs_nobody_anything() {
    // Each connection serves one request, says that it may stay open, and closes a little later.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                let _ = stream.read(&mut buffer).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            });
        }
    });
    let gateway = gateway(&format!("[services.foo]\nurls = [\"{url}\"]\nroutes = [{ROUTES}]")).await;
    for n in 0..60 {
        assert_eq!(ask(gateway.addr(), "POST", "/foos", &[], "x").await.status, 200, "{n}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_reached_is_left_alone_and_comes_back() {
    let (one, two) = (Upstream::echo().await, Upstream::echo().await);
    let gateway =
        gateway(&format!("{}[ejection]\nfirst_pause = \"50ms\"\nlongest_pause = \"100ms\"", service(&[&one, &two], ROUTES))).await;
    let addr = two.addr;
    two.kill().await;
    for _ in 0..50 {
        assert_eq!(ask(gateway.addr(), "POST", "/foos", &[], "x").await.status, 200, "nothing was sent, so it is sent elsewhere");
    }
    let two = Upstream::on(addr, echo).await;
    for _ in 0..200 {
        assert_eq!(get(gateway.addr(), "/foos").await.status, 200);
        if two.asked() > 5 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(two.asked() > 5, "it is asked again");
    one.kill().await;
    two.kill().await;
    let got = get(gateway.addr(), "/foos").await;
    assert_eq!((got.status, got.header("retry-after"), got.header("content-type")), (503, Some("1"), Some("application/problem+json")));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_answers_with_errors_is_left_alone() {
    let is_bad = Arc::new(AtomicBool::new(true));
    let bad = is_bad.clone();
    let one = Upstream::new(move |_| {
        let status = if bad.load(SeqCst) { 503 } else { 200 };
        async move { answer(status, "one") }
    })
    .await;
    let two = Upstream::echo().await;
    let gateway =
        gateway(&format!("{}[ejection]\nfailures = 3\nfirst_pause = \"1h\"\nlongest_pause = \"1h\"", service(&[&one, &two], ROUTES))).await;
    let mut failed = 0;
    for _ in 0..60 {
        failed += usize::from(ask(gateway.addr(), "POST", "/foos", &[], "x").await.status == 503);
    }
    assert_eq!((failed, one.asked()), (3, 3), "what an instance says to a command is the answer, until it is out");
    assert_eq!(get(gateway.addr(), "/foos").await.status, 200);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_fails_is_asked_of_another_instance() {
    let one = Upstream::new(async |_| answer(503, "overloaded")).await;
    let two = Upstream::echo().await;
    let gateway = gateway(&format!("{}[ejection]\nfailures = 1000000", service(&[&one, &two], ROUTES))).await;
    for _ in 0..30 {
        assert_eq!(get(gateway.addr(), "/foos").await.status, 200);
    }
    assert!(one.asked() > 0);
    two.kill().await;
    assert_eq!(get(gateway.addr(), "/foos").await.status, 503, "what it says itself, when there is nobody else");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_too_slow_is_given_up() {
    let slow = Upstream::new(async |_| {
        tokio::time::sleep(Duration::from_secs(60)).await;
        answer(200, "late")
    })
    .await;
    let gateway = gateway(&format!("{}[upstream]\nfirst_byte_timeout = \"200ms\"", service(&[&slow], ROUTES))).await;
    let started = Instant::now();
    let got = get(gateway.addr(), "/foos").await;
    assert_eq!(got.status, 504);
    assert!(started.elapsed() < Duration::from_secs(5) && slow.asked() == 1, "and not asked again");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_go_on_is_given_up() {
    let stuck = Upstream::new(async |_| {
        let (mut sender, body) = http_body_util::channel::Channel::<bytes::Bytes, hyper::Error>::new(1);
        tokio::spawn(async move {
            let _ = sender.send_data("begun".into()).await;
            tokio::time::sleep(Duration::from_secs(60)).await;
            drop(sender);
        });
        http::Response::new(http_body_util::BodyExt::boxed(body))
    })
    .await;
    let gateway = gateway(&format!("{}[upstream]\nidle_timeout = \"200ms\"", service(&[&stuck], ROUTES))).await;
    let mut client = Client::new(gateway.addr());
    let asking = tokio::time::timeout(Duration::from_secs(10), client.send(request("GET", "/foos", &[], "")));
    assert!(asking.await.expect("it is given up").is_err(), "and not told as if it were whole");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_dies_costs_each_client_one_request_at_most() {
    let slowly = async |request| {
        tokio::time::sleep(Duration::from_millis(2)).await;
        echo(request).await
    };
    let (one, two) = (Upstream::new(slowly).await, Upstream::new(slowly).await);
    let gateway = gateway(&service(&[&one, &two], ROUTES)).await;
    let dead = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for n in 0..16 {
        let (addr, dead) = (gateway.addr(), dead.clone());
        clients.push(tokio::spawn(async move {
            let mut client = Client::new(addr);
            let method = if n % 2 == 0 { "GET" } else { "POST" };
            let (mut failed, mut after) = (0, 0);
            while after < 100 {
                let got = client.send(request(method, "/foos", &[], "")).await.unwrap();
                failed += usize::from(got.status != 200);
                after += usize::from(dead.load(SeqCst));
            }
            (method, failed)
        }));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    two.kill().await;
    dead.store(true, SeqCst);
    for client in clients {
        let (method, failed) = client.await.unwrap();
        assert!(failed <= usize::from(method == "POST"), "{failed} of {method}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn who_closes_its_connections_is_about_to_end_and_left_alone() {
    let closing = async |_: http::Request<hyper::body::Incoming>| {
        let mut told = answer(200, "the last one");
        told.headers_mut().insert("connection", http::HeaderValue::from_static("close"));
        told
    };
    let (ending, other) = (Upstream::new(closing).await, Upstream::echo().await);
    let gateway = gateway(&service(&[&ending, &other], "\"GET /foos/{id}\"")).await;
    // By chance it is asked at some time.
    while ending.asked() == 0 {
        assert_eq!(get(gateway.addr(), "/foos/1").await.status, 200);
    }
    let others = other.asked();
    for _ in 0..20 {
        assert_eq!(get(gateway.addr(), "/foos/1").await.status, 200);
    }
    assert_eq!((ending.asked(), other.asked()), (1, others + 20));
    gateway.stop().await;
}

/// An instance that says this and closes the connection, whatever it is asked.
async fn dying(said: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(said).await;
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_is_not_taken_for_a_whole_one() {
    // Chunked, so that nothing but its last chunk says that an answer is whole; and at once, so that its head comes together with its end.
    for said in [
        &b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n",
    ] {
        let gateway = gateway(&format!("[services.foo]\nurls = [\"{}\"]\nroutes = [{ROUTES}]", dying(said).await)).await;
        // Whether the end comes with the head is a matter of chance.
        for n in 0..20 {
            let got = Client::new(gateway.addr()).send(request("GET", "/foos", &[], "")).await;
            assert!(got.is_err(), "{n}, after {}: {got:?}", String::from_utf8_lossy(said));
        }
        gateway.stop().await;
    }
}
