//! What a participant makes of attempts in every order: sent by hand, as a coordinator that crashes, repeats itself and is late would.

use crate::{
    bank::{Script, Trouble},
    common::until,
    ends::World,
};
use minos::{
    message::{Direction, Envelope, StepCall},
    prelude::*,
    store::{Cause, InboxRow, SETTLED, Unit},
};
use serde_json::json;

struct Sender {
    world: World,
    execution: Uuid,
}

impl Sender {
    async fn with(script: Script) -> Self {
        Sender { world: World::with(script).await, execution: Uuid::now_v7() }
    }

    /// Sends one attempt, and waits until it is answered.
    async fn send(&self, direction: Direction, attempt: u32) {
        let step = if direction == Direction::Undo { "undo give" } else { "give" };
        let amount = if direction == Direction::Undo { -30 } else { 30 };
        let content = json!({ "step": step, "account": self.world.to, "amount": amount }).to_string();
        let cause = Cause { correlation: self.execution, causation: self.execution, user: None, trace: None };
        let at = minos::prelude::Timestamp::now();
        let mut message = Envelope::request(Uuid::now_v7(), "Move", Some(self.execution.to_string()), content, at, cause.clone());
        message.saga = Some(StepCall::new(self.execution, "MoveMoney", "give", direction, attempt));
        message.reply_to = Some("teller.sagas".to_owned());
        let store = self.world.teller.store();
        store.commit(Unit { messages: vec![message.into_row().unwrap()], ..Unit::new(at, cause) }).await.unwrap();
        until("it is handled", async || store.outbox(0, 1).await.unwrap().is_empty()).await;
    }

    async fn row(&self, undo: &str) -> Option<InboxRow> {
        let key = format!("saga {}/give{undo}", self.execution);
        self.world.bank.store().handled("bank::move_money", &key).await.unwrap()
    }

    async fn expect(self, runs: &[&str], balance: i64) {
        assert_eq!(self.world.runs(), runs);
        assert_eq!(self.world.balances().await.1, balance);
        assert!(self.world.bank.dead_letters().list().await.unwrap().is_empty());
        self.world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f36_a_cancellation_that_overtakes_its_request_leaves_a_tombstone() {
    let sender = Sender::with(Script::default()).await;
    sender.send(Direction::Cancel, 1).await;
    assert_eq!(sender.row("").await, Some(InboxRow { version: SETTLED, answer: Some("cancelled".to_owned()) }));
    for attempt in [1, 2] {
        sender.send(Direction::Execute, attempt).await;
    }
    sender.send(Direction::Cancel, 2).await;
    sender.expect(&[], 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_is_done_once_however_often_it_is_asked_for() {
    let sender = Sender::with(Script::default()).await;
    for attempt in [1, 1, 2, 1] {
        sender.send(Direction::Execute, attempt).await;
    }
    let row = sender.row("").await.unwrap();
    assert!(row.version == SETTLED && row.answer.as_ref().unwrap().contains("130"), "{row:?}");
    sender.send(Direction::Cancel, 1).await;
    assert_eq!(sender.row("").await.unwrap(), row, "what was done cannot be cancelled");
    for attempt in [1, 1, 2] {
        sender.send(Direction::Undo, attempt).await;
    }
    sender.expect(&["give", "undo give"], 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_final_for_its_attempt_and_those_before() {
    let sender =
        Sender::with(Script::default().with("give", &[Trouble::Refuse, Trouble::Panic]).with("undo give", &[Trouble::Refuse])).await;
    sender.send(Direction::Execute, 2).await;
    let refused = sender.row("").await.unwrap();
    assert!(refused.version == 2 && refused.answer.as_ref().unwrap().contains("refuses"), "{refused:?}");
    for late in [2, 1] {
        sender.send(Direction::Execute, late).await;
    }
    assert_eq!(sender.world.runs(), ["give"], "attempts that were answered do nothing");
    for next in [3, 4] {
        sender.send(Direction::Execute, next).await;
    }
    assert_eq!(sender.row("").await.unwrap().version, SETTLED);
    sender.send(Direction::Undo, 1).await;
    assert_eq!(sender.row(" undo").await.unwrap().version, 1);
    sender.send(Direction::Undo, 2).await;
    assert_eq!(sender.row(" undo").await.unwrap().version, SETTLED);
    sender.expect(&["give", "give", "give", "undo give", "undo give"], 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_can_be_cancelled_and_what_cannot_be_read_is_answered() {
    let sender = Sender::with(Script::default().with("give", &[Trouble::Refuse])).await;
    sender.send(Direction::Execute, 1).await;
    sender.send(Direction::Cancel, 1).await;
    sender.send(Direction::Execute, 2).await;
    assert_eq!(sender.row("").await.unwrap().answer.as_deref(), Some("cancelled"));
    sender.expect(&["give"], 100).await;
}
