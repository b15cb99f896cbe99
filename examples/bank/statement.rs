//! What customers see: the last movements of an account, kept from its events.

use crate::account::{AccountCreated, MoneyDeposited, MoneyWithdrawn};
use minos::prelude::*;

/// How many movements a statement has.
const LINES: usize = 10;

/// The statement of an account.
#[document]
pub struct Statement {
    pub owner: Uuid,
    pub cents: i64,
    pub movements: u32,
    pub lines: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
pub struct Line {
    at: Timestamp,
    cents: i64,
    text: String,
}

impl Statement {
    fn add(&mut self, at: Timestamp, cents: i64, text: &str) {
        self.cents += cents;
        self.movements += 1;
        self.lines.insert(0, Line { at, cents, text: text.to_owned() });
        self.lines.truncate(LINES);
    }
}

#[projection]
impl Statement {
    #[event("AccountCreated")]
    async fn opened(view: &mut View<Self>, event: AccountCreated) -> Result<()> {
        view.put(event.uuid(), Statement { owner: event.owner, cents: 0, movements: 0, lines: Vec::new() });
        Ok(())
    }

    #[event("Account.MoneyDeposited")]
    async fn deposited(view: &mut View<Self>, event: Event<MoneyDeposited>) -> Result<()> {
        view.update(event.uuid(), |statement| statement.add(event.at(), event.cents, &event.text)).await
    }

    #[event("Account.MoneyWithdrawn")]
    async fn withdrawn(view: &mut View<Self>, event: Event<MoneyWithdrawn>) -> Result<()> {
        view.update(event.uuid(), |statement| statement.add(event.at(), -event.cents, &event.text)).await
    }
}

#[query(GET "/statements/{uuid}")]
async fn statement(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Option<Statement>> {
    Statement::get(cx, uuid).await
}

/// The customers of whom the bank should ask how they are.
#[query(GET "/statements/overdrawn")]
async fn overdrawn(cx: &Context) -> Result<Vec<Statement>> {
    Statement::find(cx, Statement::cents().lt(0_i64)).order_by(Statement::cents()).limit(100).list().await
}
