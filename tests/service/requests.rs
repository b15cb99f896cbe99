//! Requests of HTTP: what is refused and how, what is told, and what is kept inside.

use crate::{
    common::{self, Answer, get, post, send},
    setup::{Calls, all, open, service, start},
};
use minos::prelude::*;

#[tokio::test(flavor = "multi_thread")]
async fn one_idempotency_key_is_one_execution() {
    let (running, addr, calls) = start("account").await;
    let path = format!("/accounts/{}/deposits", open(addr).await);
    let answers = all(10, |_| {
        let path = path.clone();
        async move { send(addr, "POST", &path, "idempotency-key: k1\r\n", r#"{"amount":7}"#).await.unwrap() }
    })
    .await;
    assert!(answers.iter().all(|answer| (answer.status, answer.body.as_str()) == (200, "7")), "{answers:?}");
    assert_eq!(calls.count(), 1);
    let other = send(addr, "POST", &path, "idempotency-key: k1\r\n", r#"{"amount":8}"#).await.unwrap();
    assert_eq!(other.status, 422);
    assert_eq!(send(addr, "POST", &path, "idempotency-key: \r\n", r#"{"amount":8}"#).await.unwrap().status, 400);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_told_and_changes_nothing() {
    let (running, addr, _) = start("account").await;
    let told = async |body: &str| {
        let Answer { status, .. } = post(addr, "/accounts", body).await;
        (status, post(addr, "/accounts", body).await.detail())
    };
    let (status, detail) = told(r#"{"owner":"#).await;
    assert!(status == 400 && detail.contains("no JSON"), "{detail}");
    let (status, detail) = told(r#"{"owner":1}"#).await;
    assert!(status == 422 && detail.contains("expected a string"), "{detail}");
    let (status, detail) = told("{}").await;
    assert!(status == 422 && detail.contains("missing field `owner`"), "{detail}");
    let (status, detail) = told(r#"{"owner":"a","age":1}"#).await;
    assert!(status == 422 && detail.contains("unknown field `age`; there are `owner`"), "{detail}");
    assert_eq!(told("").await.0, 400);
    assert_eq!(told(&format!(r#"{{"owner":"{}"}}"#, "x".repeat(20_000))).await.0, 413);
    assert_eq!(get(addr, "/accounts/nope").await.status, 422);
    assert_eq!(get(addr, "/accounts/%ff").await.status, 400);
    assert_eq!(get(addr, "/nothing").await.status, 404);
    let other = send(addr, "PUT", "/accounts", "", "").await.unwrap();
    assert!(other.status == 405 && other.head.contains("allow: POST, OPTIONS"), "{other:?}");
    let xml = send(addr, "POST", "/accounts", "content-type: text/xml\r\n", "<a/>").await.unwrap();
    assert_eq!(xml.status, 415);
    let deep = format!(r#"{{"owner":"a","x":{}"#, "[".repeat(9_000));
    assert_eq!(told(&deep).await.0, 400);
    let chunked =
        format!("POST /accounts HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n4e20\r\n{}\r\n0\r\n\r\n", "x".repeat(20_000));
    assert_eq!(common::raw(addr, chunked.as_bytes()).await.unwrap().status, 413);
    assert!(running.store().log(0, 10, None).await.unwrap().events.is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_input_of_a_query_may_stand_in_the_query_string_and_that_of_a_command_may_not() {
    let (running, addr, _) = start("trouble").await;
    assert_eq!(get(addr, "/sum?a=1&b=2").await.json(), 3);
    assert_eq!(get(addr, "/sum?a=%31").await.json(), 1);
    assert_eq!(post(addr, "/sum", r#"{"a":1,"b":3}"#).await.json(), 4);
    for (path, told) in [
        ("/sum", "missing field `a`"),
        ("/sum?a=x", "invalid digit"),
        ("/sum?a=-1", "invalid digit"),
        ("/sum?a=1&c=2", "unknown field `c`; there are `a`, `b`"),
    ] {
        let answer = get(addr, path).await;
        assert!(answer.status == 422 && answer.detail().contains(told), "{path}: {answer:?}");
    }
    let command = post(addr, "/jobs?mood=fine", "").await;
    assert_eq!((command.status, command.detail()), (400, "the request has no body, and this needs one".to_owned()));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_is_answered_with_400_or_closed_and_harms_nobody() {
    let (running, addr, _) = start("account").await;
    let smuggled = "GET /health HTTP/1.1\r\nhost: x\r\n\r\n";
    let tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice();
    let wrong = [
        b"GET /health\r\n\r\n".as_slice(),
        b"GET / HTTP/9.9\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"POST /accounts HTTP/1.1\r\nhost: x\r\ncontent-length: minus one\r\n\r\n",
        b"POST /accounts HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST /accounts HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nnot a size\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnot a frame",
        tls,
    ];
    for bytes in wrong {
        let answer = tokio::time::timeout(std::time::Duration::from_secs(5), common::raw(addr, bytes)).await.expect("it ends");
        assert!(answer.as_ref().map_or(true, |answer| answer.status == 400), "{:?}: {answer:?}", String::from_utf8_lossy(bytes));
    }
    // Both ways of giving a length: whatever is taken for the body, no second request comes out of it.
    let both = format!("POST /accounts HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}");
    let answer = common::raw(addr, both.as_bytes()).await;
    assert!(answer.map_or(true, |answer| answer.status >= 400 && !answer.body.contains("\"up\"")), "a request was smuggled in");
    assert!(running.store().log(0, 10, None).await.unwrap().events.is_empty());
    assert_eq!(get(addr, "/health").await.status, 200);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_that_is_not_what_it_seems_is_refused() {
    let (running, addr, _) = start("account").await;
    let send = async |body: &[u8]| {
        let head = format!("POST /accounts HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        common::raw(addr, &[head.as_bytes(), body].concat()).await.unwrap()
    };
    for (body, status) in [
        (br#"{"owner":"a"} {"owner":"b"}"#.as_slice(), 400),
        (b"{\"owner\":\"\xff\xfe\"}", 400),
        (b"\xef\xbb\xbf{\"owner\":\"a\"}", 400),
        (br#"{"owner":"\ud800"}"#, 400),
        (br#"{'owner':'a'}"#, 400),
        (br#"{"owner":"a","owner":"b"}"#, 422),
        (br#"["a"]"#, 422),
        (br#""a""#, 422),
        (b"null", 422),
        (br#"{"owner":null}"#, 422),
    ] {
        let answer = send(body).await;
        assert_eq!((answer.status, answer.detail().is_empty()), (status, false), "{:?}: {answer:?}", String::from_utf8_lossy(body));
    }
    let id = open(addr).await;
    for amount in ["-1", "1.5", "1e400", "18446744073709551616", "\"1\"", "true", "NaN"] {
        let answer = post(addr, &format!("/accounts/{id}/deposits"), &format!(r#"{{"amount":{amount}}}"#)).await;
        assert!(matches!(answer.status, 400 | 422) && !answer.detail().is_empty(), "{amount}: {answer:?}");
    }
    let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    assert_eq!(common::send(addr, "GET", "/health", &many, "").await.unwrap().status, 431, "headers have a limit in number");
    for (unreadable, status) in
        [("GET /a b HTTP/1.1\r\nhost: x\r\n\r\n", 400), ("GET / HTTP/1.1\r\n: x\r\n\r\n", 400), ("nonsense\r\n\r\n", 400)]
    {
        assert_eq!(common::raw(addr, unreadable.as_bytes()).await.unwrap().status, status, "{unreadable}");
    }
    assert_eq!(common::send(addr, "get", "/health", "", "").await.unwrap().status, 405);
    assert_eq!(get(addr, &format!("/accounts/{id}")).await.json()["version"], 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_inside_is_not_told_outside() {
    let (running, addr, _) = start("trouble").await;
    for path in ["/panic", "/fail"] {
        let answer = get(addr, path).await;
        assert_eq!((answer.status, answer.json()["title"].as_str()), (500, Some("internal error")));
        assert!(!answer.body.contains("secret"), "{answer:?}");
    }
    assert_eq!(get(addr, "/slow").await.status, 504);
    let stock = post(addr, "/stock", "").await;
    assert_eq!((stock.status, stock.detail()), (409, "the stock is full".to_owned()));
    let tea = send(addr, "GET", "/teapot", "x-tea: green\r\n", "").await.unwrap();
    assert_eq!((tea.status, tea.body.as_str()), (418, "\"green\""));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn head_and_pipelines_and_correlation_are_answered() {
    let (running, addr, _) = start("trouble").await;
    let head = send(addr, "HEAD", "/teapot", "", "").await.unwrap();
    assert_eq!((head.status, head.body.as_str()), (418, ""));
    let two = "GET /health HTTP/1.1\r\nhost: x\r\n\r\nGET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let both = common::raw(addr, two.as_bytes()).await.unwrap();
    assert_eq!(both.body.matches("HTTP/1.1 200").count(), 1, "the second answer follows the first: {both:?}");
    let id = Uuid::now_v7();
    let answer = send(addr, "GET", "/health", &format!("x-correlation-id: {id}\r\n"), "").await.unwrap();
    assert!(answer.head.contains(&format!("x-correlation-id: {id}")), "{answer:?}");
    let commands: String = ["GET /teapot", "GET /nothing", "POST /stock", "GET /panic", "GET /health"]
        .iter()
        .map(|line| {
            format!(
                "{line} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n{}\r\n",
                if line.ends_with("health") { "connection: close\r\n" } else { "" }
            )
        })
        .collect();
    let all = common::raw(addr, commands.as_bytes()).await.unwrap();
    let statuses: Vec<_> = all.body.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!((all.status, statuses), (418, vec!["404", "409", "500", "200"]), "in the order of the requests");
    let huge = send(addr, "GET", "/health", &format!("x: {}\r\n", "y".repeat(200_000)), "").await;
    assert!(huge.map_or(true, |answer| answer.status == 431), "headers have a limit");
    // All of it comes in one piece, and so does what it may be at most: 64 KiB.
    for (target, header, status) in [(7, 65_500, 200), (7, 65_600, 431), (65_500, 7, 404), (65_530, 7, 431), (40_000, 40_000, 431)] {
        let line = if target == 7 { "/health".to_owned() } else { format!("/{}", "t".repeat(target - 1)) };
        let answer = common::raw(
            addr,
            format!("GET {line} HTTP/1.1\r\nhost: x\r\nx: {}\r\nconnection: close\r\n\r\n", "y".repeat(header)).as_bytes(),
        )
        .await;
        let answer = answer.unwrap_or_else(|error| panic!("{target} {header}: {error}"));
        assert_eq!(answer.status, status, "{target} {header}: {}", answer.head);
        if status == 431 {
            assert!(answer.detail().contains("more than 65536 bytes") && answer.head.contains("connection: close"), "{answer:?}");
        }
    }
    assert_eq!(get(addr, "/health").await.status, 200);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tower_layers_go_around_everything() {
    let layer = tower::util::MapResponseLayer::new(|mut response: minos::http::Response| {
        response.headers_mut().insert("x-layer", "there".parse().unwrap());
        response
    });
    let running = service("memory:", "account", &Calls::default()).layer(layer).start().await.unwrap();
    assert!(get(running.addr(), "/health").await.head.contains("x-layer: there"));
    assert!(get(running.addr(), "/nothing").await.head.contains("x-layer: there"));
    running.stop().await;
}
