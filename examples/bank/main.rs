//! A bank: accounts whose events have the words of the domain, lists of them that follow, what an auditor asks, and customers who can be forgotten.
//!
//! `cargo run --example bank`, and then:
//!
//! ```sh
//! curl -X POST localhost:8080/customers -d '{"name":"Ann","email":"ann@example.org"}'
//! curl -X POST localhost:8080/accounts -d '{"owner":"<customer>","iban":"DE02120300000000202051"}'
//! curl -X POST localhost:8080/accounts/<uuid>/deposits -d '{"cents":500,"text":"a gift"}'
//! curl 'localhost:8080/accounts?owner=<customer>'
//! curl localhost:8080/statements/<uuid>
//! curl localhost:8080/accounts/<uuid>/history
//! curl -X DELETE localhost:8080/customers/<customer>/data
//! ```
//!
//! With the operator's API (`MINOS_ADMIN_ADDR=127.0.0.1:9090`), `minos projections rebuild Statement` builds the statements anew while the old ones are read.

#![allow(unreachable_pub)]

mod account;
mod customer;
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
