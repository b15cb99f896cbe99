#![allow(unused)]
use minos::prelude::*;

#[aggregate]
pub struct Acc { n: u32 }
#[aggregate]
impl Acc {
    #[event("Deposited")]
    fn deposited(&mut self, #[minos(was = "at")] by: u32, at: u32) { self.n += by; }
}

fn main() {}
