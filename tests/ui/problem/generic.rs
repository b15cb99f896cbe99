#![allow(unused)]
use minos::prelude::*;

#[derive(Debug, minos::Problem)]
#[problem(status = 409)]
pub struct Full<T>(T);

fn main() {}
