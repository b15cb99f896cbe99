#![allow(unused)]
use minos::prelude::*;

#[periodic]
async fn every_hour(cx: &mut Context) -> Result<()> { Ok(()) }

fn main() {}
