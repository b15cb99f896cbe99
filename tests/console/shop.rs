//! A service in which something has gone wrong: a message that could not be handled, and a saga that waits for an operator.

use crate::common::{get, post, until};
use minos::{Running, prelude::*};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// What somebody has typed who means no good.
pub const HOSTILE: &str = "<script>window.hacked=1</script><img src=x onerror='window.hacked=2'>";

/// Whether what was broken is mended.
#[derive(Clone, Default)]
pub struct Mended(Arc<AtomicBool>);

impl Mended {
    pub fn mend(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn check(&self) -> Result<()> {
        ensure!(self.0.load(Ordering::SeqCst), "the printer has no paper {HOSTILE}");
        Ok(())
    }
}

#[aggregate]
pub struct Order {
    pub item: String,
    pub pieces: u32,
    pub shipped: bool,
}

#[derive(Deserialize)]
pub struct Place {
    item: String,
    pieces: u32,
}

/// Orders `pieces` of something.
///
/// They are on their way when `shipped` says so.
#[command("PlaceOrder", POST "/orders")]
async fn place_order(cx: &mut Context, input: Place) -> Result<Uuid> {
    Ok(Order::create(cx, Order { item: input.item, pieces: input.pieces, shipped: false }).await?.uuid())
}

#[query("GetOrder", GET "/orders/{uuid}")]
async fn get_order(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Order>> {
    Order::get(cx, uuid).await
}

#[event("OrderUpdated.shipped")]
async fn print_label(cx: &mut Context, _event: OrderUpdated) -> Result<()> {
    cx.resource::<Mended>()?.check()
}

#[periodic("0 3 * * *")]
async fn every_night() {}

#[document]
pub struct OrderLine {
    pub item: String,
    pub pieces: u32,
}

#[projection]
impl OrderLine {
    #[event("OrderCreated")]
    async fn add(view: &mut View<Self>, event: OrderCreated) -> Result<()> {
        view.put(event.uuid(), OrderLine { item: event.item.clone(), pieces: event.pieces });
        Ok(())
    }
}

saga! {
    /// Takes the money, then ships what was ordered.
    pub ShipOrder { order: Uuid, note: String }

    pivot local charge -> receipt: String {
        on_execute: async |_cx, saga| Ok(format!("receipt for {}", saga.note)),
    }

    retriable local ship {
        on_execute: async |cx, saga| {
            cx.resource::<Mended>()?.check()?;
            let mut order = Order::get(cx, saga.order).await?;
            order.shipped = true;
            order.save(cx).await
        },
    }
}

#[derive(Deserialize)]
pub struct Ship {
    note: String,
}

#[command(POST "/orders/{order}/shipment")]
async fn ship_order(cx: &mut Context, Path(order): Path<Uuid>, input: Ship) -> Result<Uuid> {
    cx.start(ShipOrder { order, note: input.note }).await
}

#[derive(Deserialize)]
pub struct Mark {
    order: Uuid,
}

#[command(POST "/shipped")]
async fn mark_shipped(cx: &mut Context, input: Mark) -> Result<()> {
    let mut order = Order::get(cx, input.order).await?;
    order.shipped = true;
    order.save(cx).await
}

pub async fn place(running: &Running, item: &str) -> Uuid {
    let body = serde_json::json!({ "item": item, "pieces": 3 }).to_string();
    post(running.addr(), "/orders", &body).await.json().as_str().unwrap().parse().unwrap()
}

/// The service with all its troubles; the order that they are about, and the execution that is stuck.
#[allow(dead_code, reason = "only who has it alone needs it")]
pub async fn in_trouble(mended: &Mended) -> (Running, Uuid, Uuid) {
    in_trouble_with(mended, "").await
}

/// The same, with more in its configuration.
pub async fn in_trouble_with(mended: &Mended, more: &str) -> (Running, Uuid, Uuid) {
    let text = "[service]\nname = \"shop\"\n[http]\naddr = \"127.0.0.1:0\"\n[store]\nurl = \"memory:\"\n[admin]\naddr = \"127.0.0.1:0\"\n[broker]\nattempts = 1\n[sagas]\nattempts = 1\nfirst_pause = \"1ms\"\n[log]\nlevel = \"off\"";
    let shop = Service::from_toml(&format!("{text}\n{more}")).unwrap().module(module_path!()).with(mended.clone()).start().await.unwrap();
    let order = place(&shop, HOSTILE).await;
    for item in ["tea", "coffee"] {
        place(&shop, item).await;
    }
    let note = serde_json::json!({ "note": HOSTILE }).to_string();
    let answer = post(shop.addr(), &format!("/orders/{order}/shipment"), &note).await;
    let execution: Uuid = answer.json().as_str().unwrap().parse().unwrap();
    post(shop.addr(), "/shipped", &format!(r#"{{"order":"{order}"}}"#)).await;
    let admin = shop.admin_addr().unwrap();
    let stuck = format!("/sagas/{execution}");
    until("the saga is stuck", async || get(admin, &stuck).await.json()["status"] == "needs_operator").await;
    until("a letter is dead", async || get(admin, "/dead-letters").await.json().as_array().is_some_and(|all| all.len() == 1)).await;
    (shop, order, execution)
}
