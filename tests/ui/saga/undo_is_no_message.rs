#![allow(unused)]
use minos::prelude::*;

#[message("Reserve", reply = Uuid)]
pub struct Reserve {
    pub n: u32,
}
#[message("Release")]
pub struct Release {
    pub n: u32,
}

saga! {
    pub PlaceOrder { id: u32 }

    remote reserve -> ticket: Uuid {
        on_execute: |saga| Reserve { n: saga.id },
        on_failure: |saga| saga.ticket,
    }
}

fn main() {}
