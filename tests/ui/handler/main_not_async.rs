#![allow(unused)]
use minos::prelude::*;

#[minos::main]
fn main() -> Result<()> { Ok(()) }
