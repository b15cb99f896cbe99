#![allow(unused)]
use minos::prelude::*;

#[aggregate]
pub struct Acc { n: u64 }
#[aggregate]
impl Acc {
    #[event("AccUpdated")]
    fn deposited(&mut self, by: u64) { self.n += by; }
}

fn main() {}
