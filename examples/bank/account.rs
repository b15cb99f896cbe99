//! Accounts: what can be done with them, and who asks for them.

use crate::customer::Customer;
use minos::{aggregate::PastEvent, document::Page, prelude::*};

/// An account. It is found by its fields, never below its limit, and much is done with it: what it has come to is kept now and then.
#[aggregate(queryable, snapshot(every = 100))]
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// The customer.
    #[index]
    pub owner: Uuid,
    #[unique]
    #[validate(length(15..=34))]
    pub iban: String,
    pub cents: i64,
    /// How far below nothing it may be.
    #[validate(range(0..=1_000_000))]
    pub limit: i64,
    pub status: Status,
}

#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Open,
    Frozen,
}

#[aggregate]
impl Account {
    #[event("MoneyDeposited")]
    fn deposited(&mut self, cents: i64, text: String) {
        self.cents += cents;
    }

    #[event("MoneyWithdrawn")]
    fn withdrawn(&mut self, cents: i64, text: String) {
        self.cents -= cents;
    }

    #[event("AccountFrozen")]
    fn frozen(&mut self, reason: String) {
        self.status = Status::Frozen;
    }

    pub fn deposit(&mut self, cents: i64, text: String) -> Result<()> {
        ensure!(cents > 0, "a deposit is more than nothing");
        ensure!(self.status == Status::Open, "the account is frozen");
        self.deposited(cents, text);
        Ok(())
    }

    pub fn withdraw(&mut self, cents: i64, text: String) -> Result<()> {
        ensure!(cents > 0, "a withdrawal is more than nothing");
        ensure!(self.status == Status::Open, "the account is frozen");
        ensure!(self.cents + self.limit >= cents, "insufficient funds: there are {} cents, and a limit of {}", self.cents, self.limit);
        self.withdrawn(cents, text);
        Ok(())
    }

    pub fn freeze(&mut self, reason: String) {
        // To freeze what is frozen is no event.
        if self.status == Status::Open {
            self.frozen(reason);
        }
    }
}

#[derive(Deserialize)]
pub struct OpenAccount {
    owner: Uuid,
    iban: String,
}

#[derive(Deserialize)]
pub struct Money {
    pub cents: i64,
    pub text: String,
}

#[command("OpenAccount", POST "/accounts")]
pub async fn open(cx: &mut Context, input: OpenAccount) -> Result<Uuid> {
    let owner = Customer::get(cx, input.owner).await?.uuid();
    let account = Account { owner, iban: input.iban, cents: 0, limit: 0, status: Status::Open };
    Ok(Account::create(cx, account).await?.uuid())
}

/// Answered when the statement shows it.
#[command("Deposit", POST "/accounts/{uuid}/deposits", consistency = crate::statement::Statement)]
pub async fn deposit(cx: &mut Context, Path(uuid): Path<Uuid>, input: Money) -> Result<i64> {
    let mut account = Account::get(cx, uuid).await?;
    account.deposit(input.cents, input.text)?;
    account.save(cx).await?;
    Ok(account.cents)
}

#[command("Withdraw", POST "/accounts/{uuid}/withdrawals", consistency = crate::statement::Statement)]
pub async fn withdraw(cx: &mut Context, Path(uuid): Path<Uuid>, input: Money) -> Result<i64> {
    let mut account = Account::get(cx, uuid).await?;
    account.withdraw(input.cents, input.text)?;
    account.save(cx).await?;
    Ok(account.cents)
}

#[derive(Deserialize)]
pub struct Transfer {
    pub from: Uuid,
    pub to: Uuid,
    pub cents: i64,
}

/// Both accounts are in this service, so one commit does it; between services, it is a saga.
#[command("Transfer", POST "/transfers")]
pub async fn transfer(cx: &mut Context, input: Transfer) -> Result<()> {
    ensure!(input.from != input.to, "a transfer goes from one account to another one");
    let (mut from, mut to) = (Account::get(cx, input.from).await?, Account::get(cx, input.to).await?);
    from.withdraw(input.cents, format!("to {}", to.iban))?;
    to.deposit(input.cents, format!("from {}", from.iban))?;
    from.save(cx).await?;
    to.save(cx).await
}

#[derive(Deserialize)]
pub struct SetLimit {
    limit: i64,
}

#[command(PUT "/accounts/{uuid}/limit")]
pub async fn set_limit(cx: &mut Context, Path(uuid): Path<Uuid>, input: SetLimit) -> Result<()> {
    let mut account = Account::get(cx, uuid).await?;
    account.limit = input.limit;
    account.save(cx).await
}

#[command(POST "/accounts/{uuid}/freeze")]
pub async fn freeze(cx: &mut Context, Path(uuid): Path<Uuid>, reason: String) -> Result<()> {
    let mut account = Account::get(cx, uuid).await?;
    account.freeze(reason);
    account.save(cx).await
}

#[derive(Deserialize)]
pub struct Search {
    owner: Option<Uuid>,
    below: Option<i64>,
    after: Option<String>,
}

/// The poorest first, page by page.
#[query(GET "/accounts")]
async fn search(cx: &Context, Query(search): Query<Search>) -> Result<Page<Seen<Account>>> {
    let mut found = Account::all(cx).order_by(Account::cents());
    if let Some(owner) = search.owner {
        found = found.and(Account::owner().eq(owner));
    }
    if let Some(below) = search.below {
        found = found.and(Account::cents().lt(below));
    }
    found.limit(20).page(search.after.as_deref()).await
}

#[query("GetAccount", GET "/accounts/{uuid}")]
async fn account(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Account>> {
    Account::get(cx, uuid).await
}

/// What happened to it, who asked for that, and why.
#[query(GET "/accounts/{uuid}/history")]
async fn history(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Vec<PastEvent>> {
    Account::history(cx, uuid).await
}

/// As it was when so much had happened.
#[query(GET "/accounts/{uuid}/versions/{version}")]
async fn version(cx: &Context, Path((uuid, version)): Path<(Uuid, u64)>) -> Result<Option<Seen<Account>>> {
    Account::at_version(cx, uuid, version).await
}

/// As it was at a time, which an auditor gives: `GET /accounts/<uuid>/at/2026-01-01T00:00:00Z`.
#[query(GET "/accounts/{uuid}/at/{time}")]
async fn at(cx: &Context, Path((uuid, time)): Path<(Uuid, Timestamp)>) -> Result<Option<Seen<Account>>> {
    Account::at_time(cx, uuid, time).await
}
