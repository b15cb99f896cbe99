//! A shop in two services: a catalogue of articles, and orders that refer to them.
//!
//! `cargo run --example shop` runs both in one process; then:
//!
//! ```sh
//! curl -X POST localhost:8081/articles -d '{"name":"a lamp","cents":4900,"tags":["light"]}'
//! curl -X POST localhost:8082/orders -d '{"customer":"ann@example.org"}'
//! curl -X POST localhost:8082/orders/<order>/entries -d '{"article":"<article>","quantity":2}'
//! curl localhost:8082/orders/<order>/sum
//! curl -X POST localhost:8082/orders/<order>/place
//! curl localhost:8082/sales
//! ```

#![allow(unreachable_pub)]

mod catalogue;
mod orders;
mod sales;
#[cfg(test)]
mod tests;

use minos::prelude::*;

fn catalogue() -> Result<Service> {
    Ok(Service::from_config("examples/shop/catalogue.toml")?.module(concat!(module_path!(), "::catalogue")))
}

fn orders() -> Result<Service> {
    let service = Service::from_config("examples/shop/orders.toml")?;
    Ok(service.module(concat!(module_path!(), "::orders")).module(concat!(module_path!(), "::sales")))
}

#[minos::main]
async fn main() -> Result<()> {
    Service::run_all([catalogue()?, orders()?]).await
}
