#![allow(unused)]
use minos::prelude::*;

#[command("Create Foo")]
async fn a(input: u32) -> Result<()> { Ok(()) }

fn main() {}
