#![allow(unused)]
use minos::prelude::*;

#[message(reply = u32)]
pub struct Reserve { seats: u32 }

fn main() {}
