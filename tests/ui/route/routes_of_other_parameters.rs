#![allow(unused)]
use minos::prelude::*;

#[query(GET "/a/{x}", GET "/b/{y}")]
async fn a(Path(x): Path<u32>) -> Result<u32> { Ok(x) }

fn main() {}
