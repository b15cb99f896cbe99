//! Whole services: over HTTP and the local broker, on each embedded store.

#![allow(unreachable_pub)]

#[path = "../common/mod.rs"]
mod common;

mod admin;
mod aggregates;
mod app;
mod connections;
mod costs;
mod evolution;
mod full;
mod health;
mod http2;
mod messages;
mod overload;
mod requests;
mod restarting;
mod rich;
mod setup;
mod starting;
mod stopping;

/// No test of its own: the process that others start.
#[test]
fn the_service() {
    common::process::run(serve);
}

#[minos::main]
async fn serve() -> minos::Result<()> {
    common::process::asked_for()?.with(setup::Calls::default()).with(setup::Bug::default()).with(setup::TooLate(60_000)).run().await
}
