//! Events and messages between handlers and services: order, retries, dead letters.

use crate::{
    common::{config, get, post, send, until},
    setup::{Bug, Calls, open, service, start, start_with},
};
use minos::prelude::*;
use std::sync::atomic::Ordering;

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_be_handled_parks_its_key_only() {
    let (running, addr, calls) = start("trouble").await;
    let job = async |mood: &str| post(addr, "/jobs", &format!(r#"{{"mood":"{mood}"}}"#)).await.json().as_str().unwrap().to_owned();
    let (bad, good) = (job("refuses").await, job("fine").await);
    job("panics").await;
    let letters = running.dead_letters();
    until("two are put aside", async || letters.list().await.unwrap().len() == 2).await;
    let list = letters.list().await.unwrap();
    assert!(list[0].letter.key.contains(&bad) && list[0].letter.cause == "never" && list[0].letter.attempts == 1, "{list:?}");
    assert!(list[1].letter.cause.contains("panicked: as told") && list[1].letter.attempts == 3, "{list:?}");
    // Another handler of the same key, and other keys, go on.
    for id in [&bad, &good] {
        assert_eq!(send(addr, "PUT", &format!("/jobs/{id}"), "", r#"{"mood":"done"}"#).await.unwrap().status, 204);
    }
    until("both updates are handled", async || calls.count() == 2).await;
    assert!(letters.replay(list[0].id).await.is_err(), "it is refused again");
    letters.discard(list[0].id).await.unwrap();
    letters.discard(list[1].id).await.unwrap();
    assert!(letters.list().await.unwrap().is_empty());
    assert!(letters.discard(list[0].id).await.is_err());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_behind_a_dead_letter_waits_and_is_replayed_in_order() {
    let bug = Bug::default();
    let running = service("memory:", "trouble", &Calls::default()).with(bug.clone()).start().await.unwrap();
    let (addr, letters) = (running.addr(), running.dead_letters());
    let id = post(addr, "/jobs", r#"{"mood":"blocks"}"#).await.json().as_str().unwrap().to_owned();
    let change = async |mood: &str| send(addr, "PUT", &format!("/jobs/{id}"), "", &format!(r#"{{"mood":"{mood}"}}"#)).await.unwrap().status;
    until("the first is put aside", async || letters.list().await.unwrap().len() == 1).await;
    assert_eq!(change("later").await, 204);
    until("the next one waits behind it", async || letters.list().await.unwrap().len() == 2).await;
    let list = letters.list().await.unwrap();
    assert_eq!((list[1].letter.attempts, list[1].letter.cause.as_str()), (0, "waits behind an earlier dead letter of its key"));
    assert!(bug.seen.lock().unwrap().is_empty(), "nothing came before its turn");
    bug.fixed.store(true, Ordering::SeqCst);
    assert_eq!(letters.replay(list[0].id).await.unwrap(), 2);
    assert_eq!(change("at last").await, 204);
    until("the key flows again", async || bug.seen.lock().unwrap().len() == 3).await;
    assert_eq!(*bug.seen.lock().unwrap(), [r#"1 "blocks""#, r#"2 "later""#, r#"3 "at last""#]);
    assert!(letters.list().await.unwrap().is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_of_a_message_that_hangs_has_failed() {
    let (running, addr, calls) = start_with("trouble", "[broker]", "[broker]\nhandler_timeout = \"50ms\"").await;
    post(addr, "/jobs", r#"{"mood":"sleeps"}"#).await;
    let letters = running.dead_letters();
    until("it is put aside", async || letters.list().await.unwrap().len() == 1).await;
    let letter = letters.list().await.unwrap().remove(0).letter;
    assert_eq!((letter.attempts, calls.count()), (3, 3), "it may pass, so it is tried again");
    assert!(letter.cause.contains("`created` at tests/service/app/trouble.rs:"), "{}", letter.cause);
    assert!(letter.cause.ends_with("took longer than 50ms, which is `broker.handler_timeout`"), "{}", letter.cause);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_tried_again_until_it_succeeds() {
    let (running, addr, calls) = start("trouble").await;
    post(addr, "/jobs", r#"{"mood":"hesitates"}"#).await;
    until("the third attempt succeeds", async || calls.count() == 3).await;
    assert!(running.dead_letters().list().await.unwrap().is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn services_of_one_process_talk() {
    let calls = Calls::default();
    let talk = Service::from_toml(&config("talk", "memory:")).unwrap().module("service::app::talk");
    let mut running = Service::start_all([service("memory:", "account", &calls), talk]).await.unwrap();
    let (accounts, talk) = (running[0].addr(), running[1].addr());
    let id = open(accounts).await;
    assert_eq!(post(talk, "/forward", &format!(r#"{{"uuid":"{id}","amount":3}}"#)).await.status, 204);
    until("the command arrives", async || get(accounts, &format!("/accounts/{id}")).await.json()["balance"] == 3).await;
    let asked = post(talk, "/ask", &format!(r#"{{"uuid":"{id}","amount":0}}"#)).await;
    assert_eq!(asked.json()["owner"], "ada", "{asked:?}");
    assert_eq!(post(talk, "/ask-to-deposit", &format!(r#"{{"uuid":"{id}","amount":4}}"#)).await.json(), 7);
    let none = post(talk, "/ask", &format!(r#"{{"uuid":"{}","amount":0}}"#, Uuid::nil())).await;
    assert!(none.status == 404 && none.detail().contains("`GetAccount` failed: there is no Account"), "{none:?}");
    assert_eq!(post(talk, "/lose", "").await.status, 204);
    let letters = running[1].dead_letters();
    until("what nobody handles is put aside", async || letters.list().await.unwrap().len() == 1).await;
    let letter = letters.list().await.unwrap().remove(0);
    let again = letters.replay(letter.id).await.unwrap_err();
    assert!(again.to_string().contains("`NobodyHandlesThis` could not be sent"), "{again}");
    assert_eq!(letters.list().await.unwrap(), [letter], "it stays until it can be sent");
    for running in running.drain(..) {
        running.stop().await;
    }
}
