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

    local a {
        on_execute: async |_cx, _saga| Ok(()),
        on_failure: (),
        retry: { atempts: 5 },
    }
    local b {
        on_execute: async |_cx, _saga| Ok(()),
        on_failure: (),
        retry: { attempts: 0, first_pause: 5, longest_pause: "1m" },
    }
    local c {
        on_execute: async |_cx, _saga| Ok(()),
        on_failure: (),
        retry: { first_pause: "2m", longest_pause: "1m", first_pause: "1s" },
    }
    local d {
        on_execute: async |_cx, _saga| Ok(()),
        on_failure: (),
        retry: 5,
    }
    local e {
        on_execute: async |_cx, _saga| Ok(()),
        on_failure: (),
        retry: {},
    }
    local f {
        on_execute: async |_cx, _saga| Ok(()),
        retry: { attempts: "5", first_pause: "1s" },
    }
}

fn main() {}
