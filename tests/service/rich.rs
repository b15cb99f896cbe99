//! Aggregates with sets, value objects and enums, from one end to the other.

use crate::{
    common::{get, post, send, until},
    setup::{Bug, Calls, service},
};

#[tokio::test(flavor = "multi_thread")]
async fn handlers_hear_of_what_changed_in_a_set() {
    let directory = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}", directory.path().join("test.db").display());
    for store in ["memory:", &file] {
        let bug = Bug::default();
        let running = service(store, "rich", &Calls::default()).with(bug.clone()).start().await.unwrap();
        let addr = running.addr();
        let order = post(addr, "/orders", "").await.json().as_str().unwrap().to_owned();
        let lines = format!("/orders/{order}/lines");
        let entry = post(addr, &lines, r#"{"product":"apple","quantity":2}"#).await.json().as_str().unwrap().to_owned();
        assert_eq!(post(addr, &lines, r#"{"product":"pear","quantity":1}"#).await.status, 200);
        let path = format!("{lines}/{entry}");
        assert_eq!(send(addr, "PUT", &path, "", r#"{"quantity":5}"#).await.unwrap().status, 204);
        let answer = get(addr, &format!("/orders/{order}")).await.json();
        assert_eq!(answer["lines"][&entry], serde_json::json!({ "product": "apple", "quantity": 5 }), "{answer}");
        assert_eq!(send(addr, "DELETE", &path, "", "").await.unwrap().status, 204);
        let gone = send(addr, "PUT", &path, "", r#"{"quantity":5}"#).await.unwrap();
        assert_eq!((gone.status, gone.detail()), (404, format!("there is no entity {entry} in this set")));
        assert_eq!(post(addr, &format!("/orders/{order}/payment"), "").await.status, 204);
        let answer = get(addr, &format!("/orders/{order}")).await.json();
        assert_eq!(answer["lines"].as_object().map(serde_json::Map::len), Some(1), "{answer}");
        assert_eq!((&answer["state"]["Paid"]["by"], &answer["tags"][0], &answer["version"]), (&"ada".into(), &"paid".into(), &6.into()));
        let mut expected =
            ["2", "3", "4", "5", "added 1 pear", "added 2 apple", "now Some(5)", "tagged [\"paid\"] in Some(\"Modena\")", "without 1"];
        expected.sort_unstable();
        until("each is told once", async || bug.seen.lock().unwrap().len() == expected.len()).await;
        let mut seen = bug.seen.lock().unwrap().clone();
        seen.sort();
        assert_eq!(seen, expected, "{store}");
        assert!(running.dead_letters().list().await.unwrap().is_empty());
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_a_rule_is_not_stored_and_all_of_it_is_told() {
    let running = service("memory:", "rich", &Calls::default()).start().await.unwrap();
    let addr = running.addr();
    let channel = "01890a5d-ac96-774b-bcce-b302099a8057";
    let bad = format!(r#"{{"name":" ","mail":"ada","channels":{{"{channel}":{{"kind":"pigeon","attempts":0}}}}}}"#);
    let refused = post(addr, "/customers", &bad).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    let pointer = |name: &str| format!("#/channels/{channel}/{name}");
    let expected = serde_json::json!([
        { "pointer": "#/name", "rule": "with", "detail": "is blank" },
        { "pointer": "#/mail", "rule": "email", "detail": "is no e-mail address" },
        { "pointer": pointer("kind"), "rule": "one_of", "detail": "is `pigeon`, and has to be one of `mail`, `phone`" },
        { "pointer": pointer("attempts"), "rule": "range", "detail": "is 0, and has to be at least 1 and at most 3" },
    ]);
    assert_eq!(refused.json()["errors"], expected, "{refused:?}");
    let unreachable = post(addr, "/customers", r#"{"name":"Ada","mail":null,"channels":{}}"#).await;
    let whole = serde_json::json!([{ "pointer": "#", "rule": "with", "detail": "a customer can be reached somehow" }]);
    assert_eq!((unreachable.status, &unreachable.json()["errors"]), (422, &whole), "{unreachable:?}");

    let ada = post(addr, "/customers", r#"{"name":"Ada","mail":"ada@example.org","channels":{}}"#).await.json();
    let path = format!("/customers/{}", ada.as_str().unwrap());
    let rename = async |name: &str| send(addr, "PUT", &format!("{path}/name"), "", &format!(r#"{{"name":"{name}"}}"#)).await.unwrap();
    assert_eq!(rename("").await.json()["errors"][0]["rule"], "not_empty", "of the input");
    assert_eq!(rename(" ").await.json()["errors"][0]["detail"], "is blank", "of what a domain event leads to");
    assert_eq!(rename("Ada Lovelace").await.status, 204);
    let thought = post(addr, &format!("{path}/second-thoughts"), "").await.json();
    assert_eq!((&thought["name"], &thought["version"]), (&"Grace".into(), &3.into()), "what was refused left nothing behind");
    running.stop().await;
}
