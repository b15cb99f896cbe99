//! What a saga holds nobody else changes, until it has ended, and however it ends.

use crate::{
    bank::{Script, Trouble},
    common::{
        Answer, config, get, post,
        process::{self, Process},
        send, until,
    },
    shop::Gates,
};
use minos::{Running, prelude::*, saga::Repair, store::StreamId};
use serde_json::{Value, json};

struct Shop {
    desk: Running,
    stock: Running,
    script: Script,
    gates: Gates,
    item: String,
    order: String,
}

impl Shop {
    async fn with(script: Script) -> Self {
        Shop::on("memory:", "memory:", script).await
    }

    async fn on(desk: &str, stock: &str, script: Script) -> Self {
        Shop::start(desk, stock, script, "2s").await
    }

    async fn start(desk: &str, stock: &str, script: Script, patience: &str) -> Self {
        let gates = Gates::default();
        let service = |name: &str, store: &str| {
            let text = config(name, store).replace("request_timeout = \"2s\"", "request_timeout = \"20s\"\ndrain_timeout = \"1s\"");
            let text =
                format!("{text}\n[admin]\naddr = \"127.0.0.1:0\"\n[sagas]\nattempts = 4\nfirst_pause = \"5ms\"\npatience = \"{patience}\"");
            Service::from_toml(&text).unwrap().module(format!("sagas::shop::{name}")).with(script.clone()).with(gates.clone())
        };
        let mut both = Service::start_all([service("desk", desk), service("stock", stock)]).await.unwrap();
        let (stock, desk) = (both.pop().unwrap(), both.pop().unwrap());
        let item = post(stock.addr(), "/items", "10").await.json().as_str().unwrap().to_owned();
        let order = post(desk.addr(), "/orders", "").await.json().as_str().unwrap().to_owned();
        Shop { desk, stock, script, gates, item, order }
    }

    /// Begins to buy, and waits until the item and the order are held and the last steps are still to come.
    async fn buy(&self) -> Uuid {
        let input = json!({ "item": self.item, "order": self.order }).to_string();
        let id = post(self.desk.addr(), "/buy", &input).await.json().as_str().unwrap().parse().unwrap();
        self.ran("buy").await;
        id
    }

    async fn ran(&self, step: &str) {
        until(step, async || self.script.runs().iter().any(|run| run == step)).await;
    }

    async fn change(&self, way: &str, count: i64) -> Answer {
        send(self.stock.addr(), "PUT", &format!("/items/{}/{way}", self.item), "", &count.to_string()).await.unwrap()
    }

    async fn note(&self, note: &str) -> Answer {
        send(self.desk.addr(), "PUT", &format!("/orders/{}/note", self.order), "", &json!(note).to_string()).await.unwrap()
    }

    async fn count(&self) -> i64 {
        get(self.stock.addr(), &format!("/items/{}", self.item)).await.json()["count"].as_i64().unwrap()
    }

    async fn holder(&self) -> Value {
        get(self.stock.addr(), &format!("/items/{}/holder", self.item)).await.json()
    }

    /// The note of the order, and the step that holds it.
    async fn order(&self) -> Value {
        get(self.desk.addr(), &format!("/orders/{}", self.order)).await.json()
    }

    async fn ends_as(&self, status: &str, id: Uuid) {
        until(status, async || self.desk.sagas().show(id).await.unwrap().status.name() == status).await;
    }

    /// Nobody holds anything, now or in a moment: the other side hears a little later of the end.
    async fn is_free(&self) {
        assert_eq!(self.order().await[1], Value::Null, "what local steps hold is released by the end itself");
        until("the item is free", async || self.holder().await.is_null()).await;
        assert_eq!((self.change("count", 50).await.status, self.note("mine").await.status), (204, 204));
    }

    async fn stop(self) {
        let Shop { desk, stock, .. } = self;
        tokio::join!(desk.stop(), stock.stop());
    }
}

fn refusal(what: &str, uuid: &str, execution: Uuid) -> (u16, String) {
    (409, format!("{what} {uuid} is held by the saga `Buy` (execution {execution}) until that has ended: try again then"))
}

