#![allow(unused)]
use minos::prelude::*;

#[message("Reserve", replay = u32)]
pub struct Reserve { seats: u32 }

fn main() {}
