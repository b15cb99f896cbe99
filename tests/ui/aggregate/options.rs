#![allow(unused)]
use minos::{Fields, prelude::*};

#[aggregate(nmae = "Order")]
pub struct Misspelt { item: String }

#[aggregate(name = "an order")]
pub struct NoName { item: String }

#[aggregate(version = 3, upcast = from_v1)]
pub struct TooFew { item: String }

#[aggregate(version = 2, version = 2, upcast = from_v1)]
pub struct Twice { item: String }

fn from_v1(fields: &mut Fields) {}

fn main() {}
