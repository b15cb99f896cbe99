#![allow(unused)]
use minos::prelude::*;

#[aggregate_ref]
pub struct Order;

#[aggregate_ref]
pub struct Customer {}

fn main() {
    let _customer: Ref<Customer> = Ref::new(Uuid::nil());
}
