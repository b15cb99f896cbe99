#![allow(unused)]
use minos::prelude::*;

#[aggregate]
pub struct Account { cents: i64 }

#[message("Mail")]
pub struct Mail { text: String }

#[document]
pub struct Balance { cents: i64 }

#[projection]
impl Balance {
    #[event("AccountCreated")]
    async fn opened(view: &mut View<Self>, event: AccountCreated) -> Result<()> {
        view.send(Mail { text: "hello".into() })
    }
}

fn main() {}
