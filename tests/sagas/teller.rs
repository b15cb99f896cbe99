//! The teller: moves money from one account of the bank to another.

use crate::bank::{Confirm, Move, MoveAllInside, MoveBeside, Script};
use minos::prelude::*;

#[aggregate]
pub struct Transfer {
    pub amount: i64,
}

saga! {
    /// Moves money: it is taken, given, noted, confirmed, and told.
    pub MoveMoney { from: Uuid, to: Uuid, amount: i64 }

    remote take -> left: i64 {
        on_execute: |saga| Move { step: "take".into(), account: saga.from, amount: -saga.amount },
        on_failure: |saga| Move { step: "undo take".into(), account: saga.from, amount: saga.amount },
        timeout: "15s",
    }

    remote give -> had: i64 {
        on_execute: |saga| Move { step: "give".into(), account: saga.to, amount: saga.amount },
        on_failure: |saga| Move { step: "undo give".into(), account: saga.to, amount: -saga.amount },
        timeout: "15s",
    }

    local note -> transfer: Uuid {
        on_execute: async |cx, saga| {
            cx.resource::<Script>()?.clone().play("note").await?;
            Ok(Transfer::create(cx, Transfer { amount: saga.amount }).await?.uuid())
        },
        on_failure: async |cx, saga| {
            let script = cx.resource::<Script>()?.clone();
            script.began(cx.id());
            script.play("undo note").await?;
            Transfer::get(cx, saga.transfer).await?.delete(cx).await
        },
    }

    pivot remote confirm {
        on_execute: |saga| Confirm { step: "confirm".into(), amount: saga.amount },
        timeout: "15s",
    }

    retriable remote tell {
        on_execute: |saga| Confirm { step: "tell".into(), amount: saga.amount },
        timeout: "15s",
        retry: { attempts: 20, first_pause: "10ms", longest_pause: "50ms" },
    }
}

saga! {
    /// Moves money, of which nobody sees half.
    #[isolated]
    pub MoveAtOnce { from: Uuid, to: Uuid, amount: i64 }

    remote take -> left: i64 {
        on_execute: |saga| Move { step: "take".into(), account: saga.from, amount: -saga.amount },
        timeout: "15s",
        retry: { attempts: 20, first_pause: "50ms", longest_pause: "500ms" },
    }

    remote give -> had: i64 {
        on_execute: |saga| Move { step: "give".into(), account: saga.to, amount: saga.amount },
        timeout: "15s",
        retry: { attempts: 20, first_pause: "50ms", longest_pause: "500ms" },
    }

    local note -> transfer: Uuid {
        on_execute: async |cx, saga| Ok(Transfer::create(cx, Transfer { amount: saga.amount }).await?.uuid()),
    }

    remote confirm {
        on_execute: |saga| Confirm { step: "confirm".into(), amount: saga.amount },
        timeout: "15s",
    }
}

#[derive(Deserialize)]
pub struct OrderedAtOnce {
    key: String,
    transfer: MoveAtOnce,
}

#[command(POST "/orders/at-once")]
async fn order_at_once(cx: &mut Context, input: OrderedAtOnce) -> Result<Uuid> {
    cx.start(input.transfer).key(input.key).await
}

saga! {
    /// Gives money, and does not wait long.
    pub GiveQuickly { to: Uuid, amount: i64 }

    remote give -> had: i64 {
        on_execute: |saga| Move { step: "give".into(), account: saga.to, amount: saga.amount },
        on_failure: |saga| Move { step: "undo give".into(), account: saga.to, amount: -saga.amount },
        timeout: "300ms",
    }
}

saga! {
    /// Gives money to two at once, and notes it beside.
    pub GiveBoth { one: Uuid, other: Uuid, amount: i64 }

    parallel {
        remote left -> left_had: i64 {
            on_execute: |saga| MoveBeside { step: "left".into(), account: saga.one, amount: saga.amount },
            on_failure: |saga| MoveBeside { step: "undo left".into(), account: saga.one, amount: -saga.amount },
        }
        remote right -> right_had: i64 {
            on_execute: |saga| MoveBeside { step: "right".into(), account: saga.other, amount: saga.amount },
            on_failure: |saga| MoveBeside { step: "undo right".into(), account: saga.other, amount: -saga.amount },
        }
        local beside -> transfer: Uuid {
            on_execute: async |cx, saga| {
                cx.resource::<Script>()?.clone().play("beside").await?;
                Ok(Transfer::create(cx, Transfer { amount: saga.amount }).await?.uuid())
            },
            on_failure: async |cx, saga| {
                cx.resource::<Script>()?.clone().play("undo beside").await?;
                Transfer::get(cx, saga.transfer).await?.delete(cx).await
            },
        }
    }
}

