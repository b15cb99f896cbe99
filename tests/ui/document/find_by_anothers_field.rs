#![allow(unused)]
use minos::prelude::*;

#[document]
pub struct Balance { cents: i64 }

#[document]
pub struct Owner { name: String }

async fn rich(cx: &Context) -> Result<Vec<Balance>> {
    Balance::find(cx, Owner::name().eq("ann")).list().await
}

fn main() {}
