#![allow(unused)]
use minos::prelude::*;

#[derive(Aggregate)]
pub struct Order { pub n: u32 }

fn main() {}
