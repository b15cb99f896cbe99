#![allow(unused)]
use minos::prelude::*;

#[aggregate]
#[validate(not_empty)]
pub struct Order {
    #[validate(length)]
    a: String,
    #[validate(length(min = 1))]
    b: String,
    #[validate(range(5..=2))]
    c: u32,
    #[validate(with = "check")]
    d: u32,
    #[validate]
    e: u32,
    #[validate()]
    f: u32,
    #[validate(one_of("a", 1))]
    g: String,
    #[validate(not_empty email)]
    h: String,
    #[validate(with)]
    i: String,
    #[validate(one_of())]
    j: String,
}

fn main() {}
