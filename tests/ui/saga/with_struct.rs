#![allow(unused)]
use minos::prelude::*;

saga! {
    pub struct PlaceOrder { id: u32 }

    local note { on_execute: async |_cx, _saga| Ok(()) }
}

fn use_it() -> PlaceOrder {
    PlaceOrder { id: 1 }
}

fn main() {}
