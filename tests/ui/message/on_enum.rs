#![allow(unused)]
use minos::prelude::*;

#[message("Move")]
pub enum Move { Left, Right }

fn main() {}
