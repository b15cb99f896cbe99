//! A service whose handlers leave traces: in tables without any key, so that nothing but the inbox keeps an effect from happening twice.

use minos::prelude::*;

#[aggregate]
pub struct Order {
    pub item: String,
    pub rank: u32,
}

/// How many orders there are of an item.
#[aggregate]
pub struct Tally {
    pub orders: u64,
}

#[derive(Deserialize)]
pub struct Place {
    item: String,
}

/// To be shipped: by whichever process gets the message.
#[message("Ship")]
pub struct Ship {
    pub order: Uuid,
}

#[command(POST "/prepare")]
async fn prepare(cx: &mut Context) {
    cx.execute("CREATE TABLE IF NOT EXISTS traces (n bigserial PRIMARY KEY, handler text, uuid uuid, version bigint)", []);
}

fn trace(cx: &mut Context, handler: &str, uuid: Uuid, version: u64) {
    let values = [handler.into(), uuid.to_string().into(), version.into()];
    cx.execute("INSERT INTO traces (handler, uuid, version) VALUES ($1, $2, $3)", values);
}

#[command(POST "/orders")]
async fn place(cx: &mut Context, input: Place) -> Result<Uuid> {
    let mut order = Order::create(cx, Order { item: input.item, rank: 0 }).await?;
    order.rank = 1;
    order.save(cx).await?;
    Ok(order.uuid())
}

#[command(POST "/orders/{uuid}/rank")]
async fn promote(cx: &mut Context, Path(uuid): Path<Uuid>) -> Result<u64> {
    let mut order = Order::get(cx, uuid).await?;
    order.rank += 1;
    order.save(cx).await?;
    Ok(order.version())
}

/// Sees all of a stream, so its traces tell the order.
#[event("OrderCreated", "OrderUpdated.rank")]
async fn follow(cx: &mut Context, event: Event<serde_json::Value>) -> Result<()> {
    trace(cx, "follow", event.uuid(), event.version());
    Ok(())
}

/// Writes where many others write at once, and sends a message.
#[event("OrderCreated")]
async fn count(cx: &mut Context, event: OrderCreated) -> Result<()> {
    cx.send(Ship { order: event.uuid() })?;
    let item = Uuid::new_v5(&Uuid::NAMESPACE_OID, event.item.as_bytes());
    match Tally::find_one(cx, item).await? {
        None => Tally::create_as(cx, item, Tally { orders: 1 }).await.map(|_| ()),
        Some(mut tally) => {
            tally.orders += 1;
            tally.save(cx).await
        }
    }
}

/// Asked over the broker, of whichever process gets it.
#[message("RankOf", reply = u32)]
pub struct RankOf {
    pub order: Uuid,
}

#[query("RankOf")]
async fn rank_of(cx: &Context, input: RankOf) -> Result<u32> {
    Ok(Order::get(cx, input.order).await?.rank)
}

#[query(GET "/orders/{uuid}/rank")]
async fn asks(cx: &Context, Path(order): Path<Uuid>) -> Result<u32> {
    cx.ask(RankOf { order }).await
}

/// Work that takes its time and no machine.
#[aggregate]
pub struct Chore {
    pub n: u64,
}

#[command(POST "/chores")]
async fn chores(cx: &mut Context, count: u64) -> Result<()> {
    for n in 0..count {
        Chore::create(cx, Chore { n }).await?;
    }
    Ok(())
}

#[event("ChoreCreated")]
async fn does_a_chore(cx: &mut Context, event: ChoreCreated) -> Result<()> {
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    trace(cx, "chore", event.uuid(), event.version());
    Ok(())
}

#[command("Ship")]
async fn ship(cx: &mut Context, input: Ship) -> Result<()> {
    trace(cx, "ship", input.order, 0);
    Ok(())
}
