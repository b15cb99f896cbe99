//! What happens to executions when processes end, definitions change, and nobody answers.

use crate::{
    bank::{Script, Trouble},
    common::{config, post, until, until_within},
    ends::World,
};
use minos::{
    message::{Direction, Envelope, StepCall},
    prelude::*,
    saga::Repair,
};
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

/// A step that is due while nobody runs is decided when somebody does.
#[tokio::test(flavor = "multi_thread")]
async fn f40_what_is_due_while_everything_is_down_is_done_after_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let store = |name: &str| format!("sqlite://{}", dir.path().join(name).display());
    let world = World::on(&store("teller.db"), &store("bank.db"), Script::default().with("give", &[Trouble::Sleep(60_000)])).await;
    let input = json!({ "to": world.to, "amount": 30 }).to_string();
    let order = post(world.teller.addr(), "/quick/start", &input).await;
    assert_eq!(order.status, 200, "{order:?}");
    until("it is under way", async || world.runs() == ["give"]).await;
    let (from, to) = (world.from.clone(), world.to.clone());
    // The handler is cut off: nothing of it has happened.
    world.stop().await;
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    let world = World { from, to, ..World::on(&store("teller.db"), &store("bank.db"), Script::default()).await };
    // The bank was cut off, and its lease has to end first.
    until_within(30, "it has ended", async || world.statuses().await == ["rolled_back"]).await;
    assert_eq!(world.balances().await, (100, 100));
    world.stop().await;
}

/// Answers of attempts that do not count any more, doubled and late ones.
#[tokio::test(flavor = "multi_thread")]
async fn f35_an_answer_that_does_not_count_changes_nothing() {
    let world = World::with(Script::default().with("tell", &[Trouble::Sleep(700)])).await;
    let order = json!({ "key": "order-1", "transfer": world.input(30) }).to_string();
    let id: Uuid = post(world.teller.addr(), "/orders", &order).await.json().as_str().unwrap().parse().unwrap();
    until("the last step is under way", async || world.runs().iter().any(|run| run == "tell")).await;
    let before = world.teller.sagas().show(id).await.unwrap();
    let answer = |step: &str, attempt: u32, status: u16| {
        let cause = minos::store::Cause { correlation: id, causation: id, user: None, trace: None };
        let mut request = Envelope::request(Uuid::now_v7(), "Move", None, "1", before.changed_at, cause);
        request.saga = Some(StepCall::new(id, "MoveMoney", step, Direction::Execute, attempt));
        request.reply_to = Some("teller.sagas".to_owned());
        request.reply(status, r#"{"detail":"no"}"#, before.changed_at).unwrap()
    };
    let sagas = world.teller.sagas();
    for (step, attempt, status) in
        [("take", 1, 200), ("take", 1, 500), ("take", 2, 500), ("tell", 2, 200), ("tell", 0, 500), ("nothing", 1, 200)]
    {
        sagas.answered(answer(step, attempt, status)).await.unwrap();
    }
    let mut other = answer("tell", 1, 200);
    other.saga.as_mut().unwrap().execution = Uuid::now_v7();
    sagas.answered(other).await.unwrap();
    assert_eq!(sagas.show(id).await.unwrap(), before, "nothing of that counts");
    // Two coordinators get the same answer: one goes on, and the other finds nothing to do.
    let (first, second) = tokio::join!(sagas.answered(answer("tell", 1, 200)), sagas.answered(answer("tell", 1, 200)));
    assert!(first.is_ok() && second.is_ok());
    let after = sagas.show(id).await.unwrap();
    assert_eq!((after.status.name(), after.version), ("committed", before.version + 1));
    sagas.answered(answer("tell", 1, 500)).await.unwrap();
    assert_eq!(sagas.show(id).await.unwrap(), after, "it has ended");
    world.stop().await;
}

/// A compensation that never succeeds waits for the operator, and is done when that one says so.
#[tokio::test(flavor = "multi_thread")]
async fn f37_a_compensation_that_always_fails_waits_for_the_operator() {
    let script = Script::default().with("confirm", &[Trouble::Refuse]).with("undo give", &[Trouble::Refuse; 4]);
    let world = World::with(script).await;
    let order = json!({ "key": "order-1", "transfer": world.input(30) }).to_string();
    let id: Uuid = post(world.teller.addr(), "/orders", &order).await.json().as_str().unwrap().parse().unwrap();
    until("it waits for the operator", async || world.statuses().await == ["needs_operator"]).await;
    assert_eq!(world.balances().await, (70, 130), "what comes before the step that is stuck is not undone before it");
    let retried = world.teller.sagas().repair(id, Repair::Retry { step: "give".to_owned() }, Some("ada".to_owned())).await.unwrap();
    assert_eq!(retried.repairs[0].by.as_deref(), Some("ada"));
    until("it has ended", async || world.statuses().await == ["rolled_back"]).await;
    assert_eq!(world.balances().await, (100, 100));
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

#[tokio::test(flavor = "multi_thread")]
async fn each_attempt_at_local_work_has_the_same_id() {
    let script = Script::default().with("confirm", &[Trouble::Refuse]).with("undo note", &[Trouble::Fail, Trouble::Panic]);
    let world = World::with(script).await;
    assert_eq!(world.transfer(30).await.status, 422);
    let ids = world.script.ids();
    assert!(ids.len() == 3 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(world.balances().await, (100, 100));
    world.stop().await;
}
