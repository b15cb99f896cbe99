#![allow(unused)]
use minos::prelude::*;

#[projection]
pub struct Balances;

fn main() {}
