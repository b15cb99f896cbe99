#![allow(unused)]
use minos::prelude::*;

#[periodic("0 * * * *")]
async fn hourly(cx: &mut Context, input: u32) -> Result<()> { Ok(()) }

fn main() {}
