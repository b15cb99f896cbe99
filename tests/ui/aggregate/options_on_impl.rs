#![allow(unused)]
use minos::prelude::*;

#[aggregate]
pub struct Foo { bar: String }

#[aggregate(queryable)]
impl Foo {}

fn main() {}
