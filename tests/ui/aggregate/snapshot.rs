#![allow(unused)]
use minos::prelude::*;

#[aggregate(snapshot)]
pub struct When { item: String }

#[aggregate(snapshot(schema = 1))]
pub struct WhenNot { item: String }

#[aggregate(snapshot(evry = 100))]
pub struct Misspelt { item: String }

#[aggregate(snapshot(every = 0))]
pub struct Never { item: String }

#[aggregate(snapshot(every = "100"))]
pub struct Text { item: String }

#[aggregate(snapshot(age = 60))]
pub struct NoUnit { item: String }

#[aggregate(snapshot(every = 1, every = 2))]
pub struct Twice { item: String }

#[aggregate(snapshot(every = 1, schema = 5_000_000_000))]
pub struct Large { item: String }

#[aggregate(snapshot(every = 1), snapshot(age = "1d"))]
pub struct TwiceAsWell { item: String }

#[aggregate(snapshot(every = 1))]
pub struct LeftOut {
    item: String,
    #[serde(skip)]
    seen: u64,
}

fn main() {}
