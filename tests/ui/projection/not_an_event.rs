#![allow(unused)]
use minos::prelude::*;

#[aggregate]
pub struct Account { cents: i64 }

#[document]
pub struct Balance { cents: i64 }

#[projection]
impl Balance {
    #[event("AccountCreated")]
    async fn opened(view: &mut View<Self>, event: Account) -> Result<()> { Ok(()) }
}

fn main() {}
