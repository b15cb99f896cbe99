//! The coordinator and the participant end at every named place between two durable steps, going forward and going back, on PostgreSQL and Kafka: every
//! transfer ends, and each step was done or undone exactly once.

use crate::{
    bank::{SLOW, UNLUCKY},
    common::{until, until_within},
    parties::{ACCOUNTS, Parties, Party, order},
};
use minos::{prelude::*, store::SharedStore};
use serde_json::json;
use std::{
    cell::Cell,
    net::SocketAddr,
    os::unix::process::ExitStatusExt,
    time::{Duration, Instant},
};

/// How many executions are under way at once.
const AT_ONCE: u64 = 12;
const ABORTED: i32 = 6;

fn each(points: &[&str], about: &[&str]) -> Vec<String> {
    about.iter().flat_map(|about| points.iter().map(move |point| format!("{point}/{about}"))).collect()
}

const TURN: [&str; 4] = ["saga.turn.loaded", "saga.turn.commit.before", "saga.turn.commit.after", "saga.turn.settled"];
const RELAY: [&str; 4] = ["relay.send.before", "relay.send.after", "relay.save.before", "relay.save.after"];
const HANDLER: [&str; 3] = ["handler.before", "handler.commit.before", "handler.commit.after"];
const CONSUME: [&str; 2] = ["consume.before", "consume.after"];
const REMOTE: [&str; 6] = ["take/execute", "give/execute", "confirm/execute", "tell/execute", "give/undo", "take/undo"];
const LOCAL: [&str; 2] = ["note/execute", "note/undo"];

fn points_of_the_coordinator() -> Vec<String> {
    let mut points = each(&HANDLER, &["order"]);
    points.extend(each(&["saga.answer"], &[&REMOTE[..], &["give/cancel"]].concat()));
    points.extend(each(&TURN, &[&REMOTE[..], &LOCAL[..], &["give/cancel", "due"]].concat()));
    points.extend(each(&["saga.local.before", "saga.local.done"], &LOCAL));
    points.extend(each(&TURN[..1], &["resumed"]));
    points.extend([&["saga.timer.before", "saga.timer.after"], &CONSUME[..], &RELAY[..]].concat().into_iter().map(str::to_owned));
    points
}

fn points_of_the_participant() -> Vec<String> {
    let mut points = each(&["participant.before"], &[&REMOTE[..], &["give/cancel"]].concat());
    points.extend(each(&HANDLER, &REMOTE));
    points.extend(each(&["participant.answer.before", "participant.answer.after"], &["confirm/execute", "give/execute", "give/cancel"]));
    points.extend([&CONSUME[..], &RELAY[..]].concat().into_iter().map(str::to_owned));
    points
}

/// Has a party end at each of these, one after the other. Each start goes on with what the end before has left.
async fn end_at_each(party: &mut Party, points: &[String]) {
    for point in points {
        let started = Instant::now();
        let process = party.spawn(&format!("{point}=1*return")).await;
        let mut status = None;
        until_within(60, point, async || {
            status = process.has_ended();
            status.is_some()
        })
        .await;
        assert_eq!(status.and_then(|status| status.signal()), Some(ABORTED), "{point}: {status:?}: {:#?}", process.lines());
        let said = format!("failpoint {point}: the process ends here");
        until(&said, async || process.lines().contains(&said)).await;
        eprintln!("{point}: {} ms", started.elapsed().as_millis());
    }
    party.start().await;
}

/// Orders transfers of each kind until it is enough, with never too many under way; returns how many.
async fn keep_ordering(teller: SocketAddr, store: &SharedStore, accounts: &[String], enough: &Cell<bool>) -> usize {
    let mut number = 0;
    while !enough.get() {
        let (from, to) = (&accounts[number % accounts.len()], &accounts[(number + 1) % accounts.len()]);
        let nobody = Uuid::now_v7().to_string();
        for amount in [1 + (number % 7) as i64, UNLUCKY] {
            let transfer = json!({ "from": from, "to": to, "amount": amount });
            order(teller, "/orders", &json!({ "key": format!("order-{number}"), "transfer": transfer })).await;
            number += 1;
        }
        // Whose answer comes after its time: that it was done, and that it was refused.
        for to in [to, &nobody] {
            order(teller, "/quick/orders", &json!({ "key": format!("order-{number}"), "give": { "to": to, "amount": SLOW } })).await;
            number += 1;
        }
        let live = async || store.live_definitions().await.unwrap().iter().map(|live| live.executions).sum::<u64>();
        while live().await > AT_ONCE && !enough.get() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    number
}

#[tokio::test]
#[ignore = "takes one or two minutes; run by `cargo test --all-features --test sagas -- --ignored`"]
async fn f33_ended_at_every_point_every_saga_ends_and_each_step_was_done_once() {
    let Some(mut parties) = Parties::start("sagas", ACCOUNTS).await else { return };
    let (store, accounts, addr) = (parties.store("teller").await, parties.accounts.clone(), parties.teller.addr);
    let (of_teller, of_bank) = (points_of_the_coordinator(), points_of_the_participant());
    let enough = Cell::new(false);
    let ends = async {
        tokio::join!(end_at_each(&mut parties.teller, &of_teller), end_at_each(&mut parties.bank, &of_bank));
        enough.set(true);
    };
    let (orders, ()) = tokio::join!(keep_ordering(addr, &store, &accounts, &enough), ends);
    store.close().await;
    let rows = parties.all_is_well(orders).await;
    let done = rows.iter().filter(|row| row.status == "committed").count();
    assert!(done > 0 && rows.iter().any(|row| row.status == "rolled_back"), "both directions");
    eprintln!("{} points: {orders} sagas, {done} committed", of_teller.len() + of_bank.len());
}
