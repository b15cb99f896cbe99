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
    pub PlaceOrder {
        #[serde(rename = "ticket", default)]
        id: u32,
        #[serde(flatten)]
        more: std::collections::HashMap<String, u32>,
    }

    remote reserve -> ticket: u32 { on_execute: |saga| Reserve { n: saga.id } }
}

fn main() {}
