#![allow(unused)]
use minos::prelude::*;

#[event("OrderUpdated.entries.created")]
async fn entry_created(cx: &mut Context) -> Result<()> { Ok(()) }

#[event("OrderCreated.entries.create")]
async fn never(cx: &mut Context) -> Result<()> { Ok(()) }

fn main() {}
