//! What an older deployment has stored, and what a newer one has.

use crate::{
    common::{config, get, post, send, until},
    setup::{Bug, Calls, service, service_with},
};
use minos::Service;

async fn put(addr: std::net::SocketAddr, path: &str, body: &str) -> u16 {
    send(addr, "PUT", path, "", body).await.unwrap().status
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_before_a_change_is_read_after_it_and_what_was_stored_after_it_waits() {
    let directory = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}", directory.path().join("test.db").display());

    let running = service(&file, "parcels::v1", &Calls::default()).start().await.unwrap();
    let id = post(running.addr(), "/parcels", "").await.json().as_str().unwrap().to_owned();
    let path = format!("/parcels/{id}");
    assert_eq!(put(running.addr(), &path, r#"{"text":"bob","number":2}"#).await, 204);
    running.stop().await;

    let bug = Bug::default();
    let running = service(&file, "parcels::v2", &Calls::default()).with(bug.clone()).start().await.unwrap();
    let parcel = get(running.addr(), &path).await.json();
    assert_eq!((&parcel["price"]["cents"], &parcel["sender"], &parcel["grams"]), (&300.into(), &"bob".into(), &2_000.into()));
    assert_eq!(parcel.get("remark"), None, "what was taken away under its old name is gone");
    assert_eq!(put(running.addr(), &path, r#"{"text":"eve","number":7}"#).await, 204);
    let parcel = get(running.addr(), &path).await.json();
    assert_eq!((&parcel["price"]["cents"], &parcel["sender"], &parcel["grams"]), (&300.into(), &"eve".into(), &7.into()));
    // What the older one had not told yet may come, too.
    let is_told = |what: &str| bug.seen.lock().unwrap().iter().any(|line| line == what);
    until("what is new is told", async || is_told(r#"2 sent Some("eve") false"#) && is_told("3 weighed 7 left")).await;
    running.stop().await;

    // A deployment that was not followed yet reads nothing wrong, and says why: the log tells more than clients get to know.
    let running = service(&file, "parcels::v1", &Calls::default()).start().await.unwrap();
    assert_eq!(get(running.addr(), &path).await.status, 503);
    assert_eq!(put(running.addr(), &path, r#"{"text":"max"}"#).await, 503);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_get_what_an_older_service_sends_as_it_is_now() {
    let bug = Bug::default();
    let newer = Service::from_toml(&config("newer", "memory:")).unwrap().module("service::app::parcels::v2").with(bug.clone());
    let calls = Calls::default();
    let with_admin = |config: &str| format!("{config}\n[admin]\naddr = \"127.0.0.1:0\"");
    let older = service_with("memory:", "parcels::v1", &calls, with_admin);
    let mut running = Service::start_all([older, newer]).await.unwrap();
    let older = running.remove(0);
    let id = post(older.addr(), "/parcels", "").await.json().as_str().unwrap().to_owned();
    assert_eq!(put(older.addr(), &format!("/parcels/{id}"), r#"{"text":"bob","number":2}"#).await, 204);
    let told = || {
        let mut told = bug.seen.lock().unwrap().clone();
        told.sort();
        told
    };
    until("all is told", async || told().len() >= 3).await;
    assert_eq!(told(), ["1 created ada 300", r#"1 sent Some("bob") true"#, "1 weighed 2000 unknown"]);
    // Three attempts are what anything else gets.
    until("what waits for a deployment is not given up", async || calls.count() == 7).await;
    assert_eq!(get(older.admin_addr().unwrap(), "/dead-letters").await.body, "[]");
    older.stop().await;
    running.remove(0).stop().await;
}
