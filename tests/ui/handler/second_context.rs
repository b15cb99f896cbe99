#![allow(unused)]
use minos::prelude::*;

#[command("A")]
async fn a(cx: &mut Context, other: &Context) -> Result<()> { Ok(()) }

fn main() {}
