//! The routes of the examples, and of a desk: who is let in.

use crate::{
    common::{Answer, raw},
    kit::{Issuer, bearer, token_of},
    table::{Group, examples, nobody_gets_in},
};
use serde_json::json;
use std::{collections::BTreeSet, fs, net::SocketAddr};

/// The example of the README holds `events.lock` for all of its crate, so it stands in a program of its own: `tests/auth_readme`.
const ELSEWHERE: &[&str] = &["foo"];
const EXAMPLES: &[Group] = &[
    Group { example: "bank", services: &[("bank", &["account", "customer", "statement"])] },
    Group { example: "shop", services: &[("catalogue", &["catalogue"]), ("orders", &["orders", "sales"])] },
    Group { example: "foobar", services: &[("foo", &["foo"]), ("foobar", &["foobar"])] },
    Group { example: "trip", services: &[("airline", &["airline"]), ("hotel", &["hotel"]), ("bank", &["trip_bank"]), ("trip", &["trip"])] },
    Group { example: "smallest", services: &[("smallest", &["smallest"])] },
    Group { example: "closed", services: &[("closed", &["closed_example"])] },
];

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_without_a_good_token() {
    nobody_gets_in(EXAMPLES).await;
}

#[test]
fn no_example_is_left_out() {
    let there: BTreeSet<String> =
        fs::read_dir(examples("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let known: BTreeSet<String> = EXAMPLES.iter().map(|group| group.example).chain(ELSEWHERE.iter().copied()).map(str::to_owned).collect();
    assert_eq!(known, there, "the directories of `examples/`, and those whose routes are tried here and in `tests/auth_readme`");
}

/// A body that is announced and never comes.
async fn without_its_body(addr: SocketAddr, path: &str, headers: &str) -> Answer {
    let request =
        format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: text/xml\r\ncontent-length: 5000\r\n{headers}\r\n");
    raw(addr, request.as_bytes()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_told_before_the_body_is_read() {
    let issuer = Issuer::new(&[("1", "rsa.der")]);
    let running = issuer.start("desk", &["office::desk"]).await;
    let before = std::time::Instant::now();
    assert_eq!(without_its_body(running.addr(), "/files", "").await.status, 401);
    assert_eq!(without_its_body(running.addr(), "/files", &bearer(&token_of(json!({})))).await.status, 403);
    assert!(before.elapsed().as_millis() < 400, "nobody waits for the body: {:?}", before.elapsed());
    let admitted = bearer(&token_of(json!({ "roles": ["clerk"] })));
    assert!(![401, 403].contains(&without_its_body(running.addr(), "/files", &admitted).await.status));
    running.stop().await;
}
