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

pub struct Money {
    pub cents: u64,
}

saga! {
    pub PlaceOrder { id: u32 }

    local price -> price: Money {
        on_execute: async |_cx, saga| Ok(Money { cents: saga.id.into() }),
        on_failure: async |_cx, saga| { let _ = saga.price.cents; Ok(()) },
    }
    local note { on_execute: async |_cx, saga| { let _ = saga.price.cents; Ok(()) } }
}

fn use_it(done: &place_order::Done) -> u64 {
    done.price.cents
}

fn main() {}
