//! A shop and its stock, which hold what they work on: a participant and a coordinator for the tests of holds.

/// Opens a step that waits for it. Who waits has said so before.
#[derive(Clone, Default)]
pub struct Gates(std::sync::Arc<std::sync::Mutex<std::collections::HashMap<String, Gate>>>);

type Gate = std::sync::Arc<tokio::sync::Semaphore>;

impl Gates {
    fn gate(&self, name: &str) -> Gate {
        self.0.lock().unwrap().entry(name.to_owned()).or_insert_with(|| Gate::new(tokio::sync::Semaphore::new(0))).clone()
    }

    /// Lets so many pass.
    pub fn open(&self, name: &str, many: usize) {
        self.gate(name).add_permits(many);
    }

    /// Whether somebody could pass, who stays.
    pub fn is_open(&self, name: &str) -> bool {
        self.gate(name).available_permits() > 0
    }

    pub async fn pass(&self, name: &str) {
        self.gate(name).acquire().await.unwrap().forget();
    }
}

/// The participant.
pub mod stock {
    use super::Gates;
    use crate::bank::Script;
    use minos::prelude::*;

    /// Its state is kept as often as can be: no snapshot may hide who holds it.
    #[aggregate(snapshot(every = 1))]
    pub struct Item {
        pub count: i64,
    }

    #[command("OpenItem", POST "/items")]
    async fn open_item(cx: &mut Context, count: i64) -> Result<Uuid> {
        Ok(Item::create(cx, Item { count }).await?.uuid())
    }

