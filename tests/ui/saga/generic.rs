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
    pub PlaceOrder<T> { id: T }

    local note { on_execute: async |_cx, _saga| Ok(()) }
}

fn main() {}
