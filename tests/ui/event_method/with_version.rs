#![allow(unused)]
use minos::prelude::*;

#[aggregate]
pub struct Acc { n: u32 }
#[aggregate]
impl Acc {
    #[event("Deposited", version = 2)]
    fn deposited(&mut self, by: u32) { self.n += by; }
}

fn main() {}
