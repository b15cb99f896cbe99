#![allow(unused)]
use minos::{Fields, prelude::*};

#[aggregate(version = 2, upcast = from_v1)]
pub struct Order { item: String }

fn from_v1(fields: String) -> Result<()> { Ok(()) }

fn main() {}
