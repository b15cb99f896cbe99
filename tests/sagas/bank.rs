//! The bank: accounts, and what goes wrong with them when a test says so.

use minos::prelude::*;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

#[aggregate]
pub struct Account {
    pub balance: i64,
}

/// What a step is to do instead of its work, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    Refuse,
    Fail,
    Panic,
    /// Does its work so long after it was asked.
    Sleep(u64),
}

/// What goes wrong, by step, and how often each step was run.
#[derive(Default, Clone)]
pub struct Script(Arc<Mutex<Plan>>);

#[derive(Default)]
struct Plan {
    troubles: HashMap<String, Vec<Trouble>>,
    runs: Vec<String>,
    ids: Vec<Uuid>,
    traces: Vec<Option<String>>,
}

impl Script {
    /// The step does this each time that it is run, one after the other, and then its work.
    pub fn with(self, step: &str, troubles: &[Trouble]) -> Self {
        self.0.lock().unwrap().troubles.insert(step.to_owned(), troubles.iter().rev().copied().collect());
        self
    }

    pub fn runs(&self) -> Vec<String> {
        self.0.lock().unwrap().runs.clone()
    }

    /// The ids under which local work was undone, one for each time that it was tried.
    pub fn ids(&self) -> Vec<Uuid> {
        self.0.lock().unwrap().ids.clone()
    }

    pub fn began(&self, id: Uuid) {
        self.0.lock().unwrap().ids.push(id);
    }

    /// The trace of each request that the bank was sent.
    pub fn traces(&self) -> Vec<Option<String>> {
        self.0.lock().unwrap().traces.clone()
    }

    fn traced(&self, trace: Option<minos::Trace>) {
        self.0.lock().unwrap().traces.push(trace.map(|trace| trace.to_string()));
    }

    pub async fn play(&self, step: &str) -> Result<()> {
        let trouble = {
            let mut plan = self.0.lock().unwrap();
            plan.runs.push(step.to_owned());
            plan.troubles.get_mut(step).and_then(Vec::pop)
        };
        match trouble {
            None => Ok(()),
            Some(Trouble::Refuse) => Err(Error::rejected(format!("`{step}` refuses"))),
            Some(Trouble::Fail) => Err(Error::unavailable(format!("`{step}` is not there"))),
            Some(Trouble::Panic) => panic!("`{step}` panics"),
            Some(Trouble::Sleep(millis)) => {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                Ok(())
            }
        }
    }
}

#[command("OpenAccount", POST "/accounts")]
async fn open(cx: &mut Context, balance: i64) -> Result<Uuid> {
    Ok(Account::create(cx, Account { balance }).await?.uuid())
}

#[query("GetAccount", GET "/accounts/{uuid}")]
async fn get(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Account>> {
    Account::get(cx, uuid).await
}

#[message("Move", reply = i64)]
pub struct Move {
    pub step: String,
    pub account: Uuid,
    pub amount: i64,
}

/// An amount that is given later than [`GiveQuickly`](crate::teller::GiveQuickly) waits for.
pub const SLOW: i64 = 17;

/// Puts so much into an account, or takes it out; answers its balance.
#[command("Move")]
async fn move_money(cx: &mut Context, input: Move) -> Result<i64> {
    let script = cx.resource::<Script>()?.clone();
    script.traced(cx.trace());
    script.play(&input.step).await?;
    if input.amount == SLOW && input.step == "give" {
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    let mut account = Account::get(cx, input.account).await?;
    account.balance += input.amount;
    ensure!(account.balance >= 0, "insufficient funds");
    let balance = account.balance;
    account.save(cx).await?;
    Ok(balance)
}

#[message("Confirm")]
pub struct Confirm {
    pub step: String,
    pub amount: i64,
}

/// Amounts that the bank never confirms.
pub const UNLUCKY: i64 = 13;

#[command("Confirm")]
async fn confirm(cx: &mut Context, input: Confirm) -> Result<()> {
    ensure!(input.amount != UNLUCKY || input.step != "confirm", "that brings bad luck");
    cx.resource::<Script>()?.clone().play(&input.step).await
}
