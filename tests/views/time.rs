//! Aggregates as they were, and what happened to them.

use crate::{
    common::{get, send},
    kit::{change, open, places, start},
};

#[tokio::test]
async fn an_aggregate_is_seen_as_it_was() {
    for place in places("an_aggregate_is_seen_as_it_was") {
        let (running, addr) = start(&place).await;
        let ann = open(addr, "ann", 1).await;
        change(addr, &ann, 2).await;
        change(addr, &ann, 3).await;
        send(addr, "DELETE", &format!("/accounts/{ann}"), "", "").await.unwrap();
        for version in 1..=3 {
            let seen = get(addr, &format!("/accounts/{ann}/versions/{version}")).await.json();
            assert_eq!((&seen["version"], &seen["cents"], &seen["owner"]), (&version.into(), &version.into(), &"ann".into()), "{seen}");
        }
        for gone in [0, 4, 100] {
            assert_eq!(get(addr, &format!("/accounts/{ann}/versions/{gone}")).await.body, "null");
        }
        let history = get(addr, &format!("/accounts/{ann}/history")).await.json();
        let names: Vec<_> = history.as_array().unwrap().iter().map(|event| event["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["AccountCreated", "AccountUpdated", "AccountUpdated", "AccountDeleted"]);
        assert_eq!(history[1]["data"], serde_json::json!({ "cents": 2 }));
        assert!(history[1]["causation_id"].is_string() && history[1]["correlation_id"] != history[2]["correlation_id"], "{history}");
        let time = |n: usize| history[n]["at"].as_str().unwrap().to_owned();
        let seen = get(addr, &format!("/accounts/{ann}/times/{}", time(1))).await.json();
        assert_eq!(seen["updated_at"], time(1));
        assert_eq!(get(addr, &format!("/accounts/{ann}/times/2001-01-01T00:00:00Z")).await.body, "null");
        running.stop().await;
    }
}
