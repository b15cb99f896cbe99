#![allow(unused)]
use minos::prelude::*;

#[aggregate]
pub struct Acc { n: u64 }
#[aggregate]
impl Acc {
    #[event("Deposited")]
    fn deposited(&mut self, by: u64) { self.n += by; }
    #[event("Opened")]
    fn opened(&mut self, by: u64) { if by > 0 { let _ = self.deposit(by); } }
    fn deposit(&mut self, by: u64) -> Result<()> { self.deposited(by); Ok(()) }
}

fn main() {}