fn told(answer: &Answer) -> (u16, String) {
    (answer.status, answer.detail())
}

#[tokio::test(flavor = "multi_thread")]
async fn f42_what_is_held_is_refused_to_all_others_until_the_saga_has_ended() {
    let shop = Shop::with(Script::default()).await;
    let id = shop.buy().await;
    assert_eq!(shop.holder().await, json!(["Buy", id, "desk", "take"]));
    assert_eq!(shop.order().await, json!(["taken", "note"]));
    assert_eq!(shop.count().await, 8, "the saga itself may change it, and everybody may read it");
    let refused = shop.change("count", 50).await;
    assert_eq!(told(&refused), refusal("Item", &shop.item, id));
    assert_eq!((refused.json()["type"].as_str(), refused.json()["title"].as_str()), (Some("urn:minos:held"), Some("held by a saga")));
    assert_eq!(told(&shop.note("mine").await), refusal("Order", &shop.order, id));
    let deleted = send(shop.stock.addr(), "DELETE", &format!("/items/{}", shop.item), "", "").await.unwrap();
    assert_eq!(told(&deleted), refusal("Item", &shop.item, id));
    let other = post(shop.desk.addr(), "/buy/quickly", &json!({ "item": shop.item }).to_string()).await;
    assert_eq!(told(&other), refusal("Item", &shop.item, id), "another saga is no better");
    shop.gates.open("buy", 1);
    shop.ends_as("committed", id).await;
    assert_eq!(shop.order().await, json!(["closed", null]));
    shop.is_free().await;
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_step_can_hold() {
    let shop = Shop::with(Script::default()).await;
    let refused = post(shop.stock.addr(), &format!("/items/{}/hold", shop.item), "").await;
    let why = format!("Item {} cannot be held here: only a step of a saga can hold an aggregate, until the saga has ended", shop.item);
    assert_eq!(told(&refused), (422, why));
    shop.stop().await;
}

/// Whoever has read it before it was held, and writes afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn f42_who_has_read_it_before_it_was_held_is_refused_too() {
    let shop = Shop::with(Script::default()).await;
    let slow = {
        let (addr, path) = (shop.stock.addr(), format!("/items/{}/slowly", shop.item));
        tokio::spawn(async move { send(addr, "PUT", &path, "", "50").await.unwrap() })
    };
    shop.ran("slowly").await;
    let id = shop.buy().await;
    shop.gates.open("slowly", 2);
    assert_eq!(told(&slow.await.unwrap()), refusal("Item", &shop.item, id));
    shop.gates.open("buy", 1);
    shop.ends_as("committed", id).await;
    shop.is_free().await;
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f42_who_waits_goes_on_when_the_saga_has_ended() {
    let shop = Shop::with(Script::default()).await;
    let id = shop.buy().await;
    let patient = {
        let (addr, path) = (shop.stock.addr(), format!("/items/{}/patiently", shop.item));
        tokio::spawn(async move { send(addr, "PUT", &path, "", "50").await.unwrap() })
    };
    shop.ran("patiently").await;
    shop.gates.open("buy", 1);
    let answer = patient.await.unwrap();
    assert_eq!((answer.status, shop.count().await), (204, 50), "{answer:?}");
    assert_eq!(shop.desk.sagas().show(id).await.unwrap().status.name(), "committed");
    shop.stop().await;
}

/// The second step waits at the participant, with the key of the message that would free it for its own: that one does not wait behind it.
#[tokio::test(flavor = "multi_thread")]
async fn f42_who_waits_is_not_in_the_way_of_what_frees_it() {
    // Who does not go on when it is free waits for a long time.
    let script = Script::default().with("eve passed", &[Trouble::Refuse]).with("dan passed", &[Trouble::Refuse]);
    let shop = Shop::start("memory:", "memory:", script, "50s").await;
    let begin = |path: &'static str, name: &str| {
        let (addr, input) = (shop.desk.addr(), json!({ "item": shop.item, "name": name }).to_string());
        tokio::spawn(async move { post(addr, path, &input).await })
    };
    let mut last = (begin("/turn", "first"), "first", 200);
    shop.ran("first").await;
    // What frees it: that the first has ended, and then that one was applied, one has failed, and one was dropped.
    let ways = [("/turn/isolated", "ada", 200), ("/turn", "eve", 422), ("/turn/isolated", "dan", 422), ("/turn", "last", 200)];
    for (path, name, status) in ways {
        let next = begin(path, name);
        shop.ran(&format!("{name} asks")).await;
        shop.gates.open(last.1, 1);
        shop.ran(name).await;
        assert_eq!(last.0.await.unwrap().status, last.2, "{}", last.1);
        last = (next, name, status);
    }
    shop.gates.open("last", 1);
    assert_eq!(last.0.await.unwrap().status, 200);
    assert_eq!(shop.count().await, 6, "four have taken one; what `eve` took is not given back");
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f42_who_waits_too_long_is_refused_and_keeps_nobody_from_running() {
    let script = Script::default();
    let gates = Gates::default();
    // One handler of a message at a time.
    let service = |name: &str| {
        let text = config(name, "memory:").replace("[broker]", "[broker]\nconcurrency = 1");
        let text = format!("{text}\n[sagas]\npatience = \"1s\"").replace("request_timeout = \"2s\"", "request_timeout = \"20s\"");
        Service::from_toml(&text).unwrap().module(format!("sagas::shop::{name}")).with(script.clone()).with(gates.clone())
    };
    let mut both = Service::start_all([service("desk"), service("stock")]).await.unwrap();
    let (stock, desk) = (both.pop().unwrap(), both.pop().unwrap());
    let orders: Vec<Value> = vec![post(desk.addr(), "/orders", "").await.json(), post(desk.addr(), "/orders", "").await.json()];
    let join = |name: &str, first: usize, second: usize| {
        let (addr, input) = (desk.addr(), json!({ "first": orders[first], "second": orders[second], "name": name }).to_string());
        tokio::spawn(async move { post(addr, "/join", &input).await })
    };
    let first = join("ada", 0, 1);
    until("the first holds its order", async || script.runs().iter().any(|run| run == "ada")).await;
    // This one waits for the order that the first holds: as a local step, of which one runs at a time.
    let second = join("bob", 0, 1);
    until("it waits", async || script.runs().iter().any(|run| run == "bob begins")).await;
    gates.open("ada", 1);
    assert_eq!(first.await.unwrap().status, 204, "a step that waits keeps none from running");
    gates.open("bob", 1);
    assert_eq!(second.await.unwrap().status, 204);
    let third = join("eve", 0, 1);
    until("the third holds its order", async || script.runs().iter().any(|run| run == "eve")).await;
    let began = std::time::Instant::now();
    let refused = join("dan", 0, 1).await.unwrap();
    assert!(refused.status == 409 && refused.detail().contains("is held by the saga `Join`"), "{refused:?}");
    assert!(began.elapsed() >= std::time::Duration::from_secs(1), "it has waited as long as it may");
    gates.open("eve", 1);
    assert_eq!(third.await.unwrap().status, 204);
    tokio::join!(desk.stop(), stock.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_waits_no_longer_than_it_may_take() {
    let (script, gates) = (Script::default(), Gates::default());
    let service = |name: &str| {
        let text = config(name, "memory:").replace("request_timeout = \"2s\"", "request_timeout = \"1s\"");
        Service::from_toml(&text).unwrap().module(format!("sagas::shop::{name}")).with(script.clone()).with(gates.clone())
    };
    let mut both = Service::start_all([service("desk"), service("stock")]).await.unwrap();
    let (stock, desk) = (both.pop().unwrap(), both.pop().unwrap());
    let item = post(stock.addr(), "/items", "10").await.json().as_str().unwrap().to_owned();
    let order = post(desk.addr(), "/orders", "").await.json().as_str().unwrap().to_owned();
    let id: Uuid =
        post(desk.addr(), "/buy", &json!({ "item": item, "order": order }).to_string()).await.json().as_str().unwrap().parse().unwrap();
    until("it is at the gate", async || script.runs().iter().any(|run| run == "buy")).await;
    let answer = send(stock.addr(), "PUT", &format!("/items/{item}/patiently"), "", "50").await.unwrap();
    assert_eq!(told(&answer), refusal("Item", &item, id), "it is told why, and not cut off");
    gates.open("buy", 1);
    tokio::join!(desk.stop(), stock.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn f42_two_sagas_that_want_what_the_other_holds_both_end() {
    let shop = Shop::with(Script::default()).await;
    let other = post(shop.desk.addr(), "/orders", "").await.json().as_str().unwrap().to_owned();
    let join = |name: &str, first: &str, second: &str| {
        let (addr, input) = (shop.desk.addr(), json!({ "first": first, "second": second, "name": name }).to_string());
        tokio::spawn(async move { post(addr, "/join", &input).await })
    };
    let (ada, bob) = (join("ada", &shop.order, &other), join("bob", &other, &shop.order));
    shop.ran("ada").await;
    shop.ran("bob").await;
    // Both hold one. The first one's patience ends while the second one still waits.
    shop.gates.open("ada", 1);
    shop.ran("ada waits").await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    shop.gates.open("bob", 1);
    let (ada, bob) = (ada.await.unwrap(), bob.await.unwrap());
    assert!(ada.status == 409 && ada.detail().contains("is held by the saga `Join`"), "{ada:?}");
    assert_eq!(bob.status, 204, "{bob:?}");
    assert_eq!(shop.order().await, json!(["bob", null]));
    assert_eq!(get(shop.desk.addr(), &format!("/orders/{other}")).await.json(), json!(["bob", null]));
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f42_what_was_held_is_free_when_the_saga_is_undone_and_not_before() {
    let script = Script::default().with("close", &[Trouble::Refuse]).with("undo take", &[Trouble::Refuse; 4]);
    let shop = Shop::with(script).await;
    shop.gates.open("buy", 1);
    let id = shop.buy().await;
    shop.ends_as("needs_operator", id).await;
    assert_eq!(shop.order().await, json!(["given back", "note"]), "it is undone, and not at its end");
    assert_eq!(shop.change("count", 50).await.status, 409, "an operator has time");
    shop.desk.sagas().repair(id, Repair::Retry { step: "take".into() }, None).await.unwrap();
    shop.ends_as("rolled_back", id).await;
    assert_eq!(shop.count().await, 10);
    shop.is_free().await;
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f42_what_an_attempt_holds_that_was_too_late_is_free_at_the_end() {
    let shop = Shop::with(Script::default().with("take", &[Trouble::Sleep(800)])).await;
    let answer = post(shop.desk.addr(), "/buy/quickly", &json!({ "item": shop.item }).to_string()).await;
    assert_eq!(answer.status, 504, "{answer:?}");
    let events = shop.stock.store().stream(StreamId::new("Item", shop.item.parse().unwrap()), 0).await.unwrap();
    assert!(events.iter().any(|event| event.name == "$held"), "it was held: {events:?}");
    assert_eq!(shop.count().await, 10, "and undone");
    shop.is_free().await;
    shop.stop().await;
}

/// A step that was skipped because nobody answered, and is done all the same: what it holds is released, or it never comes to that.
#[tokio::test(flavor = "multi_thread")]
async fn f42_what_was_skipped_holds_nothing_when_the_saga_has_ended() {
    let shop = Shop::with(Script::default().with("undo take more", &[Trouble::Refuse; 4]).with("close", &[Trouble::Refuse])).await;
    shop.gates.open("buy", 1);
    let id = shop.buy().await;
    shop.ends_as("needs_operator", id).await;
    shop.desk.sagas().repair(id, Repair::Skip { step: "take_more".into(), value: None }, None).await.unwrap();
    shop.ends_as("rolled_back", id).await;
    shop.is_free().await;
    let key = format!("saga {id}/take_more undo");
    let row = shop.stock.store().handled("shop::stock::take", &key).await.unwrap().unwrap();
    assert_eq!(row.answer.as_deref(), Some("cancelled"), "whatever is still on its way does nothing");
    shop.stop().await;
}

/// That it is held may pass, so a step that says `retry` is tried again.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_was_refused_is_tried_again() {
    let shop = Shop::with(Script::default()).await;
    let id = shop.buy().await;
    let stubborn = {
        let (addr, input) = (shop.desk.addr(), json!({ "item": shop.item }).to_string());
        tokio::spawn(async move { post(addr, "/buy/stubbornly", &input).await })
    };
    let conflicts = async || {
        let rows = shop.desk.store().sagas(minos::store::SagaFilter { saga: Some("BuyStubbornly".into()), status: None }, None, 1).await;
        rows.unwrap().first().is_some_and(|row| row.state.contains("is held by the saga `Buy`"))
    };
    until("it was refused", conflicts).await;
    shop.gates.open("buy", 1);
    shop.ends_as("committed", id).await;
    let answer = stubborn.await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f42_what_is_held_stays_held_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = |name: &str| format!("sqlite://{}", dir.path().join(name).display());
    let shop = Shop::on(&store("desk.db"), &store("stock.db"), Script::default()).await;
    let id = shop.buy().await;
    let (item, order) = (shop.item.clone(), shop.order.clone());
    shop.stop().await;
    let shop = Shop { item, order, ..Shop::on(&store("desk.db"), &store("stock.db"), Script::default()).await };
    assert_eq!(told(&shop.change("count", 50).await), refusal("Item", &shop.item, id));
    assert_eq!(told(&shop.note("mine").await), refusal("Order", &shop.order, id));
    shop.gates.open("buy", 1);
    shop.ends_as("committed", id).await;
    shop.is_free().await;
    shop.stop().await;
}

/// The service that holds it is restored from a backup, and has forgotten that it was told to release it.
#[tokio::test(flavor = "multi_thread")]
async fn f42_what_was_not_heard_to_be_free_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (file, store) = (|name: &str| dir.path().join(name), |name: &str| format!("sqlite://{}", dir.path().join(name).display()));
    let on = async || Shop::on(&store("desk.db"), &store("stock.db"), Script::default()).await;
    let shop = on().await;
    let id = shop.buy().await;
    let (item, order) = (shop.item.clone(), shop.order.clone());
    shop.stop().await;
    std::fs::copy(file("stock.db"), file("backup.db")).unwrap();
    let shop = Shop { item: item.clone(), order: order.clone(), ..on().await };
    assert_eq!(shop.stock.outcomes().ask_now(Some(id)).await.unwrap(), 1);
    assert_eq!(told(&shop.change("count", 50).await), refusal("Item", &shop.item, id), "the saga goes on");
    shop.gates.open("buy", 1);
    shop.ends_as("committed", id).await;
    shop.is_free().await;
    shop.stop().await;
    std::fs::copy(file("backup.db"), file("stock.db")).unwrap();
    let shop = Shop { item, order, ..on().await };
    assert_eq!(told(&shop.change("count", 50).await), refusal("Item", &shop.item, id));
    assert_eq!(shop.stock.outcomes().ask_now(None).await.unwrap(), 1);
    until("the item is free", async || shop.holder().await.is_null()).await;
    until("nobody waits to hear it", async || shop.stock.outcomes().list(10).await.unwrap().is_empty()).await;
    shop.stop().await;
}

/// Whoever held it is killed, and the next process ends the saga.
#[tokio::test(flavor = "multi_thread")]
async fn f42_what_a_killed_process_held_is_free_when_the_next_one_ends_the_saga() {
    let dir = tempfile::tempdir().unwrap();
    let text = config("desk", &format!("sqlite://{}", dir.path().join("desk.db").display()));
    let start = || Process::start(process::service(dir.path(), "sagas::shop::desk", &text));
    let desk = start();
    let addr = desk.addr().await;
    let order = post(addr, "/orders", "").await.json().as_str().unwrap().to_owned();
    let held = async |addr| get(addr, &format!("/orders/{order}")).await.json()[1] == "hold";
    assert_eq!(post(addr, "/keep", &json!({ "order": order }).to_string()).await.status, 200);
    until("it is held", async || held(addr).await).await;
    desk.signal("KILL");
    drop(desk);
    let desk = start();
    let addr = desk.addr().await;
    assert!(held(addr).await);
    let note = async || send(addr, "PUT", &format!("/orders/{order}/note"), "", "\"mine\"").await.unwrap();
    assert_eq!(note().await.json()["type"], "urn:minos:held");
    assert_eq!(post(addr, "/gates/keep", "").await.status, 204);
    until("it is free", async || !held(addr).await).await;
    assert_eq!(note().await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn f42_an_operator_releases_what_nobody_else_will() {
    let shop = Shop::with(Script::default()).await;
    let id = shop.buy().await;
    let (admin, path) = (shop.stock.admin_addr().unwrap(), format!("/holds/Item/{}", shop.item));
    let holder = json!({ "saga": "Buy", "execution": id, "service": "desk", "step": "take" });
    assert_eq!(get(admin, &path).await.json(), holder);
    let released = send(admin, "DELETE", &path, "", "").await.unwrap();
    assert_eq!((released.status, &released.json()["released"]), (200, &holder));
    assert_eq!(get(admin, &path).await.json(), Value::Null);
    let again = send(admin, "DELETE", &path, "", "").await.unwrap();
    assert_eq!(told(&again), (404, format!("nobody holds Item/{}", shop.item)));
    assert_eq!(shop.change("count", 50).await.status, 204);
    let events = shop.stock.store().stream(StreamId::new("Item", shop.item.parse().unwrap()), 0).await.unwrap();
    let record: Value = serde_json::from_str(&events.iter().find(|event| event.name == "$released").unwrap().data).unwrap();
    assert_eq!(record, json!({ "execution": id, "by_hand": true }));
    let by = Some("ada".to_owned());
    let order = shop.order.parse().unwrap();
    assert_eq!(shop.desk.release("Order", order, by).await.unwrap().step, "note");
    let events = shop.desk.store().stream(StreamId::new("Order", order), 0).await.unwrap();
    assert_eq!(events.last().unwrap().cause.user.as_ref().map(|user| user.id()), Some("ada"));
    // The saga goes on, and finds nothing to release.
    shop.gates.open("buy", 1);
    shop.ends_as("committed", id).await;
    assert_eq!(shop.count().await, 50);
    let events = shop.desk.store().stream(StreamId::new("Order", order), 0).await.unwrap();
    assert_eq!(events.iter().filter(|event| event.name == "$released").count(), 1);
    shop.is_free().await;
    shop.stop().await;
}

/// Subscribers hear of what happens to an aggregate, and not of who holds it; its versions count all of it.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_who_holds_an_aggregate() {
    let shop = Shop::with(Script::default()).await;
    let before = get(shop.stock.addr(), &format!("/items/{}", shop.item)).await.json();
    shop.gates.open("buy", 1);
    let id = shop.buy().await;
    shop.ends_as("committed", id).await;
    until("it is free", async || shop.holder().await.is_null()).await;
    let held = get(shop.stock.addr(), &format!("/items/{}", shop.item)).await.json();
    assert_eq!((&held["version"], &held["created_at"]), (&json!(5), &before["created_at"]), "created, taken, held, taken, released");
    let events = shop.stock.store().stream(StreamId::new("Item", shop.item.parse().unwrap()), 0).await.unwrap();
    let names: Vec<_> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["ItemCreated", "ItemUpdated", "$held", "ItemUpdated", "$released"]);
    assert_eq!(held["updated_at"], json!(events[3].at), "who holds it is no change");
    assert_eq!(shop.change("count", 1).await.status, 204);
    shop.ran("ItemUpdated 6").await;
    let told: Vec<_> = shop.script.runs().into_iter().filter(|run| run.starts_with("Item") || run.starts_with('$')).collect();
    assert_eq!(told, ["ItemCreated 1", "ItemUpdated 2", "ItemUpdated 4", "ItemUpdated 6"]);
    shop.stop().await;
}
