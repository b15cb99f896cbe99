//! Stops: what was begun is finished.

use crate::{
    common::{get, send, until},
    setup::start,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_what_was_begun() {
    let (running, addr, calls) = start("trouble").await;
    let begun = tokio::spawn(async move { get(addr, "/takes-a-while").await });
    until("it has begun", async || calls.count() == 1).await;
    running.stop().await;
    let answer = begun.await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "\"done\""));
    assert!(send(addr, "GET", "/takes-a-while", "", "").await.is_err(), "nothing new is taken");
}
