#![allow(unused)]
use minos::prelude::*;

#[aggregate]
#[derive(minos::Validate)]
pub struct Order {
    #[validate(not_empty)]
    name: String,
}

fn main() {}
