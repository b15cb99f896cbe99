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

async fn note(cx: &mut Context) -> Result<()> {
    Ok(())
}
async fn total(cx: &mut Context, saga: &place_order::Total) -> Result<u32> {
    Ok(3)
}

saga! {
    pub PlaceOrder { id: u32 }

    local note { on_execute: note, on_failure: () }
    local total -> total: u64 { on_execute: total }
}

fn main() {}
