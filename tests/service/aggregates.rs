//! Aggregates from one end to the other: commands, events, what follows them, and many writers at once.

use crate::{
    common::{get, post, send, until},
    setup::{Calls, all, open, service, service_with},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_account_lives_on_every_store() {
    let directory = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}", directory.path().join("test.db").display());
    for store in ["memory:", &file] {
        let running = service(store, "account", &Calls::default()).start().await.unwrap();
        let addr = running.addr();
        let id = open(addr).await;
        assert_eq!(post(addr, &format!("/accounts/{id}/deposits"), r#"{"amount":5}"#).await.json(), 5);
        let refused = post(addr, &format!("/accounts/{id}/withdrawals"), r#"{"amount":6}"#).await;
        assert_eq!((refused.status, refused.detail()), (422, "insufficient funds".to_owned()));
        assert_eq!(post(addr, &format!("/accounts/{id}/withdrawals"), r#"{"amount":5}"#).await.status, 204);
        let account = get(addr, &format!("/accounts/{id}")).await.json();
        assert_eq!((&account["owner"], &account["balance"], &account["version"]), (&"ADA".into(), &0.into(), &4.into()));
        assert_eq!(send(addr, "DELETE", &format!("/accounts/{id}"), "", "").await.unwrap().status, 204);
        assert_eq!(get(addr, &format!("/accounts/{id}")).await.status, 404);
        let lines = ["1: opened by ada", "2: MoneyDeposited 5", "3: now of ADA", "4: MoneyWithdrawn 5", "5: closed"];
        until("all events are handled, in order", async || {
            let statement = get(addr, &format!("/statements/{id}")).await;
            statement.status == 200
                && statement.json()["lines"].as_array().is_some_and(|seen| seen.len() == 5 && seen.iter().zip(lines).all(|(a, b)| a == b))
        })
        .await;
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_writers_of_one_aggregate_all_succeed() {
    let directory = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}", directory.path().join("test.db").display());
    // That none is lost is what counts here, and not how long it takes on a busy machine.
    let patient = |config: &str| config.replace("request_timeout = \"2s\"", "request_timeout = \"30s\"");
    let running = service_with(&file, "account", &Calls::default(), patient).start().await.unwrap();
    let addr = running.addr();
    let ids: Vec<String> = all(200, |_| async move { open(addr).await }).await;
    let path = format!("/accounts/{}/deposits", ids[0]);
    let answers = all(200, |_| {
        let path = path.clone();
        async move { post(addr, &path, r#"{"amount":1}"#).await }
    });
    let mut balances: Vec<u64> =
        answers.await.iter().map(|answer| answer.json().as_u64().unwrap_or_else(|| panic!("{answer:?}"))).collect();
    balances.sort();
    assert_eq!(balances, (1..=200).collect::<Vec<_>>(), "each saw the change of the one before");
    let account = get(addr, &format!("/accounts/{}", ids[0])).await.json();
    assert_eq!((&account["balance"], &account["version"]), (&200.into(), &201.into()));
    running.stop().await;
}
