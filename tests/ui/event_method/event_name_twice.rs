#![allow(unused)]
use minos::prelude::*;

#[aggregate]
pub struct Acc { n: u64 }
#[aggregate]
impl Acc {
    #[event("Deposited")]
    fn deposited(&mut self, by: u64) { self.n += by; }
    #[event("Deposited")]
    fn added(&mut self, by: u64) { self.n += by; }
}

fn main() {}
