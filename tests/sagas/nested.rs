//! A step that is a saga itself, of the service that is asked.

use crate::{
    bank::{Script, Trouble},
    common::{post, until, until_within},
    ends::World,
};
use minos::prelude::*;
use serde_json::json;

async fn begin(world: &World, amount: i64, patience: u64) -> Uuid {
    begin_at(world, "/nested", amount, patience).await
}

async fn begin_at(world: &World, path: &str, amount: i64, patience: u64) -> Uuid {
    let input = json!({ "from": world.from, "to": world.to, "amount": amount, "patience": patience });
    let answer = post(world.teller.addr(), path, &input.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json().as_str().unwrap().parse().unwrap()
}

async fn status(service: &minos::Running) -> Vec<String> {
    let rows = service.store().sagas(minos::store::SagaFilter::default(), None, 1000).await.unwrap();
    rows.into_iter().map(|row| row.status).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_can_be_a_saga_and_is_undone_by_another_one() {
    let world = World::with(Script::default()).await;
    begin(&world, 30, 10_000).await;
    until("it has committed", async || status(&world.teller).await == ["committed"]).await;
    assert_eq!(world.balances().await, (70, 130));
    // The bank does not confirm this amount.
    begin(&world, crate::bank::UNLUCKY, 10_000).await;
    until("it is rolled back", async || status(&world.teller).await.contains(&"rolled_back".to_owned())).await;
    assert_eq!(world.balances().await, (70, 130));
    assert_eq!(status(&world.bank).await, ["committed"; 3], "one forward, and one forward and back");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_whose_saga_fails_has_failed() {
    let world = World::with(Script::default()).await;
    begin(&world, 101, 10_000).await;
    until("it is rolled back", async || status(&world.teller).await == ["rolled_back"]).await;
    assert_eq!((world.balances().await, status(&world.bank).await), ((100, 100), vec!["rolled_back".to_owned()]));
    world.stop().await;
}

/// Both services stop while the inner saga is between its two steps.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_is_a_saga_goes_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = |name: &str| format!("sqlite://{}", dir.path().join(name).display());
    let world = World::on(&store("teller.db"), &store("bank.db"), Script::default().with("give inside", &[Trouble::Hold])).await;
    begin(&world, 30, 10_000).await;
    until("it is in the middle", async || world.runs() == ["inside", "take inside", "give inside"]).await;
    let (from, to) = (world.from.clone(), world.to.clone());
    world.stop().await;
    let world = World { from, to, ..World::on(&store("teller.db"), &store("bank.db"), Script::default()).await };
    // Nobody else may do the local step before the claim of the process that died has passed.
    until_within(30, "it has ended", async || status(&world.teller).await != ["running"]).await;
    assert_eq!((status(&world.teller).await, status(&world.bank).await), (vec!["committed".to_owned()], vec!["committed".to_owned()]));
    assert_eq!(world.balances().await, (70, 130));
    let mut runs = world.runs();
    runs.sort();
    assert_eq!(runs, ["confirm", "give inside", "inside"], "what was done is not done again");
    world.stop().await;
}

/// Who waits for the inner saga has no patience, and the inner saga goes on.
#[tokio::test(flavor = "multi_thread")]
async fn that_a_saga_has_not_ended_yet_is_no_answer_to_a_step() {
    let world = World::with(Script::default().with("give inside", &[Trouble::Hold])).await;
    begin(&world, 30, 50).await;
    let waits = || world.script.runs().iter().filter(|run| *run == "inside").count();
    until("it was waited for in vain, twice", async || waits() >= 3).await;
    assert_eq!(status(&world.teller).await, ["running"]);
    world.script.release("give inside", true);
    until("it has committed", async || status(&world.teller).await == ["committed"]).await;
    assert_eq!((world.balances().await, status(&world.bank).await), ((70, 130), vec!["committed".to_owned()]));
    world.stop().await;
}

/// A handler that waits for its saga does not need its room, neither at the bank, for a message, nor at the teller, for a local step.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_saga_keeps_nobody_from_running() {
    let script = Script::default().with("give inside", &[Trouble::Hold]);
    let world = World::running("memory:", "memory:", script, 1).await;
    begin(&world, 30, 20_000).await;
    until("it is in the middle", async || world.runs() == ["inside", "take inside", "give inside"]).await;
    // Its own steps are messages to the bank, and local steps of the teller.
    begin_at(&world, "/around", 20, 20_000).await;
    until_within(15, "what it runs has committed", async || {
        status(&world.teller).await.iter().filter(|status| *status == "committed").count() == 2
    })
    .await;
    assert_eq!(world.balances().await, (50, 120), "of the first only half is done");
    world.script.release("give inside", true);
    until("all have committed", async || status(&world.teller).await == ["committed"; 3]).await;
    assert_eq!(world.balances().await, (50, 150));
    world.stop().await;
}

/// The same where the coordinator's own step runs the inner saga.
#[tokio::test(flavor = "multi_thread")]
async fn a_local_step_has_not_failed_as_long_as_the_saga_that_it_runs_goes_on() {
    let world = World::with(Script::default().with("give", &[Trouble::Hold])).await;
    begin_at(&world, "/around", 30, 50).await;
    let waits = || world.script.runs().iter().filter(|run| *run == "around").count();
    until("it was waited for in vain, twice", async || waits() >= 3).await;
    assert_eq!(status(&world.teller).await, ["running"; 2]);
    world.script.release("give", true);
    until("both have committed", async || status(&world.teller).await == ["committed"; 2]).await;
    assert_eq!(world.balances().await, (70, 130));
    world.stop().await;
}
