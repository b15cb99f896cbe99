#![allow(unused)]
use minos::prelude::*;

#[derive(minos::Validate)]
pub struct Line { product: String }

fn main() {}
