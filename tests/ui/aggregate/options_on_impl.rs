#![allow(unused)]
use minos::prelude::*;

#[aggregate]
pub struct Order { item: String }

#[aggregate(version = 2)]
impl Order {
    #[event("Renamed")]
    fn renamed(&mut self, item: String) { self.item = item; }
}

fn main() {}
