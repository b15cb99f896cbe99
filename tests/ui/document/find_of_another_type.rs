#![allow(unused)]
use minos::prelude::*;

#[document]
pub struct Balance { cents: i64, owner: String }

async fn rich(cx: &Context) -> Result<Vec<Balance>> {
    Balance::find(cx, Balance::cents().ge("much")).list().await
}

fn main() {}
