#![allow(unused)]
use minos::prelude::*;

#[derive(minos::Validate)]
pub enum State { Open, Closed }

fn main() {}
