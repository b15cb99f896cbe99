//! Accounts, and what is read of them.

use minos::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};

#[aggregate]
pub struct Account {
    pub owner: String,
    pub cents: i64,
}

#[derive(Deserialize)]
pub struct Open {
    owner: String,
    cents: i64,
}

#[command(POST "/accounts")]
async fn open(cx: &mut Context, input: Open) -> Result<Uuid> {
    Ok(Account::create(cx, Account { owner: input.owner, cents: input.cents }).await?.uuid())
}

#[command(PUT "/accounts/{uuid}/cents")]
async fn change(cx: &mut Context, Path(uuid): Path<Uuid>, cents: i64) -> Result<()> {
    let mut account = Account::get(cx, uuid).await?;
    account.cents = cents;
    account.save(cx).await
}

/// The same, and the balance shows it when this is answered.
#[command(PUT "/accounts/{uuid}/shown", consistency = Balance)]
async fn change_and_show(cx: &mut Context, Path(uuid): Path<Uuid>, cents: i64) -> Result<()> {
    change(cx, Path(uuid), cents).await
}

/// The same for a read model that does not take every account.
#[command(PUT "/accounts/{uuid}/strict", consistency = Balance, consistency = Strict)]
async fn change_strictly(cx: &mut Context, Path(uuid): Path<Uuid>, cents: i64) -> Result<()> {
    change(cx, Path(uuid), cents).await
}

#[command(DELETE "/accounts/{uuid}")]
async fn close(cx: &mut Context, Path(uuid): Path<Uuid>) -> Result<()> {
    Account::get(cx, uuid).await?.delete(cx).await
}

#[query(GET "/accounts/{uuid}/versions/{version}")]
async fn at_version(cx: &Context, Path((uuid, version)): Path<(Uuid, u64)>) -> Result<Option<Seen<Account>>> {
    Account::at_version(cx, uuid, version).await
}

#[query(GET "/accounts/{uuid}/times/{time}")]
async fn at_time(cx: &Context, Path((uuid, time)): Path<(Uuid, Timestamp)>) -> Result<Option<Seen<Account>>> {
    Account::at_time(cx, uuid, time).await
}

#[query(GET "/accounts/{uuid}/history")]
async fn history(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Vec<minos::aggregate::PastEvent>> {
    Account::history(cx, uuid).await
}

/// An account, as lists show it.
#[document]
pub struct Balance {
    pub owner: String,
    pub cents: i64,
    pub since: Timestamp,
    pub note: Option<String>,
}

#[projection]
impl Balance {
    #[event("AccountCreated")]
    async fn opened(view: &mut View<Self>, event: AccountCreated) -> Result<()> {
        view.put(event.uuid(), Balance { owner: event.owner.clone(), cents: event.cents, since: view.now(), note: None });
        Ok(())
    }

    #[event("AccountUpdated.cents")]
    async fn changed(view: &mut View<Self>, event: AccountUpdated) -> Result<()> {
        let cents = event.get("cents")?.unwrap_or_default();
        view.update(event.uuid(), |balance| balance.cents = cents).await
    }

    #[event("AccountDeleted")]
    async fn closed(view: &mut View<Self>, event: AccountDeleted) -> Result<()> {
        view.remove(event.uuid());
        Ok(())
    }
}

/// How many accounts each owner has, as part of each commit.
#[document]
#[derive(Clone, Debug, PartialEq)]
pub struct Owner {
    pub accounts: u32,
    pub cents: i64,
}

#[projection(inline)]
impl Owner {
    #[event("AccountCreated")]
    async fn opened(view: &mut View<Self>, event: AccountCreated) -> Result<()> {
        ensure!(event.owner != "nobody", "nobody has no account");
        let cents = event.cents;
        view.update_or(&event.owner, Owner { accounts: 0, cents: 0 }, |owner| {
            owner.accounts += 1;
            owner.cents += cents;
        })
        .await
    }
}

/// What an owner has, behind the commit: its accounts are of different streams, whose order counts.
#[document]
pub struct Wealth {
    pub accounts: u32,
    pub cents: i64,
    pub last: Uuid,
}

#[projection]
impl Wealth {
    #[event("AccountCreated")]
    async fn opened(view: &mut View<Self>, event: AccountCreated) -> Result<()> {
        let (last, cents) = (event.uuid(), event.cents);
        view.update_or(&event.owner, Wealth { accounts: 0, cents: 0, last }, |wealth| {
            *wealth = Wealth { accounts: wealth.accounts + 1, cents: wealth.cents.wrapping_mul(3).wrapping_add(cents), last };
        })
        .await
    }
}

/// Whether the function that fails is mended.
static MENDED: AtomicBool = AtomicBool::new(false);

pub fn mend(mended: bool) {
    MENDED.store(mended, Ordering::SeqCst);
}

/// What cannot be taken from some.
#[document]
pub struct Strict {
    pub changes: u32,
}

#[projection]
impl Strict {
    #[event("AccountCreated", "AccountUpdated")]
    async fn changed(view: &mut View<Self>, event: Event<serde_json::Value>) -> Result<()> {
        if event.get("owner").is_some_and(|owner| owner == "bad") && !MENDED.load(Ordering::SeqCst) {
            bail!("the owner is bad");
        }
        view.update_or(event.uuid(), Strict { changes: 0 }, |strict| strict.changes += 1).await
    }
}

#[query(GET "/balances")]
async fn balances(cx: &Context) -> Result<Vec<Balance>> {
    Balance::all(cx).order_by(Balance::owner().ascending()).order_by(Balance::cents().descending()).list().await
}

#[derive(Deserialize)]
pub struct Wanted {
    at_least: i64,
    after: Option<String>,
}

#[query(GET "/balances/pages")]
async fn pages(cx: &Context, Query(wanted): Query<Wanted>) -> Result<minos::document::Page<Balance>> {
    Balance::find(cx, Balance::cents().ge(wanted.at_least))
        .and(!Balance::owner().eq("cid"))
        .order_by(Balance::cents())
        .limit(2)
        .page(wanted.after.as_deref())
        .await
}

#[query(GET "/balances/{uuid}")]
async fn balance(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Option<Balance>> {
    Balance::get(cx, uuid).await
}

#[query(GET "/owners/{name}")]
async fn owner(cx: &Context, Path(name): Path<String>) -> Result<Option<Owner>> {
    Owner::get(cx, name).await
}

#[query(GET "/strict/{uuid}")]
async fn strict(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Option<Strict>> {
    Strict::get(cx, uuid).await
}
