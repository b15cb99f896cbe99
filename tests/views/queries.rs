//! Aggregates that are found by their fields, and references that are resolved.

use crate::{
    common::{config, get, post, send, until},
    kit::{databases, places, start_module},
};
use minos::{prelude::*, store::Statement};
use serde_json::json;
use std::net::SocketAddr;

async fn add(addr: SocketAddr, name: &str, cents: u32, kind: &str, tags: &[&str], maker: Option<&str>) -> String {
    let good = json!({ "name": name, "cents": cents, "kind": kind, "tags": tags, "maker": maker });
    let answer = post(addr, "/goods", &good.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json().as_str().unwrap().to_owned()
}

async fn cheap(addr: SocketAddr, cents: u32) -> Vec<(String, u64)> {
    let found = get(addr, &format!("/goods/cheap/{cents}")).await.json();
    found.as_array().unwrap().iter().map(|good| (good["name"].as_str().unwrap().to_owned(), good["version"].as_u64().unwrap())).collect()
}

#[tokio::test]
async fn aggregates_are_found_by_their_fields_with_the_answer() {
    for place in places("aggregates_are_found_by_their_fields_with_the_answer") {
        let (running, addr) = start_module(&place, "goods::store").await;
        let emma = add(addr, "Emma", 500, "Book", &["old", "long"], None).await;
        add(addr, "Faust", 300, "Book", &["old"], Some("Aldus")).await;
        add(addr, "Go", 200, "Game", &["old"], Some("Bob")).await;
        assert_eq!(cheap(addr, 400).await, [("Faust".to_owned(), 1)]);
        assert_eq!(send(addr, "PUT", &format!("/goods/{emma}/cents"), "", r#"{"cents":350}"#).await.unwrap().status, 204);
        assert_eq!(cheap(addr, 400).await, [("Emma".to_owned(), 3), ("Faust".to_owned(), 1)]);
        assert_eq!(get(addr, "/goods/tagged/old").await.body, r#"[3,["Emma","Faust"]]"#);
        send(addr, "DELETE", &format!("/goods/{emma}"), "", "").await.unwrap();
        assert_eq!(cheap(addr, 400).await, [("Faust".to_owned(), 1)]);
        running.stop().await;
    }
}

#[tokio::test]
async fn fields_have_the_indexes_that_they_ask_for() {
    for place in databases("fields_have_the_indexes_that_they_ask_for") {
        let (running, addr) = start_module(&place, "goods::store").await;
        let sql = match place.url.starts_with("sqlite:") {
            true => "SELECT sql FROM sqlite_master WHERE name LIKE 'documents_by_%'",
            false => "SELECT indexdef AS sql FROM pg_indexes WHERE indexname LIKE 'documents_by_%'",
        };
        until("both are there", async || {
            let indexes = running.store().select(Statement { sql: sql.to_owned(), parameters: Vec::new() }).await.unwrap();
            let of =
                |field: &str| indexes.iter().any(|index| ["Good", field].iter().all(|part| index["sql"].as_str().unwrap().contains(part)));
            indexes.len() == 2 && of("name") && of("cents")
        })
        .await;
        add(addr, "Emma", 350, "Book", &[], None).await;
        assert_eq!(cheap(addr, 400).await, [("Emma".to_owned(), 1)]);
        running.stop().await;
    }
}

#[tokio::test]
async fn references_are_resolved_by_one_question() {
    let services =
        ["store", "orders"].map(|name| Service::from_toml(&config(name, "memory:")).unwrap().module(format!("views::goods::{name}")));
    let running = Service::start_all(services).await.unwrap();
    let (store, orders) = (running[0].addr(), running[1].addr());
    let mut goods = vec![add(store, "Emma", 500, "Book", &[], None).await, add(store, "Faust", 300, "Book", &[], None).await];
    let order = post(orders, "/orders", &json!(goods).to_string()).await.json();
    assert_eq!(get(orders, &format!("/orders/{}/sum", order.as_str().unwrap())).await.body, "800");
    let first = get(orders, &format!("/orders/{}/first", order.as_str().unwrap())).await.json();
    assert_eq!((&first["name"], &first["uuid"], &first["version"]), (&json!("Emma"), &json!(goods[0]), &json!(1)), "{first}");
    goods[0] = Uuid::nil().to_string();
    let order = post(orders, "/orders", &json!(goods).to_string()).await.json();
    assert_eq!(get(orders, &format!("/orders/{}/sum", order.as_str().unwrap())).await.body, "300", "what is not there is left out");
    let missing = get(orders, &format!("/orders/{}/first", order.as_str().unwrap())).await;
    assert_eq!((missing.status, missing.detail()), (404, format!("there is no Good {}, to which something refers", Uuid::nil())));
    for one in running {
        one.stop().await;
    }
}
