#![allow(unused)]
use minos::prelude::*;

mod bank {
    use minos::prelude::*;
    #[aggregate]
    pub struct Acc { n: u64 }
    #[aggregate]
    impl Acc {
        #[event("Deposited")]
        fn deposited(&mut self, by: u64) { self.n += by; }
        pub fn deposit(&mut self, by: u64) -> Result<()> { self.deposited(by); Ok(()) }
    }
}
use bank::AccEvents;
fn _u(a: &mut Root<bank::Acc>) { let _ = a.deposit(3); a.deposited(3); }

fn main() {}
