#![allow(unused)]
use minos::prelude::*;

#[aggregate]
pub struct Order {
    #[validate(lenght(1..=9))]
    name: String,
    #[validate(required)]
    item: String,
}

fn main() {}
