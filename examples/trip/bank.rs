//! The service of accounts, which also insures.

use minos::prelude::*;

#[aggregate]
pub struct Account {
    pub balance: u64,
}

#[aggregate]
pub struct Insurance {
    pub account: Uuid,
    pub value: u64,
}

#[command("OpenAccount", POST "/accounts")]
async fn open_account(cx: &mut Context, input: Account) -> Result<Uuid> {
    Ok(Account::create(cx, input).await?.uuid())
}

#[query("GetAccount", GET "/accounts/{uuid}")]
async fn get_account(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Account>> {
    Account::get(cx, uuid).await
}

#[derive(Deserialize)]
pub struct Pay {
    account: Uuid,
    amount: u64,
}

/// Answers the number of the receipt.
#[command("Pay")]
async fn pay(cx: &mut Context, input: Pay) -> Result<Uuid> {
    let mut account = Account::get(cx, input.account).await?;
    ensure!(account.balance >= input.amount, "{} are to be paid, and the account has {}", input.amount, account.balance);
    account.balance -= input.amount;
    account.save(cx).await?;
    Ok(cx.id())
}

#[command("Insure")]
async fn insure(cx: &mut Context, input: Insurance) -> Result<Option<Uuid>> {
    Ok(Some(Insurance::create(cx, input).await?.uuid()))
}

#[derive(Deserialize)]
pub struct CancelInsurance {
    insurance: Option<Uuid>,
}

#[command("CancelInsurance")]
async fn cancel_insurance(cx: &mut Context, input: CancelInsurance) -> Result<()> {
    match input.insurance {
        Some(uuid) => Insurance::get(cx, uuid).await?.delete(cx).await,
        None => Ok(()),
    }
}
