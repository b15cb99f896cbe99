#![allow(unused)]
use minos::prelude::*;

#[aggregate]
pub struct Account { cents: i64 }

pub struct Balances;

#[projection]
impl Balances {
    const TABLES: &str = "CREATE TABLE balances (account TEXT PRIMARY KEY)";

    #[event("AccountCreated")]
    async fn opened(view: &mut View<Self>, event: AccountCreated) -> Result<()> { Ok(()) }
}

fn main() {}
