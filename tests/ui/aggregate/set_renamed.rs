#![allow(unused)]
use minos::prelude::*;

#[aggregate]
#[serde(rename_all = "camelCase")]
pub struct Order { order_lines: EntitySet<u32>, number: u32 }

fn main() {}
