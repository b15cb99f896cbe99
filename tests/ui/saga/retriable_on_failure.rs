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

saga! {
    pub PlaceOrder { id: u32 }

    pivot remote reserve -> ticket: u32 {
        on_execute: |saga| Reserve { n: saga.id },
    }
    retriable remote again {
        on_execute: |saga| Reserve { n: saga.id },
        on_failure: |saga| Release { n: saga.ticket },
    }
}

fn main() {}
