#![allow(unused)]
use minos::prelude::*;

#[aggregate]
pub struct Order {
    #[minos(was = "price")]
    item: String,
    price: u32,
    #[minos(was = "text")]
    note: String,
    #[minos(was = "text")]
    remark: String,
    #[minos(is = "x")]
    other: String,
    #[minos(was)]
    another: String,
}

#[derive(Serialize, Deserialize, minos::Aggregate)]
#[serde(rename_all = "camelCase")]
pub struct Camel {
    #[minos(was = "text")]
    note: String,
}

fn main() {}
