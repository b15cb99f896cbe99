//! Branches at once, of which some fail: through the manager, in all orders.

use crate::{
    bank::{Script, Trouble},
    common::{post, until},
    ends::World,
};
use minos::{
    message::Direction,
    prelude::*,
    saga::{Status, StepStatus},
};
use serde_json::json;

const BRANCHES: [&str; 3] = ["left", "right", "beside"];
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// All three run, and end in this order; those of which `works` says so with success.
async fn live(world: &World, order: [usize; 3], works: [bool; 3]) {
    let (script, case) = (&world.script, format!("{order:?} {works:?}"));
    script.forget();
    for step in BRANCHES {
        let _ = script.clone().with(step, &[Trouble::Hold]);
    }
    let input = json!({ "one": world.from, "other": world.to, "amount": 30 });
    let id: Uuid = post(world.teller.addr(), "/both", &input.to_string()).await.json().as_str().unwrap().parse().unwrap();
    until("all branches run", async || world.runs().len() == 3).await;
    let sagas = world.teller.sagas();
    for (n, branch) in order.into_iter().enumerate() {
        let execution = sagas.show(id).await.unwrap();
        let failed = order.iter().take(n).any(|before| !works[*before]);
        assert_eq!(execution.status, if failed { Status::Compensating } else { Status::Running }, "{case}");
        assert!(!world.runs().iter().any(|run| run.starts_with("undo")), "{case}: nothing is undone while a branch runs");
        script.release(BRANCHES[branch], works[branch]);
        until("it has ended", async || {
            let execution = sagas.show(id).await.unwrap();
            execution.steps[BRANCHES[branch]].status != StepStatus::UnderWay(Direction::Execute)
        })
        .await;
    }
    until("the saga has ended", async || sagas.show(id).await.unwrap().status.is_final()).await;
    let execution = sagas.show(id).await.unwrap();
    let all = works.iter().all(|works| *works);
    assert_eq!(execution.status, if all { Status::Committed } else { Status::RolledBack }, "{case}");
    let mut undone: Vec<_> = world.runs().into_iter().filter_map(|run| run.strip_prefix("undo ").map(str::to_owned)).collect();
    undone.sort();
    let mut expected: Vec<_> =
        BRANCHES.into_iter().zip(works).filter(|(_, works)| *works && !all).map(|(step, _)| step.to_owned()).collect();
    expected.sort();
    assert_eq!(undone, expected, "{case}: what has happened is undone, once, and nothing else");
    if let Some(first) = order.into_iter().find(|branch| !works[*branch]) {
        let failure = execution.failure.unwrap();
        assert_eq!((failure.at.as_deref(), failure.message), (Some(BRANCHES[first]), format!("`{}` refuses", BRANCHES[first])), "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f43_of_branches_at_once_what_succeeded_is_undone_when_all_have_ended() {
    let world = World::with(Script::default()).await;
    let mut gave = 0;
    for works in 0..8 {
        let works = [0, 1, 2].map(|branch| works >> branch & 1 == 1);
        for order in ORDERS {
            live(&world, order, works).await;
            gave += if works == [true; 3] { 30 } else { 0 };
            assert_eq!(world.balances().await, (100 + gave, 100 + gave), "{order:?} {works:?}");
        }
    }
    let log = world.teller.store().log(0, 10_000, None).await.unwrap().events;
    let count = |name: &str| log.iter().filter(|event| event.name == name).count();
    assert_eq!(count("TransferCreated") - count("TransferDeleted"), 6, "one of each execution that has committed");
    world.stop().await;
}
