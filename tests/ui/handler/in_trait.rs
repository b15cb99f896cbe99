#![allow(unused)]
use minos::prelude::*;

pub trait Handlers {
    #[command("A")]
    async fn a(input: u32) -> Result<()>;
}

fn main() {}
