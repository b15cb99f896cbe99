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

    local done { on_execute: async |_cx, _saga| Ok(()), on_failure: () }
    local a_b { on_execute: async |_cx, _saga| Ok(()), on_failure: () }
    local a__b { on_execute: async |_cx, _saga| Ok(()), on_failure: () }
    local _1 { on_execute: async |_cx, _saga| Ok(()) }
}

fn main() {}
