//! The routes of the README's example, with tokens good and bad. It holds `events.lock` for all of its crate, so nothing else with events stands here.

#![allow(dead_code, unreachable_pub)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../../examples/foo/main.rs"]
mod foo;
#[path = "../auth/kit.rs"]
mod kit;
#[path = "../auth/table.rs"]
mod table;
#[path = "../common/tokens.rs"]
mod tokens;

/// It needs nothing.
fn prepared(service: minos::Service) -> minos::Service {
    service
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_without_a_good_token() {
    table::nobody_gets_in(&[table::Group { example: "foo", services: &[("foo", &["foo"])] }]).await;
}
