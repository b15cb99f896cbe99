//! A participant that is not there for a while, as a process on PostgreSQL and Kafka: who waits for it does not run hot, and all ends when it is back.

use crate::{
    common::until_within,
    parties::{ACCOUNTS, Parties, order},
};
use futures_util::future::join_all;
use minos::store::SagaFilter;
use serde_json::json;
use std::time::Duration;

const ORDERS: usize = 200;
/// Not so long that the first step, which is tried once, is given up.
const AWAY: Duration = Duration::from_secs(5);

/// The processor time that a process has used, user and system, in hundredths of a second.
fn used(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name of the program may have spaces.
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes half a minute; run by `cargo test --all-features --test sagas -- --ignored`"]
async fn f39_while_the_participant_is_away_nothing_runs_hot_and_all_ends_when_it_is_back() {
    let Some(mut parties) = Parties::start("away", ACCOUNTS).await else { return };
    parties.bank.kill();
    // At once: what the first ones may wait is not spent on the others.
    let there = &parties;
    join_all((0..ORDERS).map(async |number| {
        let account = |n: usize| &there.accounts[n % ACCOUNTS];
        let transfer = json!({ "from": account(number), "to": account(number + 1), "amount": 1 + number % 7 });
        order(there.teller.addr, "/orders", &json!({ "key": format!("order-{number}"), "transfer": transfer })).await;
    }))
    .await;
    let store = parties.store("teller").await;
    let waiting = SagaFilter { status: Some("running".to_owned()), ..SagaFilter::default() };
    until_within(30, "all wait", async || store.sagas(waiting.clone(), None, 1000).await.unwrap().len() == ORDERS).await;
    let before = used(parties.teller.id());
    // Time is what is measured: there is nothing to wait for.
    tokio::time::sleep(AWAY).await;
    let share = (used(parties.teller.id()) - before) as f64 / (AWAY.as_secs_f64() * 100.0);
    assert!(share < 0.2, "the coordinator used {:.0} % of a core", share * 100.0);
    parties.bank.start().await;
    let rows = parties.all_is_well(ORDERS).await;
    let done = rows.iter().filter(|row| row.status == "committed").count();
    eprintln!("{ORDERS} sagas waited {AWAY:?} with {:.1} % of a core; then {done} committed", share * 100.0);
    assert_eq!(done, ORDERS);
}
