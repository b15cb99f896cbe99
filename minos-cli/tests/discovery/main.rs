//! Real processes: services that register, a registry that is killed, and clients that go on.

#![allow(unreachable_pub)]

#[path = "../../../tests/common/mod.rs"]
mod common;

mod app;
mod gateway;
mod kit;
mod lives;

/// No test of its own: the process that others start.
#[test]
fn the_service() {
    common::process::run(serve);
}

#[minos::main]
async fn serve() -> minos::Result<()> {
    common::process::asked_for()?.run().await
}
