#![allow(unused)]
use minos::prelude::*;

#[command("A")]
async fn a(cx: &mut Context, first: u32, second: String) -> Result<()> { Ok(()) }

fn main() {}
