#![allow(unused)]
use minos::prelude::*;

#[aggregate]
pub struct Account { cents: i64 }

pub struct Balances;

#[projection]
impl Balances {
    #[event("AccountCreated")]
    async fn opened(view: &mut View<Self>, event: AccountCreated) -> Result<()> {
        view.put(event.uuid(), Balances);
        Ok(())
    }
}

fn main() {}
