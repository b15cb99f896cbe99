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

async fn later() {}

saga! {
    pub PlaceOrder { id: u32 }

    local note {
        on_execute: async |_cx, saga| {
            let shared = std::rc::Rc::new(saga.id);
            later().await;
            let _ = shared;
            Ok(())
        },
    }
}

fn main() {}
