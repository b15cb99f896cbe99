#![allow(unused)]
use minos::prelude::*;

#[derive(Debug)]
pub struct Full;
#[command("Fill")]
async fn fill() -> Result<(), Full> { Err(Full) }

fn main() {}
