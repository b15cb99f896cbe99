//! What keeps a service from starting open.

use crate::{common::config, office::Seen};
use minos::{Running, Service};

async fn start(module: &str, auth: &str) -> minos::Result<Running> {
    let text = format!("{}\n{auth}", config("desk", "memory:"));
    Service::from_toml(&text)?.module(module.to_owned()).with(Seen::default()).start().await
}

async fn refused(module: &str, auth: &str) -> String {
    match start(module, auth).await {
        Ok(_) => panic!("it starts with {auth}"),
        Err(error) => error.chain(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_demands_roles_is_not_started_open() {
    let told = refused("auth::office::desk", "").await;
    assert!(told.starts_with("2 mistakes: "), "{told}");
    for handler in ["`file_it` at ", "`files` at ", "without `[auth]` in the configuration everybody could call it"] {
        assert!(told.contains(handler), "{handler}: {told}");
    }
    start("auth::smallest", "").await.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_verify_tokens_does_not_start() {
    for (auth, why) in [
        ("[auth]", "it needs one of `secret`, `public_key` and `jwks`"),
        ("[auth]\nsecret = \"\"", "it needs one of `secret`, `public_key` and `jwks`"),
        ("[auth]\nsecret = \"too short\"", "32 are the least"),
        ("[auth]\npublic_key = \"no/such.pem\"", "`auth.public_key` is `no/such.pem`, and it cannot be read"),
        ("[auth]\njwks = \"no/such.json\"", "`auth.jwks` is `no/such.json`, and "),
        ("[auth]\nsecrte = \"x\"", "unknown field `secrte`"),
    ] {
        let told = refused("auth::smallest", auth).await;
        assert!(told.contains(why), "{auth}: {told}");
        assert!(!told.contains("too short"), "a secret is not told: {told}");
    }
}
