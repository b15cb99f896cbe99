#![allow(unused)]
use minos::prelude::*;

#[aggregate]
pub struct Foo { bar: String }

async fn all(cx: &Context) -> Result<Vec<Seen<Foo>>> {
    Foo::find(cx, Foo::bar().eq("x")).list().await
}

fn main() {}
