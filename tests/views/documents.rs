//! Documents that follow events.

use crate::{
    bank,
    common::{get, post, send, until},
    kit::{balances, change, open, places, start, until_balances},
};

#[tokio::test]
async fn documents_follow_the_events() {
    for place in places("documents_follow_the_events") {
        let (running, addr) = start(&place).await;
        let ann = open(addr, "ann", 5).await;
        open(addr, "bob", 7).await;
        until_balances(addr, &[("ann", 5), ("bob", 7)]).await;
        change(addr, &ann, 9).await;
        until_balances(addr, &[("ann", 9), ("bob", 7)]).await;
        assert_eq!(get(addr, &format!("/balances/{ann}")).await.json()["cents"], 9);
        send(addr, "DELETE", &format!("/accounts/{ann}"), "", "").await.unwrap();
        until_balances(addr, &[("bob", 7)]).await;
        running.stop().await;
    }
}

#[tokio::test]
async fn pages_begin_where_the_last_one_ended() {
    for place in places("pages_begin_where_the_last_one_ended") {
        let (running, addr) = start(&place).await;
        for (owner, cents) in [("ann", 5), ("bob", 5), ("cid", 6), ("dan", 7), ("eve", 1), ("fay", 8)] {
            open(addr, owner, cents).await;
        }
        until("all are there", async || balances(addr).await.len() == 6).await;
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let page = get(addr, &format!("/balances/pages?at_least=5{after}")).await.json();
            seen.extend(page["items"].as_array().unwrap().iter().map(|one| one["owner"].as_str().unwrap().to_owned()));
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        seen[..2].sort();
        assert_eq!(seen, ["ann", "bob", "dan", "fay"]);
        assert_eq!(get(addr, "/balances/pages?at_least=5&after=nonsense").await.status, 422);
        running.stop().await;
    }
}

#[tokio::test]
async fn an_inline_one_is_there_with_the_answer_and_can_refuse() {
    for place in places("an_inline_one_is_there_with_the_answer_and_can_refuse") {
        let (running, addr) = start(&place).await;
        open(addr, "ann", 5).await;
        open(addr, "ann", 6).await;
        assert_eq!(get(addr, "/owners/ann").await.body, r#"{"accounts":2,"cents":11}"#);
        let refused = post(addr, "/accounts", r#"{"owner":"nobody","cents":1}"#).await;
        assert_eq!(refused.status, 422, "{refused:?}");
        let opening = (0..20).map(|n| open(addr, "bob", n));
        futures_util::future::join_all(opening).await;
        assert_eq!(get(addr, "/owners/bob").await.body, r#"{"accounts":20,"cents":190}"#, "those at once have not overwritten each other");
        running.stop().await;
    }
}

#[tokio::test]
async fn what_cannot_be_taken_is_put_aside_with_its_stream_alone() {
    for place in places("what_cannot_be_taken_is_put_aside_with_its_stream_alone") {
        bank::mend(false);
        let (running, addr) = start(&place).await;
        let (bad, good) = (open(addr, "bad", 1).await, open(addr, "good", 1).await);
        change(addr, &bad, 2).await;
        change(addr, &good, 2).await;
        until("the good one goes on", async || get(addr, &format!("/strict/{good}")).await.body == r#"{"changes":2}"#).await;
        let letters = running.dead_letters();
        until("both events of the bad one wait", async || letters.list().await.unwrap().len() == 2).await;
        let waiting = letters.list().await.unwrap();
        assert_eq!(waiting[0].letter.subscriber, "projection Strict #1");
        assert!(waiting[0].letter.cause.contains("the owner is bad"), "{waiting:?}");
        assert_eq!((waiting[0].letter.attempts, waiting[1].letter.attempts), (3, 0));
        assert!(letters.replay(waiting[0].id).await.is_err(), "it is as bad as before");
        bank::mend(true);
        assert_eq!(letters.replay(waiting[0].id).await.unwrap(), 2);
        assert_eq!(get(addr, &format!("/strict/{bad}")).await.body, r#"{"changes":2}"#);
        change(addr, &bad, 3).await;
        until("it goes on", async || get(addr, &format!("/strict/{bad}")).await.body == r#"{"changes":3}"#).await;
        running.stop().await;
    }
}

#[tokio::test]
async fn a_rebuilt_one_takes_the_place_of_the_other() {
    for place in places("a_rebuilt_one_takes_the_place_of_the_other") {
        let (running, addr) = start(&place).await;
        let ann = open(addr, "ann", 5).await;
        change(addr, &ann, 6).await;
        until_balances(addr, &[("ann", 6)]).await;
        let projections = running.projections();
        projections.rebuild("Balance").await.unwrap();
        until("it is built", async || {
            let all = projections.list().await.unwrap();
            let balance = all.iter().find(|standing| standing.name == "Balance").unwrap();
            balance.progress.rebuild.is_none() && balance.progress.live.as_ref().is_some_and(|live| live.generation == 2)
        })
        .await;
        assert_eq!(balances(addr).await, [("ann".to_owned(), 6)]);
        change(addr, &ann, 7).await;
        until_balances(addr, &[("ann", 7)]).await;
        let refused = projections.rebuild("Owner").await.unwrap_err();
        assert!(refused.to_string().contains("raise its `version`"), "{refused}");
        let refused = projections.rebuild("Balanec").await.unwrap_err();
        assert_eq!(refused.to_string(), "the service has no projection `Balanec`; it has `Balance`, `Owner`, `Wealth`, `Strict`");
        running.stop().await;
    }
}

#[tokio::test]
async fn an_answer_waits_for_the_read_models_that_it_names() {
    for place in places("an_answer_waits_for_the_read_models_that_it_names") {
        let (running, addr) = start(&place).await;
        let ann = open(addr, "ann", 0).await;
        for cents in 1..50 {
            let answer = send(addr, "PUT", &format!("/accounts/{ann}/shown"), "", &cents.to_string()).await.unwrap();
            assert!(answer.status == 204 && !answer.head.contains("minos-not-shown-in"), "{answer:?}");
            assert_eq!(balances(addr).await, [("ann".to_owned(), cents)]);
        }
        running.stop().await;
    }
}
