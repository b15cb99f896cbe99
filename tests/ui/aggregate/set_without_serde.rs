#![allow(unused)]
use minos::prelude::*;

pub struct Line { product: String }

#[aggregate]
pub struct Order { lines: EntitySet<Line> }

fn main() {}
