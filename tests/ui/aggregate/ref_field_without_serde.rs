#![allow(unused)]
use minos::prelude::*;

pub struct Money(u64);
#[aggregate_ref]
pub struct Order { pub total: Money, pub n: u32 }
#[aggregate]
pub struct Foo { pub order: Ref<Order> }

fn main() {}
