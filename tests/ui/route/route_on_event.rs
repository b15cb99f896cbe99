#![allow(unused)]
use minos::prelude::*;

#[event("FooCreated", POST "/foos")]
async fn on(cx: &mut Context) -> Result<()> { Ok(()) }

fn main() {}
