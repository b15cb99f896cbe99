#![allow(unused)]
use minos::prelude::*;

#[aggregate]
pub struct Account { cents: i64 }

#[query(GET "/x", consistency = Account)]
async fn x(cx: &Context) -> Result<()> { Ok(()) }

fn main() {}
