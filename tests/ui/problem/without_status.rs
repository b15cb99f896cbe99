#![allow(unused)]
use minos::prelude::*;

#[derive(Debug, minos::Problem)]
pub enum Stock {
    #[problem(status = 409)]
    Full,
    Empty,
}

fn main() {}
