#![allow(unused)]
use minos::prelude::*;

#[document]
pub struct Balance { cents: i64 }

async fn rich(cx: &Context) -> Result<Vec<Balance>> {
    Balance::find(cx, Balance::cent().ge(1)).list().await
}

fn main() {}
