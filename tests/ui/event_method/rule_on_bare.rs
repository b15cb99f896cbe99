#![allow(unused)]
use minos::prelude::*;

#[aggregate]
pub struct Acc { n: u64 }
#[aggregate]
impl Acc {
    #[event("Deposited")]
    fn deposited(&mut self, by: u64) { self.n += by; }
    pub fn deposit(&mut self, by: u64) -> Result<()> { self.deposited(by); Ok(()) }
}
fn _u(a: &mut Acc) { let _ = a.deposit(3); }

fn main() {}
