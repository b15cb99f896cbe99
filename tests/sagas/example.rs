//! The example as it is written.

use crate::common::{config, get, post, until};
use minos::{Running, prelude::*};

async fn start() -> (Running, Running) {
    let service = |name: &str| Service::from_toml(&config(name, "memory:")).unwrap().module(format!("sagas::{name}"));
    let mut both = Service::start_all([service("foo"), service("foobar")]).await.unwrap();
    let foobar = both.pop().unwrap();
    (both.pop().unwrap(), foobar)
}

async fn create_foo(foo: &Running) -> String {
    post(foo.addr(), "/foos", r#"{"bar":"x"}"#).await.json()["uuid"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_answers_what_it_has_done() {
    let (foo, foobar) = start().await;
    let uuid = create_foo(&foo).await;
    let answer = post(foo.addr(), "/foo/add-foobar", &format!(r#"{{"uuid":"{uuid}","something":"a text"}}"#)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let added = answer.json()["foobar"].as_str().unwrap().to_owned();
    assert_eq!(get(foo.addr(), &format!("/foos/{uuid}")).await.json()["foobar"], added);
    let stored = get(foobar.addr(), &format!("/foobars/{added}")).await.json();
    assert_eq!((stored["number"].as_i64(), stored["something"].as_str()), (Some(56), Some("a text")));
    foo.stop().await;
    foobar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_service_refuses_changes_nothing_and_says_why() {
    let (foo, foobar) = start().await;
    let uuid = create_foo(&foo).await;
    let answer = post(foo.addr(), "/foo/add-foobar", &format!(r#"{{"uuid":"{uuid}","something":""}}"#)).await;
    assert_eq!((answer.status, answer.detail().as_str()), (422, "the foobar could not be created: a foobar needs a text"));
    let unchanged = get(foo.addr(), &format!("/foos/{uuid}")).await.json();
    assert!(unchanged["foobar"].is_null() && unchanged["version"] == 1, "{unchanged}");
    foo.stop().await;
    foobar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_undone_when_a_later_step_fails() {
    let (foo, foobar) = start().await;
    let answer = post(foo.addr(), "/foo/add-foobar", &format!(r#"{{"uuid":"{}","something":"a text"}}"#, Uuid::now_v7())).await;
    assert_eq!(answer.status, 404, "{answer:?}");
    let log = foobar.store().log(0, 10, None).await.unwrap();
    let names: Vec<_> = log.events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["FooBarCreated", "FooBarDeleted"]);
    until("the answers have arrived", async || foo.store().outbox(0, 10).await.unwrap().is_empty()).await;
    foo.stop().await;
    foobar.stop().await;
}
