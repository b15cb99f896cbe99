#![allow(unused)]
use minos::prelude::*;

#[message("Reserve", reply = u32)]
pub struct Reserve {
    pub n: u32,
}
#[message("Release")]
pub struct Release {
    pub n: u32,
}

#[derive(Debug, Clone)]
pub struct Money {
    pub cents: u64,
}

saga! {
    pub PlaceOrder { id: u32, price: Money }

    remote reserve -> ticket: u32 { on_execute: |saga| Reserve { n: saga.id } }
}

fn main() {}
