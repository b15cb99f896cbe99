//! The bank: accounts, and what goes wrong with them when a test says so.

use minos::prelude::*;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::Notify;

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
    /// Waits until the test says how it goes on.
    Hold,
}

/// What goes wrong, by step, and how often each step was run.
#[derive(Default, Clone)]
pub struct Script(Arc<Mutex<Plan>>, Arc<Notify>);

#[derive(Default)]
struct Plan {
    troubles: HashMap<String, Vec<Trouble>>,
    released: HashMap<String, bool>,
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

    /// The step that is held does its work, or refuses.
    pub fn release(&self, step: &str, works: bool) {
        self.0.lock().unwrap().released.insert(step.to_owned(), works);
        self.1.notify_waiters();
    }

    async fn held(&self, step: &str) -> bool {
        loop {
            let told = self.1.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            if let Some(works) = self.0.lock().unwrap().released.remove(step) {
                return works;
            }
            told.await;
        }
    }

    /// Forgets what was run.
    pub fn forget(&self) {
        self.0.lock().unwrap().runs.clear();
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
            Some(Trouble::Hold) if self.held(step).await => Ok(()),
            Some(Trouble::Refuse | Trouble::Hold) => Err(Error::rejected(format!("`{step}` refuses"))),
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

/// Writes it as it is: refused while a saga holds it.
#[command(POST "/accounts/{uuid}/touch")]
async fn touch(cx: &mut Context, Path(uuid): Path<Uuid>) -> Result<()> {
    let mut account = Account::get(cx, uuid).await?;
    account.balance += 1;
    account.save(cx).await?;
    account.balance -= 1;
    account.save(cx).await
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

/// As `Move`, of which those for different accounts do not wait for each other.
#[message("MoveBeside", reply = i64, key = account)]
pub struct MoveBeside {
    pub step: String,
    pub account: Uuid,
    pub amount: i64,
}

#[command("MoveBeside")]
async fn move_beside(cx: &mut Context, input: Move) -> Result<i64> {
    move_money(cx, input).await
}

saga! {
    /// Moves money within the bank, in two steps.
    pub MoveInside { from: Uuid, to: Uuid, amount: i64 }

    local take_inside -> left: i64 {
        on_execute: async |cx, saga| change(cx, "take inside", saga.from, -saga.amount).await,
        on_failure: async |cx, saga| change(cx, "undo take inside", saga.from, saga.amount).await.map(|_| ()),
    }

    local give_inside -> had: i64 {
        on_execute: async |cx, saga| change(cx, "give inside", saga.to, saga.amount).await,
        on_failure: async |cx, saga| change(cx, "undo give inside", saga.to, -saga.amount).await.map(|_| ()),
    }
}

async fn change(cx: &mut Context, step: &str, account: Uuid, amount: i64) -> Result<i64> {
    move_money(cx, Move { step: step.to_owned(), account, amount }).await
}

/// A step of the saga of another service, which is a saga itself.
#[message("MoveAllInside", reply = i64)]
pub struct MoveAllInside {
    pub from: Uuid,
    pub to: Uuid,
    pub amount: i64,
    pub patience: u64,
}

#[command("MoveAllInside")]
async fn move_all_inside(cx: &mut Context, input: MoveAllInside) -> Result<i64> {
    let MoveAllInside { from, to, amount, patience } = input;
    cx.resource::<Script>()?.clone().play("inside").await?;
    Ok(cx.run(MoveInside { from, to, amount }).within(Duration::from_millis(patience)).await?.had)
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
