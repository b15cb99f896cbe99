#![allow(unused)]
use minos::prelude::*;

#[aggregate]
pub struct Acc { n: u32 }
#[aggregate]
impl Acc {
    #[event("Deposited", version = 2, upcast = from_v1)]
    fn deposited(&mut self, by: u32) { self.n += by; }
}

#[derive(Deserialize)]
pub struct DepositedV1 { amount: u32 }

fn from_v1(old: DepositedV1) -> u32 { old.amount }

fn main() {}
