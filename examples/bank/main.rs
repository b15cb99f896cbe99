//! A bank: accounts whose events have the words of the domain, lists of them that follow, and what an auditor asks.
//!
//! `cargo run --example bank`, and then:
//!
//! ```sh
//! curl -X POST localhost:8080/accounts -d '{"owner":"ann","iban":"DE02120300000000202051"}'
//! curl -X POST localhost:8080/accounts/<uuid>/deposits -d '{"cents":500,"text":"a gift"}'
//! curl 'localhost:8080/accounts?owner=ann'
//! curl localhost:8080/statements/<uuid>
//! curl localhost:8080/accounts/<uuid>/history
//! ```
//!
//! With the operator's API (`MINOS_ADMIN_ADDR=127.0.0.1:9090`), `minos projections rebuild Statement` builds the statements anew while the old ones are read.

#![allow(unreachable_pub)]

mod account;
mod statement;
#[cfg(test)]
mod tests;

use minos::prelude::*;

fn service() -> Result<Service> {
    Service::from_config("examples/bank/minos.toml")
}

#[minos::main]
async fn main() -> Result<()> {
    service()?.run().await
}
