#![allow(unused)]
use minos::prelude::*;

#[aggregate]
pub struct Acc { n: u32 }
#[aggregate]
impl Acc {
    #[event("Deposited", version = 2)]
    fn deposited(&mut self, by: u32) { self.n += by; }

    #[event("Withdrawn", version = 2, upcast = [one, two])]
    fn withdrawn(&mut self, by: u32) { self.n -= by; }

    #[event("Closed", upcast = one)]
    fn closed(&mut self) { self.n = 0; }

    #[event("Opened", version = 0)]
    fn opened(&mut self) { self.n = 1; }

    #[event("Frozen", verison = 2)]
    fn frozen(&mut self) { self.n = 1; }

    #[event("Thawed", "Melted")]
    fn thawed(&mut self) { self.n = 1; }
}

fn main() {}
