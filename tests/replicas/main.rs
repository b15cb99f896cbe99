//! Several processes of one service, on PostgreSQL and Kafka of their own, while something always breaks: processes are killed or stand still, servers
//! are restarted. What was acknowledged is there, every event is handled in order, and what its handlers did happened once.
//!
//! These take minutes: `cargo test --all-features --test replicas -- --ignored --test-threads=1`

#![allow(unreachable_pub)]
#![cfg(all(feature = "postgres", feature = "kafka"))]

#[path = "../common/mod.rs"]
mod common;

mod app;
mod cluster;
mod faults;
mod invariants;

/// No test of its own: the process of the service.
#[test]
fn the_service() {
    common::process::run(serve);
}

#[minos::main]
async fn serve() -> minos::Result<()> {
    common::process::asked_for()?.run().await
}
