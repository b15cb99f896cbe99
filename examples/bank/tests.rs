//! The rules of accounts, as the domain says them; then the service as a whole.

use crate::account::{self, Account, AccountFrozen, MoneyDeposited, MoneyWithdrawn, Status, Transfer};
use minos::{
    prelude::*,
    testing::{Changed, given},
};
use serde_json::{Value, json};

minos::events_lock!("examples/bank/events.lock");

fn account(cents: i64, limit: i64) -> Account {
    Account { owner: "ann".to_owned(), iban: "DE02120300000000202051".to_owned(), cents, limit, status: Status::Open }
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

#[tokio::test]
async fn the_statement_shows_what_was_answered() {
    let config = "service.name = \"bank\"\nhttp.addr = \"127.0.0.1:0\"\nstore.url = \"memory:\"\nlog.level = \"error\"";
    let running = Service::from_toml(config).unwrap().start().await.unwrap();
    let opened = running.call("OpenAccount", &json!({ "owner": "ann", "iban": "DE02120300000000202051" })).await.unwrap();
    let uuid: Uuid = serde_json::from_slice(opened.body()).unwrap();
    for cents in [5, 7] {
        running.call("Deposit", &json!({ "uuid": uuid, "cents": cents, "text": "wages" })).await.unwrap();
    }
    let statement = running.store().document("Statement", &uuid.to_string()).await.unwrap().unwrap();
    let statement: Value = serde_json::from_str(&statement.body).unwrap();
    assert_eq!((&statement["cents"], &statement["movements"], &statement["lines"][0]["cents"]), (&json!(12), &json!(2), &json!(7)));
    running.stop().await;
}
