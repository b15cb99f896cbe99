#![allow(unused)]
use minos::prelude::*;

#[aggregate]
pub struct Order {
    #[validate(length(1..=9))]
    number: u32,
    #[validate(email)]
    lines: Vec<String>,
    #[validate(range(1..))]
    name: String,
    #[validate(nested)]
    price: f64,
}

fn main() {}
