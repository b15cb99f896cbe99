//! Whole services with Kafka between them, each with a connection of its own, as in processes of their own.

#![cfg(feature = "kafka")]
#![allow(unreachable_pub)]

mod common;

use common::{
    config, get, post,
    servers::{KAFKA, Servers},
    until,
};
use minos::{Running, prelude::*};

/// Orders, which know whether they are paid.
mod shop {
    use minos::prelude::*;

    #[aggregate]
    pub struct Order {
        pub item: String,
        pub paid: bool,
    }

    #[derive(Deserialize)]
    pub struct Place {
        item: String,
    }

    #[command(POST "/orders")]
    async fn place(cx: &mut Context, input: Place) -> Result<Uuid> {
        Ok(Order::create(cx, Order { item: input.item, paid: false }).await?.uuid())
    }

    #[derive(Deserialize)]
    pub struct Paid {
        order: Uuid,
    }

    #[command("MarkPaid")]
    async fn mark_paid(cx: &mut Context, input: Paid) -> Result<()> {
        let mut order = Order::get(cx, input.order).await?;
        order.paid = true;
        order.save(cx).await
    }

    #[query("GetOrder", GET "/orders/{uuid}")]
    async fn get_order(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Order>> {
        Order::get(cx, uuid).await
    }
}

/// Bills, which are made for orders, and asks the shop what they are for.
mod billing {
    use minos::prelude::*;

    #[aggregate]
    pub struct Bill {
        pub text: String,
        pub times: u64,
    }

    #[message("MarkPaid", key = order)]
    pub struct MarkPaid {
        pub order: Uuid,
    }

    #[message("GetOrder", reply = serde_json::Value)]
    pub struct GetOrder {
        pub uuid: Uuid,
    }

    #[event("OrderCreated")]
    async fn ordered(cx: &mut Context, event: super::shop::OrderCreated) -> Result<()> {
        match Bill::find_one(cx, event.uuid()).await? {
            None => Bill::create_as(cx, event.uuid(), Bill { text: event.item.clone(), times: 1 }).await.map(|_| ()),
            Some(mut bill) => {
                bill.times += 1;
                bill.save(cx).await
            }
        }
    }

    #[event("BillCreated")]
    async fn billed(cx: &mut Context, event: BillCreated) -> Result<()> {
        cx.send(MarkPaid { order: event.uuid() })
    }

    #[query(GET "/bills/{uuid}")]
    async fn get_bill(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Bill>> {
        Bill::get(cx, uuid).await
    }

    #[query(GET "/bills/{uuid}/order")]
    async fn order_of(cx: &Context, Path(uuid): Path<Uuid>) -> Result<serde_json::Value> {
        cx.ask(GetOrder { uuid }).await
    }
}

async fn start(name: &str, module: &str, servers: &Servers) -> Running {
    let text = config(name, "memory:").replace("[broker]", &format!("[broker]\nurl = \"{}\"", servers.kafka)).replace("\"2s\"", "\"20s\"");
    Service::from_toml(&text).unwrap().module(format!("kafka::{module}")).start().await.unwrap()
}

/// Events, commands and questions between services; the answer to a question comes to who asked, whichever process of the service that is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_talk_and_each_process_gets_its_answers() {
    let Some(servers) = Servers::start("talk", &[KAFKA]) else { return };
    let shop = start("shop", "shop", &servers).await;
    let bills = start("billing", "billing", &servers).await;
    // Another service of the same code, so that what it asks goes to other answers; and one more process of the first.
    let (other, again) = (start("audit", "billing", &servers).await, start("billing", "billing", &servers).await);
    let mut orders = Vec::new();
    for n in 0..20 {
        orders.push(post(shop.addr(), "/orders", &format!(r#"{{"item":"item {n}"}}"#)).await.json().as_str().unwrap().to_owned());
    }
    for order in &orders {
        until("it is paid", async || get(shop.addr(), &format!("/orders/{order}")).await.json()["paid"] == true).await;
        let path = format!("/bills/{order}");
        let billed = async || [get(bills.addr(), &path).await, get(again.addr(), &path).await];
        until("one process of the service has billed it", async || billed().await.iter().any(|answer| answer.status == 200)).await;
        for answer in billed().await.iter().filter(|answer| answer.status == 200) {
            assert_eq!(answer.json()["times"], 1, "once");
        }
    }
    for running in [&bills, &other, &again] {
        for order in orders.iter().take(5) {
            let asked = get(running.addr(), &format!("/bills/{order}/order")).await;
            assert_eq!((asked.status, &asked.json()["paid"]), (200, &true.into()), "{asked:?}");
        }
        let none = get(running.addr(), &format!("/bills/{}/order", Uuid::nil())).await;
        assert!(none.status == 404 && none.detail().contains("`GetOrder` failed: there is no Order"), "{none:?}");
    }
    for running in [&shop, &bills, &other, &again] {
        assert!(running.dead_letters().list().await.unwrap().is_empty());
        assert!(running.health().parts()["broker"].works());
    }
    for running in [shop, bills, other, again] {
        running.stop().await;
    }
}

/// Commands are acknowledged while the broker is away, and what they did goes out when it is back. The service is ready, and says what is wrong.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f26_commands_succeed_while_the_broker_is_away() {
    let Some(servers) = Servers::start("away", &[KAFKA]) else { return };
    servers.run(&["stop", "kafka", "kill"]);
    let (shop, bills) = (start("shop", "shop", &servers).await, start("billing", "billing", &servers).await);
    let mut orders = Vec::new();
    for n in 0..50 {
        let placed = post(shop.addr(), "/orders", &format!(r#"{{"item":"item {n}"}}"#)).await;
        assert_eq!(placed.status, 200, "{placed:?}");
        orders.push(placed.json().as_str().unwrap().to_owned());
    }
    until("it says that the broker is away", async || {
        shop.health().parts()["broker"].failing.as_ref().is_some_and(|why| why.contains("cannot be reached"))
    })
    .await;
    assert!(shop.health().is_ready(), "{:?}", shop.health().parts());
    servers.run(&["start", "kafka"]);
    for order in &orders {
        until("it is paid", async || get(shop.addr(), &format!("/orders/{order}")).await.json()["paid"] == true).await;
    }
    until("all works", async || shop.health().parts()["broker"].works()).await;
    shop.stop().await;
    bills.stop().await;
}

/// Options that break a promise are refused, and what librdkafka does not know is told.
#[tokio::test]
async fn configurations_that_make_no_sense() {
    let fails = async |url: &str, option: &str| {
        let text = config("foo", "memory:").replace("[broker]", &format!("[broker.options]\n{option}\n[broker]\nurl = \"{url}\""));
        match Service::from_toml(&text).unwrap().module("kafka::shop").start().await {
            Ok(_) => panic!("it starts with {url} and {option}"),
            Err(error) => error.to_string(),
        }
    };
    let told = fails("kafka://a", "").await;
    assert!(told.contains("`broker.url` names a server without its port: write `kafka://host:9092`"), "{told}");
    let told = fails("amqp://a:1", "").await;
    assert!(told.contains("there is no broker for `amqp:` URLs in `broker.url`"), "{told}");
    let told = fails("kafka://a:1", "acks = 1").await;
    assert!(told.contains("`acks` cannot be set in `broker.options`: a message counts as sent when all replicas have it"), "{told}");
    let told = fails("kafka://a:1", "\"no.such.thing\" = 1").await;
    assert!(told.contains("`no.such.thing` in `broker.options`: No such configuration property"), "{told}");
}
