#![allow(unused)]
use minos::prelude::*;

#[command(publik, POST "/a")]
async fn a() {}

#[command(role("admin"), POST "/b")]
async fn b() {}

#[command(role = "admin", POST "/c")]
async fn c() {}

#[query(scopse("a"), GET "/d")]
async fn d() {}

#[query(permissions("a"), GET "/e")]
async fn e() {}

fn main() {
    let _ = (a, b, c, d, e);
}
