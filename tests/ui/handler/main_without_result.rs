#![allow(unused)]
use minos::prelude::*;

#[minos::main]
async fn main() {}
