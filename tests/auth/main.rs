//! Closed services: over HTTP and the broker, with tokens good and bad, and every route of the examples.

#![allow(dead_code, unreachable_pub)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/tokens.rs"]
mod tokens;

// The examples: bank, shop, foobar, trip, the closed and the smallest one. That of the README stands in `tests/auth_readme`.
#[path = "../../examples/bank/account.rs"]
mod account;
#[path = "../../examples/trip/airline.rs"]
mod airline;
#[path = "../../examples/shop/catalogue.rs"]
mod catalogue;
#[path = "../../examples/closed/main.rs"]
mod closed_example;
#[path = "../../examples/bank/customer.rs"]
mod customer;
#[path = "../../examples/foobar/foo.rs"]
mod foo;
#[path = "../../examples/foobar/foobar.rs"]
mod foobar;
#[path = "../../examples/trip/hotel.rs"]
mod hotel;
#[path = "../../examples/shop/orders.rs"]
mod orders;
#[path = "../../examples/shop/sales.rs"]
mod sales;
#[path = "../../examples/smallest/main.rs"]
mod smallest;
#[path = "../../examples/bank/statement.rs"]
mod statement;
#[path = "../../examples/trip/trip.rs"]
mod trip;
#[path = "../../examples/trip/bank.rs"]
mod trip_bank;

mod closed;
mod kit;
mod messages;
mod office;
mod operators;
mod requests;
mod routes;
mod starting;
mod table;

/// What the services of this program need.
fn prepared(service: minos::Service) -> minos::Service {
    service.with(office::Seen::default())
}
