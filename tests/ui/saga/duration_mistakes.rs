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

    local a { on_execute: async |_cx, _saga| Ok(()), on_failure: (), timeout: "30" }
    local b { on_execute: async |_cx, _saga| Ok(()), on_failure: (), timeout: "30 seconds" }
    local c { on_execute: async |_cx, _saga| Ok(()), on_failure: (), timeout: "0s" }
    local d { on_execute: async |_cx, _saga| Ok(()), on_failure: (), timeout: "-5s" }
    local e { on_execute: async |_cx, _saga| Ok(()), on_failure: (), timeout: "999999d" }
    local f { on_execute: async |_cx, _saga| Ok(()), timeout: Duration::from_secs(3) }
}

fn main() {}
