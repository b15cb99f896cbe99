//! `kill -9` of the coordinator and of the participant under load, on PostgreSQL and Kafka: every transfer ends, and no money is lost or made.

use crate::{
    bank::UNLUCKY,
    common::{post, until_within},
    parties::{ACCOUNTS, Parties, order},
};
use minos::prelude::*;
use serde_json::json;
use std::time::Duration;

const ROUNDS: usize = 16;
const EACH: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes half a minute; run by `cargo test --all-features --test sagas -- --ignored`"]
async fn f33_killed_at_any_moment_every_saga_ends_and_no_money_is_lost() {
    let Some(parties) = Parties::start("sagas", ACCOUNTS).await else { return };
    killed(parties, "/orders", 1).await;
}

/// The same for isolated sagas: all of each transfer, or nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes half a minute; run by `cargo test --all-features --test sagas -- --ignored`"]
async fn killed_at_any_moment_every_isolated_saga_is_decided_and_carried_out() {
    // What is prepared keeps others out, so that those of one round have accounts of their own.
    let Some(parties) = Parties::start("isolated", 2 * EACH).await else { return };
    killed(parties, "/orders/at-once", 2).await;
}

/// Each transfer goes from one account to the next one, and the next transfer begins so much further on.
async fn killed(mut parties: Parties, orders: &str, stride: usize) {
    let accounts = parties.accounts.clone();
    for round in 0..ROUNDS {
        for number in round * EACH..(round + 1) * EACH {
            let nobody = Uuid::now_v7().to_string();
            let to = if number % 5 == 4 { &nobody } else { &accounts[(number * stride + 1) % accounts.len()] };
            let amount = if number % 3 == 2 { UNLUCKY } else { 1 + (number % 7) as i64 };
            let transfer = json!({ "from": accounts[number * stride % accounts.len()], "to": to, "amount": amount });
            order(parties.teller.addr, orders, &json!({ "key": format!("order-{number}"), "transfer": transfer })).await;
        }
        tokio::time::sleep(Duration::from_millis((round as u64 * 83) % 700)).await;
        let party = if round % 2 == 0 { &mut parties.teller } else { &mut parties.bank };
        party.start().await;
    }
    let rows = parties.all_is_well(ROUNDS * EACH).await;
    let mut reasons = std::collections::BTreeMap::<String, usize>::new();
    for row in rows.iter() {
        let state: serde_json::Value = serde_json::from_str(&row.state).unwrap();
        let values = &state["values"];
        let possible = values["amount"] != UNLUCKY && accounts.iter().any(|known| values["to"] == **known);
        assert!(possible || row.status == "rolled_back", "what cannot be has happened: {state}");
        if row.status != "committed" {
            let why = state["failure"]["message"].as_str().unwrap_or_default();
            *reasons.entry(why.split(" no ").next().unwrap_or_default().to_owned()).or_default() += 1;
        }
    }
    for account in &accounts {
        let nothing = format!("/accounts/{account}/touch");
        until_within(60, "nothing is held", async || post(parties.bank.addr, &nothing, "").await.status == 204).await;
    }
    let done = rows.iter().filter(|row| row.status == "committed").count();
    eprintln!("{ROUNDS} kills: {} sagas, {done} committed, rolled back because: {reasons:#?}", rows.len());
}
