#![allow(unused)]
use minos::prelude::*;

#[document]
pub struct Balance { cents: i64, tags: Vec<String> }

async fn rich(cx: &Context) -> Result<Vec<Balance>> {
    Balance::all(cx).order_by(Balance::tags().ascending()).list().await
}

fn main() {}
