//! A collector that is not there, or does not answer, is no trouble of the service.

use crate::common::{config, send};
use minos::prelude::*;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

async fn live_with(collector: &str) -> Duration {
    let config = format!("{}\n[telemetry]\notlp = \"{collector}\"", config("foobar", "memory:"));
    let service = Service::from_toml(&config).unwrap().module("telemetry::foobar").start().await.unwrap();
    for n in 0..3000 {
        // More than the queue takes: what is lost is a record.
        let answer = send(service.addr(), "POST", "/foobars", "", &format!(r#"{{"number":{n},"text":"x"}}"#)).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let before = Instant::now();
    service.stop().await;
    before.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_not_there() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let took = live_with(&format!("http://{free}")).await;
    assert!(took < Duration::from_secs(6), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_says_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let took = live_with(&format!("http://{}", silent.local_addr().unwrap())).await;
    assert!(took < Duration::from_secs(6), "{took:?}");
}

#[tokio::test]
async fn an_address_that_is_none_is_refused() {
    for address in ["nonsense", "ftp://x", "http://", "http://a b"] {
        let text = format!("{}\n[telemetry]\notlp = \"{address}\"", config("foobar", "memory:"));
        let started = Service::from_toml(&text).unwrap().module("telemetry::foobar").start().await;
        let error = started.err().unwrap_or_else(|| panic!("{address} is taken")).to_string();
        assert!(error.contains("`telemetry.otlp` is no address of a collector") && error.contains("http://127.0.0.1:4318"), "{error}");
    }
}
