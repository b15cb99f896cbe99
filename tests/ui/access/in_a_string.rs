#![allow(unused)]
use minos::prelude::*;

#[command("public", POST "/a")]
async fn a() {}

#[command("roles", POST "/b")]
async fn b() {}

fn main() {}
