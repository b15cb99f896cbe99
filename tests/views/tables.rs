//! Tables that follow events.

use crate::{
    common::{get, post, send, until},
    kit::{databases, start_module},
    ledger::Total,
};
use minos::{Running, projection::Standing};
use serde_json::json;
use std::net::SocketAddr;

pub async fn open(addr: SocketAddr, owner: &str, cents: i64) -> String {
    let answer = post(addr, "/ledger/accounts", &json!({ "owner": owner, "cents": cents }).to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json().as_str().unwrap().to_owned()
}

async fn change(addr: SocketAddr, account: &str, cents: i64) {
    assert_eq!(send(addr, "PUT", &format!("/ledger/accounts/{account}"), "", &cents.to_string()).await.unwrap().status, 204);
}

async fn totals(addr: SocketAddr) -> Vec<Total> {
    serde_json::from_str(&get(addr, "/totals").await.body).unwrap()
}

pub fn total(owner: &str, accounts: i64, cents: i64) -> Total {
    Total { owner: owner.to_owned(), accounts, cents }
}

pub async fn standing(running: &Running) -> Standing {
    running.projections().list().await.unwrap().into_iter().find(|standing| standing.name == "Totals").unwrap()
}

pub async fn until_totals(addr: SocketAddr, wanted: &[Total]) {
    until(&format!("{wanted:?}"), async || totals(addr).await == wanted).await;
}

/// Waits until all that happened is taken.
async fn settled(running: &Running) {
    until("all is taken", async || {
        let standing = standing(running).await;
        standing.progress.rebuild.is_none() && standing.progress.live.is_some_and(|live| live.position >= standing.head)
    })
    .await;
}

#[tokio::test]
async fn tables_follow_the_events_and_are_rebuilt_beside_themselves() {
    for place in databases("tables_follow_the_events_and_are_rebuilt_beside_themselves") {
        let (running, addr) = start_module(&place, "ledger").await;
        assert_eq!(totals(addr).await, [], "they are there before anything has happened");
        let ann = open(addr, "ann", 5).await;
        open(addr, "bob", 7).await;
        open(addr, "ann", 1).await;
        change(addr, &ann, 9).await;
        until_totals(addr, &[total("ann", 2, 10), total("bob", 1, 7)]).await;
        for generation in 2..=3 {
            running.projections().rebuild("Totals").await.unwrap();
            until("it is rebuilt", async || standing(&running).await.progress.live.is_some_and(|live| live.generation == generation)).await;
            assert_eq!(totals(addr).await, [total("ann", 2, 10), total("bob", 1, 7)]);
        }
        send(addr, "DELETE", &format!("/ledger/accounts/{ann}"), "", "").await.unwrap();
        until_totals(addr, &[total("ann", 1, 1), total("bob", 1, 7)]).await;
        running.stop().await;
    }
}

#[tokio::test]
async fn what_the_database_refuses_is_found_among_many_and_put_aside() {
    for place in databases("what_the_database_refuses_is_found_among_many_and_put_aside") {
        let (running, addr) = start_module(&place, "ledger").await;
        let accounts: Vec<_> = futures_util::future::join_all((0..40).map(|n| open(addr, if n == 17 { "bad" } else { "good" }, 10))).await;
        let bad = accounts[17].clone();
        // The check of the table says no to less than nothing.
        change(addr, &bad, -1).await;
        change(addr, &bad, 4).await;
        change(addr, &accounts[18], 11).await;
        until_totals(addr, &[total("bad", 1, 10), total("good", 39, 391)]).await;
        let letters = running.dead_letters();
        until("both changes wait", async || letters.list().await.unwrap().len() == 2).await;
        let waiting = letters.list().await.unwrap();
        assert!(waiting[0].letter.cause.to_lowercase().contains("check"), "{waiting:?}");
        assert_eq!(running.projections().list().await.unwrap()[0].parked, 1);
        // A view that is made anew puts it aside anew, and forgets what was put aside before.
        running.projections().rebuild("Totals").await.unwrap();
        until("it is rebuilt", async || standing(&running).await.progress.live.is_some_and(|live| live.generation == 2)).await;
        let waiting = letters.list().await.unwrap();
        assert_eq!(waiting.iter().map(|letter| &*letter.letter.subscriber).collect::<Vec<_>>(), ["projection Totals #2"; 2]);
        letters.discard(waiting[0].id).await.unwrap();
        assert_eq!(letters.replay(waiting[1].id).await.unwrap(), 1);
        until_totals(addr, &[total("bad", 1, 4), total("good", 39, 391)]).await;
        running.stop().await;
    }
}

#[tokio::test]
async fn a_view_that_was_stopped_goes_on_where_it_was() {
    for place in databases("a_view_that_was_stopped_goes_on_where_it_was") {
        let mut accounts = Vec::new();
        for round in 0..4 {
            let (running, addr) = start_module(&place, "ledger").await;
            for n in 0..5 {
                accounts.push(open(addr, "ann", n).await);
                change(addr, &accounts[(round * 5) as usize], 100 + n).await;
            }
            // Sometimes at once, sometimes when all is taken.
            if round % 2 == 0 {
                settled(&running).await;
            }
            running.stop().await;
        }
        let (running, addr) = start_module(&place, "ledger").await;
        let all = [total("ann", 20, 4 * (104 + 1 + 2 + 3 + 4))];
        until_totals(addr, &all).await;
        settled(&running).await;
        assert_eq!(totals(addr).await, all, "and nothing counts twice");
        running.stop().await;
    }
}

/// Several processes of a service, whose lease goes from one to the other.
#[tokio::test]
async fn processes_take_turns_and_nothing_counts_twice() {
    for place in databases("processes_take_turns_and_nothing_counts_twice").into_iter().filter(|place| !place.url.starts_with("sqlite")) {
        let mut all = vec![start_module(&place, "ledger").await, start_module(&place, "ledger").await];
        for round in 0..6 {
            let addr = all[1 - round % 2].1;
            let (gone, _) = all.remove(round % 2);
            // While one goes, the other one works on.
            tokio::join!(futures_util::future::join_all((0..30).map(|_| open(addr, "ann", 1))), gone.stop());
            all.push(start_module(&place, "ledger").await);
        }
        let wanted = [total("ann", 6 * 30, 6 * 30)];
        until_totals(all[0].1, &wanted).await;
        settled(&all[0].0).await;
        assert_eq!(totals(all[0].1).await, wanted, "and nothing counts twice");
        for (running, _) in all {
            running.stop().await;
        }
    }
}

#[tokio::test]
async fn a_second_rebuild_is_refused_while_the_first_is_under_way() {
    for place in databases("a_second_rebuild_is_refused_while_the_first_is_under_way") {
        let (running, addr) = start_module(&place, "ledger").await;
        open(addr, "ann", 5).await;
        until_totals(addr, &[total("ann", 1, 5)]).await;
        let projections = running.projections();
        projections.rebuild("Totals").await.unwrap();
        let second = projections.rebuild("Totals").await;
        // The first may be done by then.
        if let Err(error) = second {
            assert!(error.to_string().starts_with("`Totals` is being rebuilt already, since "), "{error}");
        }
        until("it is rebuilt", async || standing(&running).await.progress.rebuild.is_none()).await;
        until_totals(addr, &[total("ann", 1, 5)]).await;
        running.stop().await;
    }
}
