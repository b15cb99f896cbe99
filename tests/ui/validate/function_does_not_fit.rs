#![allow(unused)]
use minos::prelude::*;

fn check(number: &u32) -> Result<(), String> { Ok(()) }

#[aggregate]
pub struct Order {
    #[validate(with = check)]
    name: String,
}

fn main() {}
