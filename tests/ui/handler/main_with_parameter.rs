#![allow(unused)]
use minos::prelude::*;

#[minos::main]
async fn start(name: String) -> Result<()> { Ok(()) }

fn main() {}
