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
    #[derive(Debug)]
    pub PlaceOrder { id: u32 }

    remote reserve -> ticket: u32 {
        on_execute: |saga| Reserve { n: saga.ticket },
        on_success: |saga, more| Ok(()),
    }
    local reserve -> id: u32 {
        on_execute: |cx, saga| Ok(3),
        timeout: 3,
    }
    local note { on_execute: async |_cx, saga| { let _ = saga.ticket; Ok(()) } }
}

fn main() {}
