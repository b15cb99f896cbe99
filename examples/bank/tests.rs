//! The rules of accounts, as the domain says them; then the service as a whole.

use crate::account::{self, Account, AccountFrozen, MoneyDeposited, MoneyWithdrawn, Status, Transfer};
use minos::{
    prelude::*,
    testing::{Changed, TestRunning, TestService, given},
};
use serde_json::{Value, json};
use std::time::Duration;

minos::events_lock!("examples/bank/events.lock");

fn account(cents: i64, limit: i64) -> Account {
    Account { owner: Uuid::from_u128(1), iban: "DE02120300000000202051".to_owned(), cents, limit, status: Status::Open }
}

async fn withdraw(cx: &mut Context, uuid: Uuid, cents: i64) -> Result<i64> {
    account::withdraw(cx, Path(uuid), account::Money { cents, text: "rent".to_owned() }).await
}

#[test]
fn what_is_withdrawn_is_less() {
    given::<Account>()
        .created(account(0, 0))
        .happened(MoneyDeposited { cents: 100, text: "wages".to_owned() })
        .when(async |cx, uuid| withdraw(cx, uuid, 70).await)
        .then(MoneyWithdrawn { cents: 70, text: "rent".to_owned() })
        .answered(&30);
}

#[test]
fn nobody_has_less_than_the_limit() {
    given::<Account>().created(account(10, 50)).when(async |cx, uuid| withdraw(cx, uuid, 60).await).answered(&-50);
    given::<Account>()
        .created(account(10, 50))
        .when(async |cx, uuid| withdraw(cx, uuid, 61).await)
        .rejected("insufficient funds: there are 10 cents, and a limit of 50");
}

#[test]
fn what_is_frozen_stays_as_it_is() {
    let frozen = || given::<Account>().created(account(10, 0)).happened(AccountFrozen { reason: "a court".to_owned() });
    frozen().when(async |cx, uuid| withdraw(cx, uuid, 1).await).rejected("the account is frozen");
    frozen().when(async |cx, uuid| account::freeze(cx, Path(uuid), "again".to_owned()).await).then(());
}

#[test]
fn a_limit_has_limits() {
    let limit = async |cx: &mut Context, uuid: Uuid, limit: i64| -> Result<()> {
        let mut account = Account::get(cx, uuid).await?;
        account.limit = limit;
        account.save(cx).await
    };
    given::<Account>().created(account(0, 0)).when(async |cx, uuid| limit(cx, uuid, 500).await).then(Changed(json!({ "limit": 500 })));
    let error = given::<Account>().created(account(0, 0)).when(async |cx, uuid| limit(cx, uuid, -1).await).error();
    assert_eq!(error.kind(), ErrorKind::Rejected);
}

#[test]
fn a_transfer_is_both_or_nothing() {
    let other = Uuid::from_u128(7);
    given::<Account>()
        .created(account(100, 0))
        .happened_by(async move |cx| {
            let account = Account { iban: "DE02500105170137075030".to_owned(), ..account(0, 0) };
            Account::create_as(cx, other, account).await.map(|_| ())
        })
        .when(async move |cx, uuid| account::transfer(cx, Transfer { from: uuid, to: other, cents: 40 }).await)
        .then((
            MoneyWithdrawn { cents: 40, text: "to DE02500105170137075030".to_owned() },
            MoneyDeposited { cents: 40, text: "from DE02120300000000202051".to_owned() },
        ));
}

#[test]
fn two_accounts_have_two_numbers() {
    let error = given::<Account>().created(account(0, 0)).when(async |cx, _| Account::create(cx, account(0, 0)).await.map(|_| ())).error();
    assert_eq!(error.to_string(), "there is another Account with this `iban`");
}

/// The service as it runs, in memory.
async fn bank() -> Result<TestRunning> {
    TestService::whole().service(crate::service()?).start().await
}

