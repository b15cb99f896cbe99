//! Starts that fail, each with one line that says what to do.

use crate::common::config;
use crate::setup::{Calls, service, start};
use minos::prelude::*;

#[tokio::test]
async fn mistakes_between_handlers_are_told_with_both_places() {
    let error = service("memory:", "twice", &Calls::default()).start().await.err().unwrap().to_string();
    let lines: Vec<_> = ["first", "second"].iter().map(|name| format!("`{name}` at tests/service/app/twice.rs:")).collect();
    for what in ["two handlers for the topic `Same`", "two handlers for `POST /same`"] {
        assert!(error.contains(what), "{error}");
    }
    assert!(lines.iter().all(|line| error.matches(line.as_str()).count() == 2), "{error}");
    assert!(error.contains("nothing can deliver `NoSuchThingCreated` to `waits_for_ever` at tests/service/app/twice.rs:"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_told() {
    let (running, addr, _) = start("account").await;
    let text = config("test", "memory:").replace("127.0.0.1:0", &addr.to_string());
    let error = Service::from_toml(&text).unwrap().module("service::app::account").start().await.err().unwrap().to_string();
    assert_eq!(
        error,
        format!("`test` cannot start: {addr} is already in use: stop the other program, or set MINOS_HTTP_ADDR to another address")
    );
    running.stop().await;
}
