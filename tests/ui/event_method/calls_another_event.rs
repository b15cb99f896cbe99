#![allow(unused)]
use minos::prelude::*;

#[aggregate]
pub struct Acc { n: u64 }
#[aggregate]
impl Acc {
    #[event("Deposited")]
    fn deposited(&mut self, by: u64) { self.n += by; }
    #[event("Opened")]
    fn opened(&mut self, by: u64) { self.deposited(by); }
}
fn _u(a: &mut Root<Acc>) { a.opened(3); }

fn main() {}
