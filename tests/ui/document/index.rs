#![allow(unused)]
use minos::prelude::*;

#[document]
pub struct Balance {
    #[index(unique)]
    owner: String,
    #[index]
    #[index]
    cents: i64,
}

#[document]
#[index]
pub struct Owner { name: String }

#[document]
pub struct Basket {
    #[index]
    goods: Vec<String>,
}

#[aggregate]
pub struct Book {
    #[index]
    title: String,
}

#[aggregate(queryable)]
pub struct Person {
    #[index]
    name: Sensitive<String>,
}

fn main() {}
