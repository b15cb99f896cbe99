#![allow(unused)]
use minos::prelude::*;

#[command("A")]
async fn a(Path(uuid): Path<Uuid>) -> Result<()> { Ok(()) }

fn main() {}
