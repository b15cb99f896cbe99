#![allow(unused)]
use minos::prelude::*;

#[aggregate]
pub struct Foo { pub bar: String }

#[event("FooCreated", roles("admin"))]
async fn created(event: FooCreated) -> Result<()> { Ok(()) }

#[periodic("0 * * * *", public)]
async fn hourly() -> Result<()> { Ok(()) }

fn main() {}
