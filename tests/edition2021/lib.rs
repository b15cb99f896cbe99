//! A caller of the edition before this one: what the macros write has to mean the same there.

#![cfg(test)]

use minos::prelude::*;

#[aggregate]
pub struct Account {
    pub owner: String,
    pub balance: u64,
    pub bank: Option<Ref<Bank>>,
}

#[aggregate_ref]
pub struct Bank {
    pub name: String,
}

#[aggregate]
impl Account {
    #[event("MoneyDeposited")]
    fn deposited(&mut self, amount: u64) {
        self.balance += amount;
    }

    pub fn deposit(&mut self, amount: u64) -> Result<()> {
        ensure!(amount > 0, "nothing");
        self.deposited(amount);
        Ok(())
    }

    pub async fn deposit_later(&mut self, amount: u64) -> Result<()> {
        std::future::ready(()).await;
        self.deposit(amount)
    }
}

#[message("Gen", reply = u64, key = gen)]
pub struct Gen {
    /// A word of the next edition.
    pub gen: u64,
}

#[derive(Debug, minos::Problem)]
#[problem(status = 409)]
pub struct Full;
impl std::fmt::Display for Full {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("full")
    }
}
impl std::error::Error for Full {}

#[command("Open", POST "/accounts/{owner}")]
async fn open(cx: &mut Context, Path(owner): Path<String>, gen: Gen) -> Result<u64> {
    let mut account = Account::create(cx, Account { owner, balance: 0, bank: None }).await?;
    account.deposit_later(gen.gen).await?;
    account.save(cx).await?;
    Ok(Account::get(cx, account.uuid()).await?.balance)
}

#[query("Fill")]
async fn fill() -> Result<()> {
    Err(Full)?
}

#[event("AccountCreated")]
async fn opened(_cx: &mut Context, event: AccountCreated) -> Result<()> {
    ensure!(!event.owner.is_empty(), "nobody");
    Ok(())
}

#[periodic("0 * * * *")]
async fn every_hour(_cx: &mut Context) {}

saga! {
    pub Generate { start: u64 }

    remote first -> gen: u64 {
        on_execute: |saga| Gen { gen: saga.start },
        on_success: positive,
        on_error: |_saga, error| if error.is_transient() { Err(error) } else { Ok(0) },
        on_failure: |saga| Gen { gen: saga.gen },
    }
    when |saga| saga.gen > 3 {
        local note -> r#async: u64 {
            on_execute: async |_cx, saga| Ok(saga.gen),
        }
    }
}

fn positive(saga: &generate::FirstDone) -> Result<()> {
    ensure!(saga.gen > 0, "nothing");
    Ok(())
}

#[minos::main(worker_threads = 1)]
async fn serve() -> Result<()> {
    let text = "[service]\nname = \"edition\"\n[http]\naddr = \"127.0.0.1:0\"\n[store]\nurl = \"memory:\"\n[log]\nlevel = \"off\"";
    let running = Service::from_toml(text)?.start().await?;
    let opened = running.call("Open", &serde_json::json!({ "owner": "ada", "gen": 3 })).await?;
    assert_eq!(opened.body(), "3");
    assert_eq!(running.call("Fill", &()).await.err().map(|error| error.status().as_u16()), Some(409));
    assert_eq!((Gen::NAME, Gen { gen: 1 }.key()), ("Gen", Some("1".to_owned())));
    running.stop().await;
    Ok(())
}

#[test]
fn everything_compiles_and_runs() {
    assert_eq!(serve(), std::process::ExitCode::SUCCESS);
}
