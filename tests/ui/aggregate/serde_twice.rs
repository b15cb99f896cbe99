#![allow(unused)]
use minos::prelude::*;

#[aggregate]
#[derive(Debug, Serialize)]
pub struct Order { item: String }

fn main() {}
