//! A service that sends messages to that of the accounts.

use minos::prelude::*;

#[message("GetAccount", reply = serde_json::Value)]
pub struct GetAccount {
    pub uuid: Uuid,
}

#[message("Deposit", reply = u64, key = uuid)]
pub struct Deposit {
    pub uuid: Uuid,
    pub amount: u64,
}

#[message("NobodyHandlesThis")]
pub struct Lost {}

#[derive(Deserialize)]
pub struct Forward {
    uuid: Uuid,
    amount: u64,
}

#[command(POST "/forward")]
async fn forward(cx: &mut Context, input: Forward) -> Result<()> {
    cx.send(Deposit { uuid: input.uuid, amount: input.amount })
}

#[query(POST "/ask")]
async fn ask(cx: &Context, input: Forward) -> Result<serde_json::Value> {
    cx.ask(GetAccount { uuid: input.uuid }).await
}

#[command(POST "/ask-to-deposit")]
async fn ask_to_deposit(cx: &mut Context, input: Forward) -> Result<u64> {
    cx.ask(Deposit { uuid: input.uuid, amount: input.amount }).await
}

#[command(POST "/lose")]
async fn lose(cx: &mut Context) -> Result<()> {
    cx.send(Lost {})
}
