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

#[tokio::test]
async fn rebuilt_documents_are_the_live_ones_byte_for_byte() {
    for place in places("rebuilt_documents_are_the_live_ones_byte_for_byte") {
        let (running, addr) = start(&place).await;
        let all =
            async || running.store().find(Find::all("Balance", 10_000)).await.unwrap().into_iter().map(|found| (found.key, found.body));
        for seed in 0..HISTORIES {
            live(addr, "/accounts", "/cents", &mut Rng::with_seed(seed)).await;
            until_shown(addr, "/accounts").await;
            let before: Vec<_> = all().await.collect();
            assert!(!before.is_empty());
            running.projections().rebuild("Balance").await.unwrap();
            until_rebuilt(&running, "Balance", seed + 2).await;
            assert_eq!(all().await.collect::<Vec<_>>(), before, "seed {seed}");
        }
        running.stop().await;
    }
}

/// Their events are of different streams, so those who build it together are in each other's way: it is as if one had done it in the order of the log.
#[tokio::test]
async fn rebuilt_documents_about_many_streams_are_the_live_ones_byte_for_byte() {
    for place in places("rebuilt_documents_about_many_streams_are_the_live_ones_byte_for_byte") {
        let (running, addr) = start(&place).await;
        let all =
            async || running.store().find(Find::all("Wealth", 10_000)).await.unwrap().into_iter().map(|found| (found.key, found.body));
        for seed in 0..HISTORIES {
            live(addr, "/accounts", "/cents", &mut Rng::with_seed(seed)).await;
            until_shown(addr, "/accounts").await;
            let last = async || all().await.find(|(key, _)| key == "last").map_or(String::new(), |(_, body)| body);
            until("the last one is there", async || last().await.contains(&format!("\"accounts\":{},", seed + 1))).await;
            let before: Vec<_> = all().await.collect();
            assert_eq!(before.len(), 5, "the owners of `live`, and the last one");
            running.projections().rebuild("Wealth").await.unwrap();
            until_rebuilt(&running, "Wealth", seed + 2).await;
            assert_eq!(all().await.collect::<Vec<_>>(), before, "seed {seed}");
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
