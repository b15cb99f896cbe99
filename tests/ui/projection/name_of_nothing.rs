#![allow(unused)]
use minos::prelude::*;

#[aggregate]
pub struct Account { cents: i64 }

#[document]
pub struct Balance { cents: i64 }

#[projection]
impl Balance {
    #[event("MoneyDeposited")]
    async fn deposited(view: &mut View<Self>, event: AccountCreated) -> Result<()> { Ok(()) }
}

fn main() {}
