//! Given what happened, when this is done, then that happens.

use minos::{
    prelude::*,
    testing::{Changed, CreatedAs, Gone, given},
};
use serde_json::json;
use std::time::Duration;

#[aggregate]
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    pub owner: String,
    pub balance: i64,
    pub since: Timestamp,
}

#[aggregate]
impl Account {
    #[event("MoneyDeposited")]
    fn deposited(&mut self, amount: i64) {
        self.balance += amount;
    }

    #[event("MoneyWithdrawn")]
    fn withdrawn(&mut self, amount: i64) {
        self.balance -= amount;
    }

    pub fn withdraw(&mut self, amount: i64) -> Result<()> {
        ensure!(self.balance >= amount, "insufficient funds: there are {}", self.balance);
        self.withdrawn(amount);
        Ok(())
    }
}

#[aggregate]
#[derive(Clone, Debug)]
pub struct Owner {
    pub name: Sensitive<String>,
    pub city: String,
}

#[aggregate]
impl Owner {
    #[event("OwnerMoved")]
    fn moved(&mut self, city: Sensitive<String>) {
        self.city = city.into_exposed().unwrap_or_default();
    }
}

#[test]
fn what_is_sensitive_is_compared_by_its_value() {
    let ada = || Owner { name: "Ada".into(), city: "London".to_owned() };
    given::<Owner>()
        .when(async |cx, uuid| Owner::create_as(cx, uuid, ada()).await.map(|_| ()))
        .then(CreatedAs(ada()))
        .state(|owner| assert_eq!(owner.name.expose().map(String::as_str), Some("Ada")));
    let renamed = async |cx: &mut Context, uuid| {
        let mut owner = Owner::get(cx, uuid).await?;
        owner.name.set("Ann");
        owner.moved("York".into());
        owner.save(cx).await
    };
    given::<Owner>().created(ada()).when(renamed).then((Changed(json!({ "name": "Ann" })), OwnerMoved { city: "York".into() }));
    given::<Owner>()
        .created(ada())
        .when(async |cx, uuid| cx.forget_subject(uuid).await)
        .answered(&true)
        .then(())
        .state(|owner| assert!(owner.name.is_forgotten() && owner.city == "London"));
}

#[message("Notify")]
pub struct Notify {
    pub owner: String,
    pub text: String,
}

async fn open(cx: &mut Context, owner: &str) -> Result<Uuid> {
    let since = cx.now();
    Ok(Account::create(cx, Account { owner: owner.to_owned(), balance: 0, since }).await?.uuid())
}

async fn withdraw(cx: &mut Context, uuid: Uuid, amount: i64) -> Result<i64> {
    let mut account = Account::get(cx, uuid).await?;
    account.withdraw(amount)?;
    if account.balance < 5 {
        cx.send(Notify { owner: account.owner.clone(), text: "it is low".to_owned() })?;
    }
    account.save(cx).await?;
    Ok(account.balance)
}

async fn rename(cx: &mut Context, uuid: Uuid, owner: &str) -> Result<()> {
    let mut account = Account::get(cx, uuid).await?;
    account.owner = owner.to_owned();
    account.save(cx).await
}

fn ann() -> Account {
    Account { owner: "ann".to_owned(), balance: 10, since: Timestamp::UNIX_EPOCH }
}

#[test]
fn what_is_done_is_compared() {
    given::<Account>()
        .created(ann())
        .happened(MoneyDeposited { amount: 5 })
        .changed(|account| account.owner = "bob".to_owned())
        .when(async |cx, account| withdraw(cx, account, 12).await)
        .then(MoneyWithdrawn { amount: 12 })
        .sent([Notify { owner: "bob".to_owned(), text: "it is low".to_owned() }])
        .answered(&3)
        .state(|account| assert_eq!((account.balance, account.version()), (3, 4)));
}

#[test]
fn what_a_rule_refuses_leaves_nothing() {
    let then = given::<Account>().created(ann()).when(async |cx, account| withdraw(cx, account, 11).await);
    then.rejected("insufficient funds: there are 10").state(|account| assert_eq!(**account, ann()));
}

#[test]
fn several_events_and_those_that_every_aggregate_has() {
    given::<Account>()
        .created(ann())
        .when(async |cx, account| {
            rename(cx, account, "cid").await?;
            withdraw(cx, account, 1).await?;
            Account::get(cx, account).await?.delete(cx).await
        })
        .then((Changed(json!({ "owner": "cid" })), MoneyWithdrawn { amount: 1 }, Gone));
    given::<Account>().created(ann()).when(async |cx, account| rename(cx, account, "ann").await).then(());
}

#[test]
fn clocks_and_uuids_are_the_same_each_time() {
    let opened = || {
        given::<Account>()
            .after(Duration::from_secs(60))
            .when(async |cx, _| open(cx, "eve").await)
            .then(CreatedAs(Account { owner: "eve".to_owned(), balance: 0, since: "2000-01-01T00:01:00Z".parse().unwrap() }))
            .answer()
    };
    assert_eq!(opened(), opened());
}

#[test]
fn what_is_not_there_is_told_by_its_kind() {
    let error = given::<Account>().created(ann()).deleted().when(async |cx, account| withdraw(cx, account, 1).await).error();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
#[should_panic = "Account had other events than expected\nexpected:\n  MoneyDeposited {\"amount\":1}\n\nactual:\n  MoneyWithdrawn {\"amount\":1}\n"]
fn a_difference_is_told_line_by_line() {
    let then = given::<Account>().created(ann()).when(async |cx, account| withdraw(cx, account, 1).await);
    let _ = then.then(MoneyDeposited { amount: 1 });
}

#[test]
#[should_panic = "it failed: insufficient funds: there are 10"]
fn a_failure_is_told_where_events_were_expected() {
    let _ = given::<Account>().created(ann()).when(async |cx, account| withdraw(cx, account, 99).await).then(());
}
