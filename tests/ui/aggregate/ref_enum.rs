#![allow(unused)]
use minos::prelude::*;

#[aggregate_ref]
pub enum Order { Open, Closed }

fn main() {}
