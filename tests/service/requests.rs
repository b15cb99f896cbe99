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
    let huge = send(addr, "GET", "/health", &format!("x: {}\r\n", "y".repeat(200_000)), "").await;
    assert!(huge.map_or(true, |answer| answer.status == 431), "headers have a limit");
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
