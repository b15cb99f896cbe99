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
    remote reserve -> ticket: u32 {
        on_execute: |saga| Reserve { n: 1 },
    }
}

fn main() {}
