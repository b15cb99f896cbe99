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

    parallel {
        parallel {
            local a { on_execute: async |_cx, _saga| Ok(()), on_failure: () }
            local b { on_execute: async |_cx, _saga| Ok(()), on_failure: () }
        }
        local c { on_execute: async |_cx, _saga| Ok(()), on_failure: () }
    }
}

fn main() {}
