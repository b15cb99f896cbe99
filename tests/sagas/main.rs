//! Sagas over two services in one process: the example, and a transfer of money in five steps.

#![allow(unreachable_pub)]

#[path = "../common/mod.rs"]
mod common;

#[cfg(all(feature = "kafka", feature = "postgres"))]
mod away;
mod bank;
mod branches;
mod changed;
mod ends;
mod example;
mod holds;
mod isolated;
#[cfg(all(feature = "kafka", feature = "postgres"))]
mod killed;
mod ledger;
mod lock;
mod matrix;
mod nested;
mod operator;
mod participant;
#[cfg(all(feature = "kafka", feature = "postgres"))]
mod parties;
#[cfg(all(feature = "kafka", feature = "postgres", feature = "failpoints"))]
mod points;
mod shop;
mod teller;
mod traced;
mod troubles;

#[path = "../../examples/foobar/foo.rs"]
mod foo;
#[path = "../../examples/foobar/foobar.rs"]
mod foobar;

/// No test of its own: the process that others start.
#[test]
fn the_service() {
    common::process::run(serve);
}

#[minos::main]
async fn serve() -> minos::Result<()> {
    common::process::asked_for()?.with(bank::Script::default()).with(shop::Gates::default()).run().await
}
