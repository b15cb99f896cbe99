//! Four services and a saga over all of them: `trip` has a seat booked by `airline` and a room by `hotel` at once, insures the trip at `bank` if it is
//! expensive, pays there, and then has the ticket sent. If anything fails up to the payment, none of it has happened; after it, nothing can fail any more.
//!
//! `cargo run --example trip` runs them in one process. The README has what to send to them.

#![allow(unreachable_pub)]

mod airline;
mod bank;
mod hotel;
#[cfg(test)]
mod tests;
mod trip;

use minos::prelude::*;

#[minos::main]
async fn main() -> Result<()> {
    let service = |name: &str| {
        Ok::<_, Error>(Service::from_config(format!("examples/trip/{name}.toml"))?.module(format!("{}::{name}", module_path!())))
    };
    Service::run_all([service("trip")?, service("airline")?, service("hotel")?, service("bank")?]).await
}
