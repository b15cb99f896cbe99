#![allow(unused)]
use minos::prelude::*;

#[aggregate(querable)]
pub struct Foo { bar: String }

fn main() {}
