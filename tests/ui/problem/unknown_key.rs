#![allow(unused)]
use minos::prelude::*;

#[derive(Debug, minos::Problem)]
#[problem(code = 409)]
pub struct Full;
impl std::fmt::Display for Full {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("full") }
}
impl std::error::Error for Full {}

fn main() {}
