//! What can be done with an order; then both services together.

use crate::{
    orders::{self, Article, Entry, Order, Status},
    sales::Sold,
};
use minos::{
    prelude::*,
    testing::{Changed, TestRunning, TestService, given},
};
use serde_json::{Value, json};

minos::events_lock!("examples/shop/events.lock");

const LAMP: Uuid = Uuid::from_u128(1);
const ENTRY: Uuid = Uuid::from_u128(2);

fn order() -> Order {
    let mut entries = EntitySet::default();
    entries.add_as(ENTRY, Entry { article: Ref::<Article>::new(LAMP), quantity: 1 });
    Order { customer: "ann@example.org".to_owned(), entries, coupons: ValueSet::default(), status: Status::Open }
}

#[test]
fn what_changes_in_one_entry_is_stored_as_that() {
    let changed = async |cx: &mut Context, order, quantity| orders::change(cx, Path((order, ENTRY)), orders::Change { quantity }).await;
    given::<Order>()
        .created(order())
        .when(async |cx, order| changed(cx, order, 3).await)
        .then(Changed(json!({ "$sets": { "entries": { "update": { ENTRY.to_string(): { "quantity": 3 } } } } })));
    given::<Order>()
        .created(order())
        .when(async |cx, order| changed(cx, order, 0).await)
        .then(Changed(json!({ "$sets": { "entries": { "delete": [ENTRY] } } })))
        .state(|order| assert!(order.entries.is_empty()));
}

#[test]
fn a_coupon_counts_once() {
    let add = async |cx: &mut Context, order| orders::add_coupon(cx, Path(order), "SPRING".to_owned()).await;
    given::<Order>()
        .created(order())
        .when(async |cx, order| add(cx, order).await)
        .then(Changed(json!({ "$sets": { "coupons": { "create": ["SPRING"] } } })));
    given::<Order>()
        .created(order())
        .changed(|order| assert!(order.coupons.insert("SPRING".to_owned())))
        .when(async |cx, order| add(cx, order).await)
        .then(());
}

#[test]
fn a_placed_order_stays_as_it_is() {
    given::<Order>()
        .created(Order { status: Status::Placed, ..order() })
        .when(async |cx, order| orders::add(cx, Path(order), orders::Add { article: LAMP, quantity: 1 }).await)
        .rejected("the order is placed already");
}

/// Both services as they run, in memory; sales are tables, so orders are in a file that goes with the test.
async fn shop() -> Result<TestRunning> {
    TestService::whole().service(crate::catalogue()?).service(crate::orders()?).start().await
}

async fn article(shop: &TestRunning, name: &str, cents: u32) -> Result<Uuid> {
    shop.post("/articles", json!({ "name": name, "cents": cents, "tags": [] })).await?.json()
}

/// An order of so many lamps.
async fn ordered(shop: &TestRunning, lamp: Uuid, quantity: u32) -> Result<Uuid> {
    let order: Uuid = shop.post("/orders", json!({ "customer": "ann@example.org" })).await?.json()?;
    shop.post(format!("/orders/{order}/entries"), json!({ "article": lamp, "quantity": quantity })).await?.ok()?;
    Ok(order)
}

#[tokio::test]
async fn what_is_ordered_is_sold_at_the_price_of_its_article() -> Result<()> {
    let shop = shop().await?;
    let lamp = article(&shop, "a lamp", 4900).await?;
    let order = ordered(&shop, lamp, 2).await?;
    shop.post(format!("/orders/{order}/place"), ()).await?.ok()?;
    let sold: Vec<Sold> = shop.get("/sales").await?.json()?;
    assert_eq!(sold, [Sold { name: "a lamp".to_owned(), quantity: 2, cents: 9800 }]);
    let again = shop.post(format!("/orders/{order}/place"), ()).await?;
    assert_eq!((again.status().as_u16(), again.problem().as_deref()), (422, Some("the order is placed already")));
    shop.settled().await
}

#[tokio::test]
async fn an_order_costs_what_its_articles_cost_when_it_is_placed() -> Result<()> {
    let shop = shop().await?;
    let lamp = article(&shop, "a lamp", 4900).await?;
    let order = ordered(&shop, lamp, 1).await?;
    let sum = async || shop.get(format!("/orders/{order}/sum")).await?.json::<u64>();
    assert_eq!(sum().await?, 4900);
    shop.put(format!("/articles/{lamp}/price"), json!({ "cents": 3900 })).await?.ok()?;
    assert_eq!(sum().await?, 3900);
    let tag: Value = shop.get(format!("/articles/{lamp}/price")).await?.json()?;
    assert_eq!(tag, json!({ "name": "a lamp", "cents": 3900, "before": 4900 }));
    // By the broker, as another service would.
    let () = shop.call("PlaceOrder", json!({ "order": order })).await?;
    let sold: Vec<Sold> = shop.call("GetSales", ()).await?;
    assert_eq!(sold[0].cents, 3900);
    Ok(())
}
