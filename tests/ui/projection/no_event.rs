#![allow(unused)]
use minos::prelude::*;

#[document]
pub struct Balance { cents: i64 }

#[projection]
impl Balance {
    async fn opened(view: &mut View<Self>) -> Result<()> { Ok(()) }
}

fn main() {}
