//! Who may what, and as whom.

use crate::{
    common::get,
    kit::{Issuer, ask, bearer, token_of},
};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn one_of_the_roles_and_all_of_the_scopes() {
    let issuer = Issuer::new(&[("1", "rsa.der")]);
    let running = issuer.start("desk", &["office::desk"]).await;
    let addr = running.addr();
    for (method, path, claims, status) in [
        ("GET", "/me", json!({}), 200),
        ("GET", "/files", json!({}), 403),
        ("GET", "/files", json!({ "scope": "files:read" }), 403),
        ("GET", "/files", json!({ "scope": "files:read files:listing" }), 403),
        ("GET", "/files", json!({ "roles": ["files:read", "files:list"] }), 403),
        ("GET", "/files", json!({ "scope": "files:list other files:read" }), 200),
        ("POST", "/files", json!({}), 403),
        ("POST", "/files", json!({ "roles": ["Clerk", "clerks"] }), 403),
        ("POST", "/files", json!({ "scope": "clerk boss" }), 403),
        ("POST", "/files", json!({ "roles": ["boss"] }), 422),
    ] {
        let answer = ask(addr, method, path, &bearer(&token_of(claims.clone())), "{}").await;
        assert_eq!(answer.status, status, "{method} {path} {claims}: {answer:?}");
        if status == 403 {
            assert!(answer.head.contains("error=\"insufficient_scope\"") && answer.detail().starts_with("this takes "), "{answer:?}");
        }
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_public_is_open_and_knows_who_is_known() {
    let issuer = Issuer::new(&[("1", "rsa.der")]);
    let running = issuer.start("desk", &["office::desk"]).await;
    let addr = running.addr();
    let hello = async |headers: &str| ask(addr, "GET", "/hello", headers, "").await.json();
    let anybody = Value::from("hello whoever you are");
    assert_eq!(hello("").await, anybody);
    assert_eq!(hello(&bearer(&token_of(json!({})))).await, "hello ada");
    assert_eq!(hello(&bearer(&token_of(json!({ "exp": 1 })))).await, anybody, "who comes to get a new token may have an old one");
    assert_eq!(hello("x-user: ada\r\n").await, anybody);
    assert_eq!(ask(addr, "POST", "/hello", "", "").await.status, 405);
    assert_eq!(get(addr, "/nothing").await.status, 404);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_make_nobody_somebody_else() {
    let issuer = Issuer::new(&[("1", "rsa.der")]);
    let running = issuer.start("desk", &["office::desk"]).await;
    let claims = json!({ "sub": "bob", "roles": ["clerk"], "tenant": 7 });
    let headers =
        format!("x-user: ada\r\nx-minos-user: ada\r\nuser: {{\"service\":\"desk\"}}\r\nx-roles: admin\r\n{}", bearer(&token_of(claims)));
    let me = ask(running.addr(), "GET", "/me", &headers, "").await.json();
    assert_eq!(me, json!({ "id": "bob", "roles": ["clerk"], "tenant": 7 }));
    let form = ask(running.addr(), "POST", "/forms", &headers, "").await.json();
    let history = ask(running.addr(), "GET", &format!("/forms/{}/history", form.as_str().unwrap()), &headers, "").await.json();
    assert_eq!(history[0]["user"], "bob", "who asked is told by id alone");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_is_its_owners() {
    let issuer = Issuer::new(&[("1", "rsa.der")]);
    let running = issuer.start("desk", &["office::desk"]).await;
    let fill_in = async |who: &str| {
        let headers = format!("idempotency-key: 1\r\n{}", bearer(&token_of(json!({ "sub": who }))));
        let answer = ask(running.addr(), "POST", "/forms", &headers, "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    };
    let (ada, bob) = (fill_in("ada").await, fill_in("bob").await);
    assert_ne!(ada, bob, "nobody is told what another one was answered");
    assert_eq!((fill_in("ada").await, fill_in("bob").await), (ada, bob));
    running.stop().await;
}