    #[query(GET "/items/{uuid}")]
    async fn item(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Item>> {
        Item::get(cx, uuid).await
    }

    #[query(GET "/items/{uuid}/holder")]
    async fn holder(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Option<(String, Uuid, String, String)>> {
        let item = Item::get(cx, uuid).await?;
        Ok(item.held_by().map(|by| (by.saga.clone(), by.execution, by.service.clone(), by.step.clone())))
    }

    #[command(PUT "/items/{uuid}/count")]
    async fn count(cx: &mut Context, Path(uuid): Path<Uuid>, count: i64) -> Result<()> {
        let mut item = Item::get(cx, uuid).await?;
        item.count = count;
        item.save(cx).await
    }

    /// Reads, waits until it may go on, and writes.
    #[command(PUT "/items/{uuid}/slowly")]
    async fn count_slowly(cx: &mut Context, Path(uuid): Path<Uuid>, count: i64) -> Result<()> {
        let mut item = Item::get(cx, uuid).await?;
        let (script, gates) = (cx.resource::<Script>()?.clone(), cx.resource::<Gates>()?.clone());
        script.play("slowly").await?;
        gates.pass("slowly").await;
        item.count = count;
        item.save(cx).await
    }

    #[command("CountPatiently", PUT "/items/{uuid}/patiently")]
    async fn count_patiently(cx: &mut Context, Path(uuid): Path<Uuid>, count: i64) -> Result<()> {
        cx.resource::<Script>()?.clone().play("patiently").await?;
        let mut item = Item::get_when_free(cx, uuid).await?;
        item.count = count;
        item.save(cx).await
    }

    #[command(DELETE "/items/{uuid}")]
    async fn delete(cx: &mut Context, Path(uuid): Path<Uuid>) -> Result<()> {
        Item::get(cx, uuid).await?.delete(cx).await
    }

    #[command(POST "/items/{uuid}/hold")]
    async fn hold_without_a_saga(cx: &mut Context, Path(uuid): Path<Uuid>) -> Result<()> {
        Item::get(cx, uuid).await?.hold(cx)
    }

    #[message("Take", reply = i64)]
    pub struct Take {
        pub step: String,
        pub item: Uuid,
        pub amount: i64,
        pub hold: bool,
    }

    /// Takes so much, and holds the item if that is wanted. When it has written it may have to wait.
    #[command("Take")]
    async fn take(cx: &mut Context, input: Take) -> Result<i64> {
        let mut item = Item::get(cx, input.item).await?;
        item.count -= input.amount;
        let count = item.count;
        item.save(cx).await?;
        if input.hold {
            item.hold(cx)?;
            item.hold(cx)?;
        }
        let script = cx.resource::<Script>()?.clone();
        script.play(&input.step).await?;
        Ok(count)
    }

    #[message("TakeTurn", reply = i64, key = item)]
    pub struct TakeTurn {
        pub item: Uuid,
        pub name: String,
    }

    /// Takes one when nobody else holds the item. Its messages have the key of the item, so one that waits has the others of that item behind it.
    #[command("TakeTurn")]
    async fn take_turn(cx: &mut Context, input: TakeTurn) -> Result<i64> {
        cx.resource::<Script>()?.clone().play(&format!("{} asks", input.name)).await?;
        let mut item = Item::get_when_free(cx, input.item).await?;
        item.count -= 1;
        let count = item.count;
        item.hold(cx)?;
        item.save(cx).await?;
        Ok(count)
    }

    #[message("Pass")]
    pub struct Pass {
        pub gate: String,
    }

    #[command("Pass")]
    async fn pass(cx: &mut Context, input: Pass) -> Result<()> {
        let (script, gates) = (cx.resource::<Script>()?.clone(), cx.resource::<Gates>()?.clone());
        script.play(&input.gate).await?;
        gates.pass(&input.gate).await;
        script.play(&format!("{} passed", input.gate)).await
    }

    /// What events of items tell.
    #[event("ItemCreated", "ItemUpdated", "ItemDeleted")]
    async fn told(cx: &mut Context, event: Event<serde_json::Value>) -> Result<()> {
        cx.resource::<Script>()?.clone().play(&format!("{} {}", event.name(), event.version())).await
    }
}

/// The coordinator.
pub mod desk {
    use super::{
        Gates,
        stock::{Pass, Take, TakeTurn},
    };
    use crate::bank::Script;
    use minos::prelude::*;

    /// Its state is kept as often as can be: no snapshot may hide who holds it.
    #[aggregate(snapshot(every = 1))]
    pub struct Order {
        pub note: String,
    }

    #[command(POST "/orders")]
    async fn open_order(cx: &mut Context) -> Result<Uuid> {
        Ok(Order::create(cx, Order { note: "new".into() }).await?.uuid())
    }

    #[query(GET "/orders/{uuid}")]
    async fn order(cx: &Context, Path(uuid): Path<Uuid>) -> Result<(String, Option<String>)> {
        let order = Order::get(cx, uuid).await?;
        Ok((order.note.clone(), order.held_by().map(|by| by.step.clone())))
    }

    #[command(PUT "/orders/{uuid}/note")]
    async fn note(cx: &mut Context, Path(uuid): Path<Uuid>, note: String) -> Result<()> {
        let mut order = Order::get(cx, uuid).await?;
        order.note = note;
        order.save(cx).await
    }

    saga! {
        /// Takes from an item, which it holds at both ends, and gives back if something fails.
        pub Buy { item: Uuid, order: Uuid }

        remote take -> left: i64 {
            on_execute: |saga| Take { step: "take".into(), item: saga.item, amount: 1, hold: true },
            on_failure: |saga| Take { step: "undo take".into(), item: saga.item, amount: -1, hold: false },
            timeout: "15s",
        }

        local note {
            on_execute: async |cx, saga| {
                let mut order = Order::get(cx, saga.order).await?;
                order.hold(cx)?;
                order.note = "taken".into();
                order.save(cx).await
            },
            on_failure: async |cx, saga| {
                let mut order = Order::get(cx, saga.order).await?;
                order.note = "given back".into();
                order.save(cx).await
            },
        }

        remote take_more -> rest: i64 {
            on_execute: |saga| Take { step: "take more".into(), item: saga.item, amount: 1, hold: false },
            on_failure: |saga| Take { step: "undo take more".into(), item: saga.item, amount: -1, hold: true },
            timeout: "15s",
        }

        remote pass {
            on_execute: |_saga| Pass { gate: "buy".into() },
            on_failure: (),
            timeout: "15s",
        }

        local close {
            on_execute: async |cx, saga| {
                cx.resource::<Script>()?.clone().play("close").await?;
                let mut order = Order::get(cx, saga.order).await?;
                order.note = "closed".into();
                order.save(cx).await
            },
        }
    }

    #[command(POST "/buy")]
    async fn buy(cx: &mut Context, input: Buy) -> Result<Uuid> {
        cx.start(input).await
    }

    saga! {
        /// Takes, and does not wait long for that.
        pub BuyQuickly { item: Uuid }

        remote take -> left: i64 {
            on_execute: |saga| Take { step: "take".into(), item: saga.item, amount: 1, hold: true },
            on_failure: |saga| Take { step: "undo take".into(), item: saga.item, amount: -1, hold: false },
            timeout: "300ms",
        }
    }

    #[command(POST "/buy/quickly")]
    async fn buy_quickly(cx: &mut Context, input: BuyQuickly) -> Result<i64> {
        Ok(cx.run(input).await?.left)
    }

    saga! {
        /// Takes from an item that somebody else may hold, again and again for a while.
        pub BuyStubbornly { item: Uuid }

        remote take -> left: i64 {
            on_execute: |saga| Take { step: "stubborn".into(), item: saga.item, amount: 1, hold: true },
            on_failure: (),
            retry: { attempts: 100, first_pause: "20ms", longest_pause: "20ms" },
        }
    }

    #[command(POST "/buy/stubbornly")]
    async fn buy_stubbornly(cx: &mut Context, input: BuyStubbornly) -> Result<i64> {
        Ok(cx.run(input).await?.left)
    }

    saga! {
        /// Holds two orders, one after the other.
        pub Join { first: Uuid, second: Uuid, name: String }

        local hold_first {
            on_execute: async |cx, saga| {
                cx.resource::<Script>()?.clone().play(&format!("{} begins", saga.name)).await?;
                let mut order = Order::get_when_free(cx, saga.first).await?;
                order.hold(cx)?;
                order.note = saga.name.clone();
                order.save(cx).await
            },
            on_failure: (),
        }

        remote pass {
            on_execute: |saga| Pass { gate: saga.name.clone() },
            on_failure: (),
        }

        local hold_second {
            on_execute: async |cx, saga| {
                cx.resource::<Script>()?.clone().play(&format!("{} waits", saga.name)).await?;
                let mut order = Order::get_when_free(cx, saga.second).await?;
                order.hold(cx)?;
                order.note = saga.name.clone();
                order.save(cx).await
            },
        }
    }

    saga! {
        /// Takes from an item when nobody else holds it, and holds it itself until a gate is open.
        pub Turn { item: Uuid, name: String }

        remote take_turn -> left: i64 {
            on_execute: |saga| TakeTurn { item: saga.item, name: saga.name.clone() },
            on_failure: (),
            timeout: "60s",
        }

        remote pass {
            on_execute: |saga| Pass { gate: saga.name.clone() },
            on_failure: (),
            timeout: "60s",
        }
    }

    #[command(POST "/turn")]
    async fn turn(cx: &mut Context, input: Turn) -> Result<i64> {
        Ok(cx.run(input).await?.left)
    }

    saga! {
        /// The same, seen when all of it is done.
        #[isolated]
        pub IsolatedTurn { item: Uuid, name: String }

        remote take_turn -> left: i64 {
            on_execute: |saga| TakeTurn { item: saga.item, name: saga.name.clone() },
            timeout: "60s",
        }

        remote pass {
            on_execute: |saga| Pass { gate: saga.name.clone() },
            timeout: "60s",
        }
    }

    #[command(POST "/turn/isolated")]
    async fn isolated_turn(cx: &mut Context, input: IsolatedTurn) -> Result<i64> {
        Ok(cx.run(input).await?.left)
    }

    saga! {
        /// Holds an order until a gate is open.
        pub Keep { order: Uuid }

        local hold {
            on_execute: async |cx, saga| Order::get(cx, saga.order).await?.hold(cx),
            on_failure: (),
        }

        local stay {
            on_execute: async |cx, _saga| match cx.resource::<Gates>()?.is_open("keep") {
                true => Ok(()),
                false => Err(Error::unavailable("the gate is closed")),
            },
            retry: { attempts: 10000, first_pause: "50ms", longest_pause: "50ms" },
        }
    }

    #[command(POST "/keep")]
    async fn keep(cx: &mut Context, input: Keep) -> Result<Uuid> {
        cx.start(input).await
    }

    #[command(POST "/gates/{name}")]
    async fn open_gate(cx: &mut Context, Path(name): Path<String>) -> Result<()> {
        cx.resource::<Gates>()?.open(&name, 1);
        Ok(())
    }

    #[command(POST "/join")]
    async fn join(cx: &mut Context, input: Join) -> Result<()> {
        cx.run(input).await.map(|_| ())
    }
}
