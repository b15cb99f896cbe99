#![allow(unused)]
use minos::prelude::*;

pub struct Money(u64);
#[message("Pay")]
pub struct Pay { pub money: Money }

fn main() {}
