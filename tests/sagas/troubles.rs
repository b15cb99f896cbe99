//! What happens to executions when processes end, definitions change, and nobody answers.

use crate::{
    bank::{Script, Trouble},
    common::{config, post, until},
    ends::World,
};
use minos::prelude::*;
use serde_json::json;

/// The same name, and other steps.
mod changed {
    use crate::bank::Confirm;
    use minos::prelude::*;

    saga! {
        /// Another saga of the same name.
        pub MoveMoney { amount: i64 }

        remote confirm {
            on_execute: |saga| Confirm { step: "confirm".into(), amount: saga.amount },
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_under_way_goes_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = |name: &str| format!("sqlite://{}", dir.path().join(name).display());
    let world = World::on(&store("teller.db"), &store("bank.db"), Script::default().with("tell", &[Trouble::Fail; 200])).await;
    let order = json!({ "key": "order-1", "transfer": world.input(30) }).to_string();
    assert_eq!(post(world.teller.addr(), "/orders", &order).await.status, 200);
    until("it is behind the pivot", async || world.runs().iter().any(|run| run == "tell")).await;
    let (from, to) = (world.from.clone(), world.to.clone());
    world.stop().await;
    let service = |name: &str| Service::from_toml(&config(name, &store(&format!("{name}.db")))).unwrap();
    let refused = service("teller").module("sagas::troubles::changed").start().await;
    let error = refused.err().expect("it refuses to start").to_string();
    assert!(error.contains("1 execution has begun under the definition") && error.contains("`MoveMoney`"), "{error}");
    let world = World { from, to, ..World::on(&store("teller.db"), &store("bank.db"), Script::default()).await };
    until("it has ended", async || world.statuses().await == ["committed"]).await;
    assert_eq!(world.balances().await, (70, 130));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_does_not_exist_is_told() {
    let text = config("teller", "memory:");
    let teller = Service::from_toml(&text).unwrap().module("sagas::teller").with(Script::default()).start().await.unwrap();
    let input = json!({ "from": Uuid::now_v7(), "to": Uuid::now_v7(), "amount": 1 }).to_string();
    let answer = post(teller.addr(), "/transfers", &input).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    teller.stop().await;
}
