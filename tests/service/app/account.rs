//! Accounts with domain events, and statements that follow them.

use crate::setup::Calls;
use minos::prelude::*;

#[aggregate]
pub struct Account {
    pub owner: String,
    pub balance: u64,
}

#[aggregate]
impl Account {
    #[event("MoneyDeposited")]
    fn deposited(&mut self, amount: u64) {
        self.balance += amount;
    }

    #[event("MoneyWithdrawn")]
    fn withdrawn(&mut self, amount: u64) {
        self.balance -= amount;
    }

    /// Rules live in a plain method, which runs once, when the command does.
    pub fn withdraw(&mut self, amount: u64) -> Result<()> {
        ensure!(self.balance >= amount, "insufficient funds");
        self.withdrawn(amount);
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.balance == 0
    }
}

#[derive(Deserialize)]
pub struct Open {
    owner: String,
}

#[derive(Deserialize)]
pub struct Amount {
    amount: u64,
}

#[command("OpenAccount", POST "/accounts")]
async fn open(cx: &mut Context, input: Open) -> Result<Uuid> {
    Ok(Account::create(cx, Account { owner: input.owner, balance: 0 }).await?.uuid())
}

#[command("Deposit", POST "/accounts/{uuid}/deposits")]
async fn deposit(cx: &mut Context, Path(uuid): Path<Uuid>, input: Amount) -> Result<u64> {
    cx.resource::<Calls>()?.add();
    let mut account = Account::get(cx, uuid).await?;
    account.deposited(input.amount);
    account.save(cx).await?;
    Ok(account.balance)
}

#[command("Withdraw", POST "/accounts/{uuid}/withdrawals")]
async fn withdraw(input: Amount, Path(uuid): Path<Uuid>, cx: &mut Context) -> Result<()> {
    let mut account = Account::get(cx, uuid).await?;
    account.owner = account.owner.to_uppercase();
    account.withdraw(input.amount)?;
    account.save(cx).await
}

#[command(DELETE "/accounts/{uuid}")]
async fn close(cx: &mut Context, Path(uuid): Path<Uuid>) -> Result<()> {
    let account = Account::get(cx, uuid).await?;
    ensure!(account.is_empty(), "there is still money in it");
    account.delete(cx).await
}

#[query("GetAccount", GET "/accounts/{uuid}")]
async fn read(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Account>> {
    Account::get(cx, uuid).await
}

/// What the event handlers have seen.
#[aggregate]
pub struct Statement {
    pub lines: Vec<String>,
}

async fn note(cx: &mut Context, account: Uuid, line: String) -> Result<()> {
    match Statement::find_one(cx, account).await? {
        None => Statement::create_as(cx, account, Statement { lines: vec![line] }).await.map(|_| ()),
        Some(mut statement) => {
            statement.lines.push(line);
            statement.save(cx).await
        }
    }
}

#[event("AccountCreated")]
async fn opened(cx: &mut Context, event: AccountCreated) -> Result<()> {
    note(cx, event.uuid(), format!("{}: opened by {}", event.version(), event.owner)).await
}

#[event("Account.MoneyDeposited", "Account.MoneyWithdrawn")]
async fn moved(cx: &mut Context, event: Event<MoneyDeposited>) -> Result<()> {
    note(cx, event.uuid(), format!("{}: {} {}", event.version(), event.name(), event.amount)).await
}

#[event("AccountUpdated.owner")]
async fn renamed(cx: &mut Context, event: AccountUpdated) -> Result<()> {
    note(cx, event.uuid(), format!("{}: now of {}", event.version(), event.get::<String>("owner")?.unwrap_or_default())).await
}

#[event("AccountDeleted")]
async fn closed(cx: &mut Context, event: AccountDeleted) -> Result<()> {
    note(cx, event.uuid(), format!("{}: closed", event.version())).await
}

#[query(GET "/statements/{uuid}")]
async fn statement(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Statement>> {
    Statement::get(cx, uuid).await
}
