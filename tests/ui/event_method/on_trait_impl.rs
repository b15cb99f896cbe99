#![allow(unused)]
use minos::prelude::*;

#[aggregate]
pub struct Acc { n: u64 }
#[aggregate]
impl Clone for Acc {
    fn clone(&self) -> Self { Acc { n: self.n } }
}

fn main() {}
