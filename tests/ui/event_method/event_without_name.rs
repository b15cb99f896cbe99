#![allow(unused)]
use minos::prelude::*;

#[aggregate]
pub struct Acc { n: u64 }
#[aggregate]
impl Acc {
    #[event]
    fn money_deposited(&mut self, by: u64) { self.n += by; }
}

fn main() {}
