//! The example of a closed service: with its own file, and with tokens that are made as it says.

use crate::{
    common::{Answer, get},
    kit::{ask, bearer},
    tokens::{SECRET, Signed, claims, header, token},
};
use minos::{Running, Service};
use serde_json::{Value, json};
use std::process::Command;

/// The service as its file has it, but for the address and the store, and with the secret that is elsewhere in the environment.
async fn start() -> Running {
    let text = include_str!("../../examples/closed/closed.toml");
    let text = text.replace("127.0.0.1:8080", "127.0.0.1:0").replace("sqlite://closed.db", "memory:");
    Service::from_toml(&format!("{text}secret = \"{SECRET}\"\n")).unwrap().module("auth::closed_example").start().await.unwrap()
}

fn token_with(other: Value) -> String {
    let mut all = json!({ "iss": "https://id.example.org", "aud": "closed" });
    all.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    bearer(&token(&header("HS256"), &claims(all), Signed::Secret(SECRET.as_bytes())))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_handler_lets_in_whom_it_names() {
    let running = start().await;
    let addr = running.addr();
    let call = async |method: &str, path: &str, headers: &str| -> Answer { ask(addr, method, path, headers, r#"{"text":"nice"}"#).await };
    let known = token_with(json!({}));
    assert_eq!(call("GET", "/welcome", "").await.json(), "welcome, stranger");
    assert_eq!(call("GET", "/welcome", &known).await.json(), "welcome, ada");
    assert_eq!(call("POST", "/guests", "").await.status, 401);
    let signed = call("POST", "/guests", &known).await;
    let guest = format!("/guests/{}", signed.json().as_str().unwrap());
    let (reader, host) = (token_with(json!({ "scope": "book:read" })), token_with(json!({ "roles": ["host"] })));
    for (method, headers, status) in [
        ("GET", "", 401),
        ("GET", &*known, 403),
        ("GET", &host, 403),
        ("GET", &reader, 200),
        ("DELETE", "", 401),
        ("DELETE", &known, 403),
        ("DELETE", &reader, 403),
        ("DELETE", &token_with(json!({ "roles": ["owner"], "aud": "others" })), 401),
        ("DELETE", &host, 204),
    ] {
        let answer = call(method, &guest, headers).await;
        assert_eq!(answer.status, status, "{method} with {headers}: {answer:?}");
        if status == 200 {
            assert_eq!((&answer.json()["name"], &answer.json()["text"]), (&json!("ada"), &json!("nice")));
        }
    }
    running.stop().await;
}

#[test]
fn without_its_secret_it_does_not_start() {
    let told = Service::from_toml(include_str!("../../examples/closed/closed.toml")).map(|_| ()).unwrap_err().chain();
    assert!(told.contains("it needs one of `secret`, `public_key` and `jwks`"), "{told}");
}

/// The lines of the example's own text that make a token are run as they stand there.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_made_as_the_example_says() {
    let text = include_str!("../../examples/closed/main.rs");
    let lines: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("//! ")).collect();
    let of = |start: &str| *lines.iter().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("it says no `{start}`"));
    let script = [of("part()"), of("claims="), of("signed="), of("token="), "printf %s \"$token\""].join("\n");
    let Ok(made) = Command::new("sh").args(["-ec", &script]).env("MINOS_AUTH_SECRET", SECRET).output() else { panic!("there is no `sh`") };
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let headers = bearer(&String::from_utf8(made.stdout).unwrap());
    let running = start().await;
    let addr = running.addr();
    assert_eq!(ask(addr, "GET", "/welcome", &headers, "").await.json(), "welcome, ann");
    let signed = ask(addr, "POST", "/guests", &headers, r#"{"text":"it was nice"}"#).await;
    let guest = format!("/guests/{}", signed.json().as_str().unwrap());
    assert_eq!(ask(addr, "GET", &guest, &headers, "").await.status, 200);
    assert_eq!(ask(addr, "DELETE", &guest, &headers, "").await.status, 204);
    assert_eq!(get(addr, "/welcome").await.status, 200);
    running.stop().await;
}