async fn customer(bank: &TestRunning, name: &str) -> Result<Uuid> {
    bank.post("/customers", json!({ "name": name, "email": format!("{name}@example.org") })).await?.json()
}

async fn opened(bank: &TestRunning, owner: Uuid, iban: &str) -> Result<Uuid> {
    bank.post("/accounts", json!({ "owner": owner, "iban": iban })).await?.json()
}

async fn deposit(bank: &TestRunning, account: Uuid, cents: i64) -> Result<i64> {
    bank.post(format!("/accounts/{account}/deposits"), json!({ "cents": cents, "text": "wages" })).await?.json()
}

#[tokio::test]
async fn the_statement_shows_what_was_answered() -> Result<()> {
    let bank = bank().await?;
    let ann = opened(&bank, customer(&bank, "ann").await?, "DE02120300000000202051").await?;
    assert_eq!(deposit(&bank, ann, 5).await?, 5);
    bank.wait(Duration::from_secs(3600)).await?;
    assert_eq!(deposit(&bank, ann, 7).await?, 12);
    let statement: Value = bank.get(format!("/statements/{ann}")).await?.json()?;
    assert_eq!((&statement["cents"], &statement["movements"]), (&json!(12), &json!(2)));
    assert_eq!(statement["lines"][0], json!({ "at": "2000-01-01T01:00:00Z", "cents": 7, "text": "wages" }));
    Ok(())
}

#[tokio::test]
async fn a_transfer_is_both_movements_or_none() -> Result<()> {
    let bank = bank().await?;
    let (owner_of_ann, owner_of_bob) = (customer(&bank, "ann").await?, customer(&bank, "bob").await?);
    let ann = opened(&bank, owner_of_ann, "DE02120300000000202051").await?;
    let bob = opened(&bank, owner_of_bob, "DE02500105170137075030").await?;
    deposit(&bank, ann, 100).await?;
    let transfer = |cents: i64| bank.post("/transfers", json!({ "from": ann, "to": bob, "cents": cents }));
    transfer(40).await?.ok()?;
    let refused = transfer(61).await?;
    assert_eq!(
        (refused.status().as_u16(), refused.problem().as_deref()),
        (422, Some("insufficient funds: there are 60 cents, and a limit of 0"))
    );
    bank.settled().await?;
    for (account, cents) in [(ann, 60), (bob, 40)] {
        let statement: Value = bank.get(format!("/statements/{account}")).await?.json()?;
        assert_eq!(statement["cents"], cents);
    }
    let found: Value = bank.get("/accounts?below=50").await?.json()?;
    assert_eq!(found["items"][0]["owner"], json!(owner_of_bob), "{found}");
    Ok(())
}

#[tokio::test]
async fn who_is_forgotten_has_no_name_any_more() -> Result<()> {
    let bank = bank().await?;
    let ann = customer(&bank, "ann").await?;
    let account = opened(&bank, ann, "DE02120300000000202051").await?;
    let name = async || bank.get(format!("/customers/{ann}/name")).await?.json::<Option<String>>();
    assert_eq!(name().await?.as_deref(), Some("ann"));
    deposit(&bank, account, 5).await?;
    let forget = async || bank.delete(format!("/customers/{ann}/data")).await;
    assert_eq!(forget().await?.problem().as_deref(), Some("accounts of this customer that are not at zero: 1"));
    bank.post(format!("/accounts/{account}/withdrawals"), json!({ "cents": 5, "text": "the last" })).await?.ok()?;
    forget().await?.ok()?;
    assert_eq!(name().await?, None);
    // What happened stays, and so does what it was.
    let history: Vec<Value> = bank.get(format!("/accounts/{account}/history")).await?.json()?;
    assert_eq!(history.len(), 3);
    let before: Value = bank.get(format!("/accounts/{account}/versions/2")).await?.json()?;
    assert_eq!(before["cents"], 5, "{before}");
    bank.settled().await
}
