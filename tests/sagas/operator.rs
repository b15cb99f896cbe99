//! What an operator sees and does.

use crate::{
    bank::{Script, Trouble},
    common::{get, post, send, until},
    ends::World,
};
use minos::store::StreamId;
use serde_json::json;

/// A transfer of which a step behind the pivot is refused for ever, as the operator's API shows it.
async fn stuck() -> (World, String, String) {
    let world = World::with(Script::default().with("tell", &[Trouble::Refuse; 20])).await;
    let order = json!({ "key": "order-1", "transfer": world.input(30) }).to_string();
    let id = post(world.teller.addr(), "/orders", &order).await.json().as_str().unwrap().to_owned();
    let metric = r#"minos_saga_alarms_total{service="teller",saga="MoveMoney",step="tell",why="stuck"} 1"#;
    until("it waits for the operator", async || world.teller.metrics().contains(metric)).await;
    let path = format!("/sagas/{id}");
    (world, id, path)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_is_stuck_is_seen_and_retried() {
    let (world, id, path) = stuck().await;
    let admin = world.teller.admin_addr().unwrap();
    let list = get(admin, "/sagas?status=needs_operator").await.json();
    assert_eq!((list[0]["id"].as_str(), list[0]["key"].as_str(), list.as_array().unwrap().len()), (Some(&*id), Some("order-1"), 1));
    assert_eq!(get(admin, "/sagas?status=running").await.json(), json!([]));
    let shown = get(admin, &path).await.json();
    let tell = &shown["steps"]["tell"];
    assert_eq!((&tell["attempts"]["execute"], &tell["status"]), (&json!(20), &json!({ "stuck": "execute" })), "{shown}");
    assert_eq!(tell["error"]["message"], "`tell` refuses");
    assert!(get(admin, &format!("{path}/diagram")).await.body.contains("flowchart TD"));
    let picture = get(admin, &format!("{path}/diagram.svg")).await;
    assert!(picture.head.contains("content-type: image/svg+xml") && picture.body.starts_with("<svg "), "{picture:?}");
    assert!(picture.body.contains("executing, stuck after attempt 20") && picture.body.contains("`tell` refuses"), "{picture:?}");
    let accepted = send(admin, "GET", &format!("{path}/diagram"), "accept: text/html, image/svg+xml;q=0.9\r\n", "").await.unwrap();
    assert_eq!(accepted.body, picture.body);
    assert!(get(admin, "/definitions/MoveMoney/diagram").await.body.contains("flowchart TD"));
    assert!(get(admin, "/definitions/MoveMoney/diagram.svg").await.body.contains(">committed<"));
    assert_eq!(get(admin, "/definitions/Nothing/diagram.svg").await.status, 404);
    let told = r#"minos_saga_alarms_total{service="teller",saga="MoveMoney",step="",why="age"} 1"#;
    until("it is told that it takes too long", async || world.teller.metrics().contains(told)).await;
    let metrics = world.teller.metrics();
    assert!(
        metrics.contains("minos_saga_oldest_seconds") && !metrics.contains(r#"minos_saga_oldest_seconds{service="teller"} 0.0"#),
        "{metrics}"
    );
    let refused = send(admin, "PUT", &format!("{path}/rollback"), "", "").await.unwrap();
    assert_eq!((refused.status, refused.detail().as_str()), (409, "it is past its point of no return, and can only go forward"));
    let refused = send(admin, "PUT", &format!("{path}/steps/nothing/retry"), "", "").await.unwrap();
    assert_eq!((refused.status, refused.detail().as_str()), (409, "it has no step `nothing`"));
    let retried = send(admin, "PUT", &format!("{path}/steps/tell/retry"), "", "").await.unwrap();
    assert_eq!(retried.status, 200, "{retried:?}");
    until("it has ended", async || world.statuses().await == ["committed"]).await;
    let log = world.teller.store().stream(StreamId::new("Saga", id.parse().unwrap()), 0).await.unwrap();
    let repairs: Vec<serde_json::Value> = log.iter().map(|event| serde_json::from_str(&event.data).unwrap()).collect();
    assert_eq!((repairs.len(), &repairs[0]["repair"]), (1, &json!({ "retry": { "step": "tell" } })), "refused ones leave nothing");
    assert_eq!(get(admin, &path).await.json()["repairs"].as_array().unwrap().len(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_was_done_by_hand_is_skipped() {
    let (world, _, path) = stuck().await;
    let admin = world.teller.admin_addr().unwrap();
    let skip = format!("{path}/steps/tell/skip");
    let refused = send(admin, "PUT", &skip, "", "{}").await.unwrap();
    assert_eq!((refused.status, refused.detail().as_str()), (409, "step `tell` has to happen: give the value that it yields, or `null`"));
    let skipped = send(admin, "PUT", &skip, "", r#"{"value":null}"#).await.unwrap();
    assert_eq!((skipped.status, skipped.json()["status"].as_str()), (200, Some("committed")), "{skipped:?}");
    let late = send(admin, "PUT", &skip, "", r#"{"value":null}"#).await.unwrap();
    assert_eq!((late.status, late.detail().as_str()), (409, "it has ended as committed"));
    assert_eq!(world.balances().await, (70, 130));
    assert_eq!(get(admin, &format!("/sagas/{}", minos::prelude::Uuid::now_v7())).await.status, 404);
    world.stop().await;
}
