//! The operator's API of a closed service.

use crate::{
    common::config,
    kit::{Issuer, ask, bearer, token_of},
};
use minos::Service;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn looking_and_changing_take_roles() {
    let issuer = Issuer::new(&[("1", "rsa.der")]);
    let start = async |admin: &str| {
        let text = format!("{}{}[admin]\naddr = \"127.0.0.1:0\"\n{admin}", config("desk", "memory:"), issuer.section());
        Service::from_toml(&text).unwrap().module("auth::nothing").start().await.unwrap()
    };
    let running = start("").await;
    let id = "018f2d3c-5e50-7e5a-8c40-5bb4ad1c2a11";
    let change =
        [("PUT", format!("/sagas/{id}/rollback")), ("DELETE", "/dead-letters/1".to_owned()), ("PUT", "/projections/x/rebuild".to_owned())];
    let look = [("GET", "/dead-letters".to_owned()), ("GET", "/sagas".to_owned()), ("GET", "/projections".to_owned())];
    for (roles, looks, changes) in [
        (None, 401, 401),
        (Some(json!([])), 403, 403),
        (Some(json!(["admin", "operate", "minos:reader"])), 403, 403),
        (Some(json!(["minos:read"])), 200, 403),
        (Some(json!(["minos:operate"])), 200, 404),
    ] {
        let headers = roles.as_ref().map(|roles| bearer(&token_of(json!({ "roles": roles })))).unwrap_or_default();
        for (all, status) in [(&look, looks), (&change, changes)] {
            for (method, path) in all {
                let answer = ask(running.admin_addr().unwrap(), method, path, &headers, "").await;
                assert_eq!(answer.status, status, "{method} {path} with {roles:?}: {answer:?}");
            }
        }
    }
    running.stop().await;
    let other = start("read_role = \"looker\"\noperate_role = \"fixer\"").await;
    for (role, looks, changes) in [("looker", 200, 403), ("fixer", 200, 404), ("minos:operate", 403, 403)] {
        let headers = bearer(&token_of(json!({ "roles": role })));
        let (looked, changed) = (&look[0], &change[1]);
        assert_eq!(ask(other.admin_addr().unwrap(), looked.0, &looked.1, &headers, "").await.status, looks, "{role}");
        assert_eq!(ask(other.admin_addr().unwrap(), changed.0, &changed.1, &headers, "").await.status, changes, "{role}");
    }
    other.stop().await;
}
