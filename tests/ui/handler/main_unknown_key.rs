#![allow(unused)]
use minos::prelude::*;

#[minos::main(threads = 4)]
async fn main() -> Result<()> { Ok(()) }
