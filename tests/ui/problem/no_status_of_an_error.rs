#![allow(unused)]
use minos::prelude::*;

#[derive(Debug, minos::Problem)]
pub enum Stock {
    #[problem(status = 200)]
    Full,
}

fn main() {}
