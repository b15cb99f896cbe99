//! What can be done with an order; then both services together.

use crate::{
    orders::{self, Article, Entry, Order, Status},
    sales::Sold,
};
use minos::{
    Running,
    prelude::*,
    testing::{Changed, given},
};
use serde_json::json;

minos::events_lock!("examples/shop/events.lock");

const LAMP: Uuid = Uuid::from_u128(1);
const ENTRY: Uuid = Uuid::from_u128(2);

fn order() -> Order {
    let mut entries = EntitySet::default();
    entries.add_as(ENTRY, Entry { article: Ref::<Article>::new(LAMP), quantity: 1 });
    Order { customer: "ann@example.org".to_owned(), entries, status: Status::Open }
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
fn a_placed_order_stays_as_it_is() {
    given::<Order>()
        .created(Order { status: Status::Placed, ..order() })
        .when(async |cx, order| orders::add(cx, Path(order), orders::Add { article: LAMP, quantity: 1 }).await)
        .rejected("the order is placed already");
}

fn service(name: &str, store: &str, modules: &[&str]) -> Service {
    let config = format!("service.name = \"{name}\"\nhttp.addr = \"127.0.0.1:0\"\nstore.url = \"{store}\"\nlog.level = \"error\"");
    let service = Service::from_toml(&config).unwrap();
    modules.iter().fold(service, |service, module| service.module(format!("shop::{module}")))
}

async fn call<T: serde::de::DeserializeOwned>(running: &Running, topic: &str, input: serde_json::Value) -> T {
    let answer = running.call(topic, &input).await.unwrap();
    serde_json::from_slice(answer.body()).unwrap()
}

#[tokio::test]
async fn what_is_ordered_is_sold_at_the_price_of_its_article() {
    let directory = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite://{}", directory.path().join("orders.db").display());
    let services = [service("catalogue", "memory:", &["catalogue"]), service("orders", &sqlite, &["orders", "sales"])];
    let running = Service::start_all(services).await.unwrap();
    let (catalogue, orders) = (&running[0], &running[1]);
    let lamp: Uuid = call(catalogue, "AddArticle", json!({ "name": "a lamp", "cents": 4900, "tags": ["light"] })).await;
    let order: Uuid = call(orders, "BeginOrder", json!({ "customer": "ann@example.org" })).await;
    let _: Uuid = call(orders, "AddEntry", json!({ "order": order, "article": lamp, "quantity": 2 })).await;
    orders.call("PlaceOrder", &json!({ "order": order })).await.unwrap();
    let sold: Vec<Sold> = call(orders, "GetSales", json!(null)).await;
    assert_eq!(sold, [Sold { name: "a lamp".to_owned(), quantity: 2, cents: 9800 }]);
    let again = orders.call("PlaceOrder", &json!({ "order": order })).await.unwrap_err();
    assert_eq!(again.to_string(), "the order is placed already");
    for one in running {
        one.stop().await;
    }
}
