#![allow(unused)]
use minos::prelude::*;

#[command(roles("admin"))]
async fn a() {}

fn main() {}
