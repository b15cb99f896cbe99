#![allow(unused)]
use minos::prelude::*;

#[aggregate]
pub struct Acc { n: u64 }
#[aggregate]
impl Acc {
    #[event("Deposited")]
    fn deposited(&mut self, (a, b): (u64, u64)) { self.n += a + b; }
}

fn main() {}
