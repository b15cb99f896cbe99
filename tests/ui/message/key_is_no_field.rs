#![allow(unused)]
use minos::prelude::*;

#[message("Reserve", key = order)]
pub struct Reserve { seats: u32 }

fn main() {}
