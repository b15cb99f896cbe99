#![allow(unused)]
use minos::prelude::*;

#[document]
pub enum Balance { Rich, Poor }

fn main() {}
