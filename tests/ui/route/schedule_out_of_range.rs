#![allow(unused)]
use minos::prelude::*;

#[periodic("60 * * * *")]
async fn hourly() {}

fn main() {}