#[command(POST "/both")]
async fn give_both(cx: &mut Context, input: GiveBoth) -> Result<Uuid> {
    cx.start(input).await
}

saga! {
    /// Moves money by a step that is a saga of the bank.
    pub MoveNested { from: Uuid, to: Uuid, amount: i64, patience: u64 }

    remote inside -> had: i64 {
        on_execute: |saga| MoveAllInside { from: saga.from, to: saga.to, amount: saga.amount, patience: saga.patience },
        on_failure: |saga| MoveAllInside { from: saga.to, to: saga.from, amount: saga.amount, patience: saga.patience },
        timeout: "30s",
    }

    pivot remote confirm_nested {
        on_execute: |saga| Confirm { step: "confirm".into(), amount: saga.amount },
        timeout: "30s",
    }
}

saga! {
    /// Moves money by a local step that runs another saga, and waits for it only this many milliseconds at once.
    pub MoveAround { from: Uuid, to: Uuid, amount: i64, patience: u64 }

    local around {
        on_execute: async |cx, saga| {
            cx.resource::<Script>()?.clone().play("around").await?;
            let inner = MoveMoney { from: saga.from, to: saga.to, amount: saga.amount };
            cx.run(inner).within(std::time::Duration::from_millis(saga.patience)).await.map(|_| ())
        },
    }
}

#[command(POST "/around")]
async fn move_around(cx: &mut Context, input: MoveAround) -> Result<Uuid> {
    cx.start(input).await
}

#[command(POST "/nested")]
async fn move_nested(cx: &mut Context, input: MoveNested) -> Result<Uuid> {
    cx.start(input).await
}

#[command(POST "/quick")]
async fn give_quickly(cx: &mut Context, input: GiveQuickly) -> Result<i64> {
    Ok(cx.run(input).await?.had)
}

#[command(POST "/quick/start")]
async fn start_quickly(cx: &mut Context, input: GiveQuickly) -> Result<Uuid> {
    cx.start(input).await
}

#[derive(Deserialize)]
pub struct QuicklyOrdered {
    key: String,
    give: GiveQuickly,
}

#[command(POST "/quick/orders")]
async fn order_quickly(cx: &mut Context, input: QuicklyOrdered) -> Result<Uuid> {
    cx.start(input.give).key(input.key).await
}

saga! {
    /// Orders what somebody else may have ordered.
    pub OrderWithin { key: String, transfer: MoveMoney }

    local order_it -> order: Uuid {
        on_execute: async |cx, saga| {
            let order = cx.start(saga.transfer.clone()).key(&saga.key).await?;
            cx.resource::<Script>()?.clone().play("order it").await?;
            Ok(order)
        },
    }
}

#[command(POST "/orders/within")]
async fn order_within(cx: &mut Context, input: OrderWithin) -> Result<Uuid> {
    Ok(cx.run(input).await?.order)
}

#[command(POST "/transfers")]
async fn transfer(cx: &mut Context, input: MoveMoney) -> Result<Uuid> {
    Ok(cx.run(input).await?.transfer)
}

#[derive(Deserialize)]
pub struct Ordered {
    key: String,
    transfer: MoveMoney,
}

#[command(POST "/orders")]
async fn order(cx: &mut Context, input: Ordered) -> Result<Uuid> {
    cx.start(input.transfer).key(input.key).await
}

#[command(POST "/orders/done")]
async fn ordered(cx: &mut Context, input: Ordered) -> Result<Uuid> {
    Ok(cx.run(input.transfer).key(input.key).await?.transfer)
}

#[derive(Deserialize)]
pub struct OrderedTwice {
    key: String,
    transfers: [MoveMoney; 2],
}

/// Two orders of one key by one handler.
#[command(POST "/orders/twice")]
async fn order_twice(cx: &mut Context, input: OrderedTwice) -> Result<(Uuid, Uuid)> {
    let [first, second] = input.transfers;
    Ok((cx.start(first).key(&input.key).await?, cx.start(second).key(&input.key).await?))
}
