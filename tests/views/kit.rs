//! Services of the bank on a store.

use crate::common::{config, get, post, send, until};
use minos::{Running, prelude::*};
use std::net::SocketAddr;

pub async fn start(store: &str) -> (Running, SocketAddr) {
    let running = Service::from_toml(&config("views", store)).unwrap().module("views::bank").start().await.unwrap();
    let addr = running.addr();
    (running, addr)
}

pub async fn open(addr: SocketAddr, owner: &str, cents: i64) -> String {
    let answer = post(addr, "/accounts", &format!(r#"{{"owner":"{owner}","cents":{cents}}}"#)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json().as_str().unwrap().to_owned()
}

pub async fn change(addr: SocketAddr, account: &str, cents: i64) {
    let answer = send(addr, "PUT", &format!("/accounts/{account}/cents"), "", &cents.to_string()).await.unwrap();
    assert_eq!(answer.status, 204, "{answer:?}");
}

/// The owners and cents of all balances.
pub async fn balances(addr: SocketAddr) -> Vec<(String, i64)> {
    let all = get(addr, "/balances").await.json();
    all.as_array().unwrap().iter().map(|one| (one["owner"].as_str().unwrap().to_owned(), one["cents"].as_i64().unwrap())).collect()
}

/// Waits until the balances are these.
pub async fn until_balances(addr: SocketAddr, wanted: &[(&str, i64)]) {
    let wanted: Vec<_> = wanted.iter().map(|(owner, cents)| ((*owner).to_owned(), *cents)).collect();
    until(&format!("{wanted:?}"), async || balances(addr).await == wanted).await;
}
