//! Connections of clients that are slow, silent or greedy.

use crate::{common, setup::start};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_let_go() {
    let (running, addr, _) = start("account").await;
    // Headers that never end: the connection is closed.
    let closed = tokio::time::timeout(Duration::from_secs(5), common::raw(addr, b"POST /accounts HTTP/1.1\r\nhost: x\r\n")).await;
    assert!(closed.is_ok(), "the connection was left open");
    let body = common::raw(addr, b"POST /accounts HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 100\r\n\r\n{").await.unwrap();
    assert_eq!(body.status, 408, "{body:?}");
    running.stop().await;
}
