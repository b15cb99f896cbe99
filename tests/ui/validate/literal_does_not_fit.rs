#![allow(unused)]
use minos::prelude::*;

#[aggregate]
pub struct Order {
    #[validate(range(..=99.5))]
    quantity: u32,
}

fn main() {}
