//! For random histories: a rebuilt read model is the live one, byte for byte.

use crate::{
    common::{post, send, until},
    kit::{places, start, start_module, until_shown},
};
use fastrand::Rng;
use minos::{Running, store::Find};
use serde_json::json;
use std::net::SocketAddr;

const HISTORIES: u64 = 4;
const STEPS: usize = 120;

/// Opens, changes and closes accounts at random; `path` is where.
async fn live(addr: SocketAddr, path: &str, change: &str, random: &mut Rng) {
    let mut accounts: Vec<String> = Vec::new();
    for _ in 0..STEPS {
        let cents = random.i64(0..1000);
        match random.u8(0..10) {
            0..3 => {
                let owner = ["ann", "bob", "ü\"\\", "dan"][random.usize(0..4)];
                let answer = post(addr, path, &json!({ "owner": owner, "cents": cents }).to_string()).await;
                accounts.push(answer.json().as_str().unwrap().to_owned());
            }
            3..9 if !accounts.is_empty() => {
                let account = &accounts[random.usize(0..accounts.len())];
                send(addr, "PUT", &format!("{path}/{account}{change}"), "", &cents.to_string()).await.unwrap();
            }
            _ if !accounts.is_empty() => {
                let account = accounts.swap_remove(random.usize(0..accounts.len()));
                send(addr, "DELETE", &format!("{path}/{account}"), "", "").await.unwrap();
            }
            _ => {}
        }
    }
}

/// Waits until the view of this generation is the one that is read: it has taken all that the one before had.
async fn until_rebuilt(running: &Running, name: &str, generation: u64) {
    until("it is rebuilt", async || {
        let all = running.projections().list().await.unwrap();
        let progress = &all.iter().find(|standing| standing.name == name).unwrap().progress;
        progress.rebuild.is_none() && progress.live.as_ref().is_some_and(|live| live.generation == generation)
    })
    .await;
}

/// All documents of a read model.
async fn documents(running: &Running, name: &'static str) -> Vec<(String, String)> {
    let found = running.store().find(Find::all(name, 10_000)).await.unwrap();
    found.into_iter().map(|found| (found.key, found.body)).collect()
}

/// Rebuilds a read model of documents, in which there are this many at least, and holds them against those that were there.
async fn assert_rebuilt(running: &Running, name: &'static str, seed: u64, least: usize) {
    let before = documents(running, name).await;
    assert!(before.len() >= least, "{before:?}");
    running.projections().rebuild(name).await.unwrap();
    until_rebuilt(running, name, seed + 2).await;
    assert_eq!(documents(running, name).await, before, "seed {seed}");
}

#[tokio::test]
async fn rebuilt_documents_are_the_live_ones_byte_for_byte() {
    for place in places("rebuilt_documents_are_the_live_ones_byte_for_byte") {
        let (running, addr) = start(&place).await;
        for seed in 0..HISTORIES {
            live(addr, "/accounts", "/cents", &mut Rng::with_seed(seed)).await;
            until_shown(addr, "/accounts").await;
            assert_rebuilt(&running, "Balance", seed, 1).await;
        }
        running.stop().await;
    }
}

/// Their events are of different streams, so those who build it together are in each other's way: it is as if one had done it in the order of the log.
#[tokio::test]
async fn rebuilt_documents_about_many_streams_are_the_live_ones_byte_for_byte() {
    for place in places("rebuilt_documents_about_many_streams_are_the_live_ones_byte_for_byte") {
        let (running, addr) = start(&place).await;
        for seed in 0..HISTORIES {
            live(addr, "/accounts", "/cents", &mut Rng::with_seed(seed)).await;
            until_shown(addr, "/accounts").await;
            let is_last = |(key, body): &(String, String)| key == "last" && body.contains(&format!("\"accounts\":{},", seed + 1));
            until("the last one is there", async || documents(&running, "Wealth").await.iter().any(is_last)).await;
            assert_eq!(documents(&running, "Wealth").await.len(), 5, "the owners of `live`, and the last one");
            assert_rebuilt(&running, "Wealth", seed, 5).await;
        }
        running.stop().await;
    }
}

#[tokio::test]
async fn rebuilt_tables_are_the_live_ones_byte_for_byte() {
    for place in crate::kit::databases("rebuilt_tables_are_the_live_ones_byte_for_byte") {
        let (running, addr) = start_module(&place, "ledger").await;
        for seed in 0..HISTORIES {
            live(addr, "/ledger/accounts", "", &mut Rng::with_seed(seed)).await;
            until_shown(addr, "/ledger/accounts").await;
            let before = crate::common::get(addr, "/totals").await.body;
            assert!(before.len() > 10, "{before}");
            running.projections().rebuild("Totals").await.unwrap();
            until_rebuilt(&running, "Totals", seed + 2).await;
            assert_eq!(crate::common::get(addr, "/totals").await.body, before, "seed {seed}");
        }
        running.stop().await;
    }
}
