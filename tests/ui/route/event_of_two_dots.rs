#![allow(unused)]
use minos::prelude::*;

#[event("FooUpdated.a.b")]
async fn on(cx: &mut Context) -> Result<()> { Ok(()) }

fn main() {}
