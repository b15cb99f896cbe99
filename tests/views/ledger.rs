//! A read model in tables of its own.

use crate::bank::{Account, AccountCreated, AccountDeleted, AccountUpdated};
use minos::prelude::*;

pub struct Totals;

#[projection]
impl Totals {
    const TABLES: &str = "
        CREATE TABLE {totals} (owner TEXT PRIMARY KEY, accounts INTEGER NOT NULL, cents BIGINT NOT NULL CHECK (cents >= 0));
        CREATE TABLE {parts} (account TEXT PRIMARY KEY, owner TEXT NOT NULL, cents BIGINT NOT NULL);
        CREATE INDEX {parts}_by_owner ON {parts} (owner)";

    #[event("AccountCreated")]
    async fn opened(view: &mut View<Self>, event: AccountCreated) -> Result<()> {
        let (account, owner, cents) = (event.uuid().to_string(), event.owner.clone(), event.cents);
        view.execute("INSERT INTO {parts} VALUES ($1, $2, $3)", [account.into(), owner.clone().into(), cents.into()])?;
        view.execute(
            "INSERT INTO {totals} VALUES ($1, 1, $2) ON CONFLICT (owner) DO UPDATE SET accounts = {totals}.accounts + 1, cents = {totals}.cents + excluded.cents",
            [owner.into(), cents.into()],
        )
    }

    #[event("AccountUpdated.cents")]
    async fn changed(view: &mut View<Self>, event: AccountUpdated) -> Result<()> {
        let (account, cents) = (event.uuid().to_string(), event.get::<i64>("cents")?.unwrap_or_default());
        view.execute(
            "UPDATE {totals} SET cents = {totals}.cents + $2 - p.cents FROM {parts} p WHERE p.account = $1 AND {totals}.owner = p.owner",
            [account.clone().into(), cents.into()],
        )?;
        view.execute("UPDATE {parts} SET cents = $2 WHERE account = $1", [account.into(), cents.into()])
    }

    #[event("AccountDeleted")]
    async fn closed(view: &mut View<Self>, event: AccountDeleted) -> Result<()> {
        let account = event.uuid().to_string();
        view.execute(
            "UPDATE {totals} SET accounts = accounts - 1, cents = {totals}.cents - p.cents FROM {parts} p WHERE p.account = $1 AND {totals}.owner = p.owner",
            [account.clone().into()],
        )?;
        view.execute("DELETE FROM {parts} WHERE account = $1", [account.into()])
    }
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
pub struct Total {
    pub owner: String,
    pub accounts: i64,
    pub cents: i64,
}

#[query(GET "/totals")]
async fn totals(cx: &Context) -> Result<Vec<Total>> {
    cx.select("SELECT owner, accounts, cents FROM totals ORDER BY owner", []).await
}

#[command(POST "/ledger/accounts")]
async fn open(cx: &mut Context, input: Account) -> Result<Uuid> {
    Ok(Account::create(cx, input).await?.uuid())
}

#[command(PUT "/ledger/accounts/{uuid}")]
async fn change(cx: &mut Context, Path(uuid): Path<Uuid>, cents: i64) -> Result<()> {
    let mut account = Account::get(cx, uuid).await?;
    account.cents = cents;
    account.save(cx).await
}

/// The same, and the totals show it when this is answered.
#[command(PUT "/ledger/accounts/{uuid}/shown", consistency = Totals)]
async fn change_and_show(cx: &mut Context, Path(uuid): Path<Uuid>, cents: i64) -> Result<()> {
    change(cx, Path(uuid), cents).await
}

#[command(DELETE "/ledger/accounts/{uuid}")]
async fn close(cx: &mut Context, Path(uuid): Path<Uuid>) -> Result<()> {
    Account::get(cx, uuid).await?.delete(cx).await
}
