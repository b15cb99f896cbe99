#![allow(unused)]
use minos::prelude::*;

#[aggregate]
pub struct Account { cents: i64 }

#[command(POST "/x", consistency = Account)]
async fn x(cx: &mut Context) -> Result<()> { Ok(()) }

fn main() {}
