#![allow(unused)]
use minos::prelude::*;

#[aggregate]
pub struct Acc { n: u32 }
#[aggregate]
impl Acc {
    #[event("Rolled")]
    fn rolled(&mut self) { self.n = fastrand::u32(1..7); }
}

fn main() {}
