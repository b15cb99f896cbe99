//! The operator's API.

use crate::{
    common::{get, post, send, until},
    setup::{Bug, Calls, service_with},
};
use std::sync::atomic::Ordering;

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_lists_shows_replays_and_discards() {
    let bug = Bug::default();
    let with_admin = |config: &str| format!("{config}\n[admin]\naddr = \"127.0.0.1:0\"");
    let running = service_with("memory:", "trouble", &Calls::default(), with_admin).with(bug.clone()).start().await.unwrap();
    let (addr, admin) = (running.addr(), running.admin_addr().unwrap());
    assert_eq!(get(admin, "/dead-letters").await.body, "[]");
    post(addr, "/jobs", r#"{"mood":"blocks"}"#).await;
    post(addr, "/jobs", r#"{"mood":"refuses"}"#).await;
    until("both are put aside", async || get(admin, "/dead-letters").await.json().as_array().unwrap().len() == 2).await;
    let list = get(admin, "/dead-letters").await.json();
    let of = |cause: &str| list.as_array().unwrap().iter().find(|letter| letter["cause"] == cause).unwrap()["id"].clone();
    let (blocked, refused) = (of("a bug"), of("never"));
    assert_eq!(get(admin, "/dead-letters?limit=1").await.json().as_array().unwrap().len(), 1);
    let letter = get(admin, &format!("/dead-letters/{blocked}")).await.json();
    assert_eq!((&letter["topic"], &letter["content"], &letter["attempts"]), (&"Job".into(), &r#"{"mood":"blocks"}"#.into(), &1.into()));
    assert_eq!(letter["headers"]["name"], "JobCreated");

    let metrics = get(addr, "/metrics").await;
    assert!(metrics.head.contains("application/openmetrics-text"), "{metrics:?}");
    for line in
        [r#"minos_parked_keys{service="test"} 2"#, r#"minos_dead_letters_total{service="test"} 2"#, r#"route="/jobs",status="200"} 2"#]
    {
        assert!(metrics.body.contains(line), "{line} is not in {}", metrics.body);
    }

    let replay = format!("/dead-letters/{blocked}/replay");
    assert_eq!(send(admin, "PUT", &replay, "", "").await.unwrap().status, 422, "the bug is still there");
    bug.fixed.store(true, Ordering::SeqCst);
    assert_eq!(send(admin, "PUT", &replay, "", "").await.unwrap().json()["handled"], 1);
    assert_eq!(send(admin, "PUT", &replay, "", "").await.unwrap().status, 404);
    let discarded = format!("/dead-letters/{refused}");
    assert_eq!(send(admin, "DELETE", &discarded, "", "").await.unwrap().json()["discarded"], 1);
    assert_eq!(get(admin, &discarded).await.status, 404);
    assert_eq!(get(admin, "/dead-letters").await.body, "[]");
    assert_eq!(post(admin, &replay, "").await.status, 405, "what a page of another site could send");
    assert_eq!(get(addr, "/dead-letters").await.status, 404, "it is not where the public is");
    running.stop().await;
}
