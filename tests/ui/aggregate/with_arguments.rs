#![allow(unused)]
use minos::prelude::*;

#[aggregate("Order")]
pub struct Order { item: String }

fn main() {}
