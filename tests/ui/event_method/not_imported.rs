#![allow(unused)]
use minos::prelude::*;

mod bank {
    use minos::prelude::*;
    #[aggregate]
    pub struct Acc { n: u64 }
    #[aggregate]
    impl Acc {
        #[event("Deposited")]
        pub fn deposited(&mut self, by: u64) { self.n += by; }
    }
}
fn _u(a: &mut Root<bank::Acc>) { a.deposited(3); }

fn main() {}
