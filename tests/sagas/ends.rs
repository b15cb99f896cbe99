//! How executions end: everything is done, or everything is undone.

use crate::{
    bank::{Script, Trouble},
    common::{Answer, config, get, post, until},
};
use minos::{Running, prelude::*};
use serde_json::json;

pub struct World {
    pub teller: Running,
    pub bank: Running,
    pub script: Script,
    pub from: String,
    pub to: String,
}

impl World {
    pub async fn with(script: Script) -> World {
        World::on("memory:", "memory:", script).await
    }

    pub async fn on(teller: &str, bank: &str, script: Script) -> World {
        World::running(teller, bank, script, 256).await
    }

    /// The same where only so many handlers of messages, and so many local steps, run at once.
    pub async fn running(teller: &str, bank: &str, script: Script, at_once: usize) -> World {
        let service = |name: &str, store: &str| {
            let text = config(name, store).replace("request_timeout = \"2s\"", "request_timeout = \"20s\"\ndrain_timeout = \"1s\"");
            let text = text.replace("[broker]", &format!("[broker]\nconcurrency = {at_once}"));
            let text =
                format!("{text}\n[admin]\naddr = \"127.0.0.1:0\"\n[sagas]\nalarm_after = \"300ms\"\nattempts = 4\nfirst_pause = \"5ms\"");
            Service::from_toml(&text).unwrap().module(format!("sagas::{name}")).with(script.clone())
        };
        let mut both = Service::start_all([service("teller", teller), service("bank", bank)]).await.unwrap();
        let (bank, teller) = (both.pop().unwrap(), both.pop().unwrap());
        let open = async |balance: &str| post(bank.addr(), "/accounts", balance).await.json().as_str().unwrap().to_owned();
        let (from, to) = (open("100").await, open("100").await);
        World { teller, bank, script, from, to }
    }

    pub fn input(&self, amount: i64) -> serde_json::Value {
        json!({ "from": self.from, "to": self.to, "amount": amount })
    }

    pub async fn transfer(&self, amount: i64) -> Answer {
        post(self.teller.addr(), "/transfers", &self.input(amount).to_string()).await
    }

    pub async fn balances(&self) -> (i64, i64) {
        let balance =
            async |account: &str| get(self.bank.addr(), &format!("/accounts/{account}")).await.json()["balance"].as_i64().unwrap();
        (balance(&self.from).await, balance(&self.to).await)
    }

    /// Each step as often as it was run.
    pub fn runs(&self) -> Vec<String> {
        self.script.runs()
    }

    pub async fn statuses(&self) -> Vec<String> {
        let rows = self.teller.store().sagas(minos::store::SagaFilter::default(), None, 1000).await.unwrap();
        rows.into_iter().map(|row| row.status).collect()
    }

    /// How often an attempt at a step has ended like this, as the metrics say.
    fn counted(&self, saga: &str, step: &str, direction: &str, outcome: &str) -> u64 {
        let labels = format!(r#"service="teller",saga="{saga}",step="{step}",direction="{direction}",outcome="{outcome}""#);
        let (metrics, line) = (self.teller.metrics(), format!("minos_saga_steps_total{{{labels}}} "));
        metrics.lines().find_map(|text| text.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
    }

    pub async fn stop(self) {
        let World { teller, bank, .. } = self;
        tokio::join!(teller.stop(), bank.stop());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_done() {
    let world = World::with(Script::default()).await;
    let answer = world.transfer(30).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(world.balances().await, (70, 130));
    assert_eq!(world.runs(), ["take", "give", "note", "confirm", "tell"]);
    assert_eq!(world.statuses().await, ["committed"]);
    let metrics = world.teller.metrics();
    assert!(metrics.contains(r#"minos_sagas_ended_total{service="teller",saga="MoveMoney",status="committed"} 1"#), "{metrics}");
    for step in ["take", "give", "note", "confirm", "tell"] {
        assert_eq!(world.counted("MoveMoney", step, "execute", "done"), 1, "{step}");
        let took = format!(r#"minos_saga_step_seconds_count{{service="teller",saga="MoveMoney",step="{step}"}} 1"#);
        assert!(metrics.contains(&took), "{step}: {metrics}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_refuses_before_the_pivot_is_undone_in_the_reverse_order() {
    let all = ["take", "give", "note", "confirm"];
    for (n, step) in all.iter().enumerate() {
        for trouble in [Trouble::Refuse, Trouble::Panic] {
            let world = World::with(Script::default().with(step, &[trouble; 3])).await;
            let answer = world.transfer(30).await;
            let expected = if trouble == Trouble::Refuse { 422 } else { 500 };
            assert_eq!(answer.status, expected, "{step}: {answer:?}");
            assert_eq!(world.balances().await, (100, 100), "{step}");
            let undone: Vec<_> = world.runs().into_iter().filter(|run| run.starts_with("undo")).collect();
            let expected: Vec<_> = all[..n].iter().rev().map(|step| format!("undo {step}")).collect();
            assert_eq!(undone, expected, "{step}");
            assert_eq!(world.statuses().await, ["rolled_back"]);
            world.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_behind_the_pivot_is_tried_until_it_succeeds() {
    let world = World::with(Script::default().with("tell", &[Trouble::Fail; 5])).await;
    assert_eq!(world.transfer(30).await.status, 200);
    assert_eq!(world.balances().await, (70, 130));
    assert_eq!(world.statuses().await, ["committed"]);
    assert_eq!((world.counted("MoveMoney", "tell", "execute", "failed"), world.counted("MoveMoney", "tell", "execute", "done")), (5, 1));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_answers_too_late_is_undone() {
    let world = World::with(Script::default().with("give", &[Trouble::Sleep(800)])).await;
    let answer = post(world.teller.addr(), "/quick", &json!({ "to": world.to, "amount": 30 }).to_string()).await;
    assert_eq!(answer.status, 504, "{answer:?}");
    assert_eq!(world.runs(), ["give", "undo give"]);
    assert_eq!(world.balances().await, (100, 100), "it happened late, and was undone");
    assert_eq!(world.statuses().await, ["rolled_back"]);
    assert_eq!(
        (world.counted("GiveQuickly", "give", "execute", "timed_out"), world.counted("GiveQuickly", "give", "undo", "done")),
        (1, 1)
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compensation_that_fails_is_tried_again() {
    let world = World::with(Script::default().with("confirm", &[Trouble::Refuse]).with("undo give", &[Trouble::Refuse])).await;
    assert_eq!(world.transfer(30).await.status, 422);
    assert_eq!(world.balances().await, (100, 100));
    assert_eq!(world.counted("MoveMoney", "confirm", "execute", "failed"), 1);
    assert_eq!((world.counted("MoveMoney", "give", "undo", "failed"), world.counted("MoveMoney", "give", "undo", "done")), (1, 1));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_twice_is_one_execution() {
    let world = World::with(Script::default()).await;
    let order = json!({ "key": "order-1", "transfer": world.input(30) }).to_string();
    let (first, second) = tokio::join!(post(world.teller.addr(), "/orders", &order), post(world.teller.addr(), "/orders", &order));
    assert_eq!((first.status, second.status), (200, 200), "{first:?} {second:?}");
    assert_eq!(first.json(), second.json());
    let done = post(world.teller.addr(), "/orders/done", &order).await;
    assert_eq!(done.status, 200, "{done:?}");
    assert_eq!(world.balances().await, (70, 130));
    let other = json!({ "key": "order-1", "transfer": world.input(31) }).to_string();
    for path in ["/orders", "/orders/done"] {
        let refused = post(world.teller.addr(), path, &other).await;
        let why = "the key `order-1` was used before, for another input of the saga `MoveMoney`";
        assert_eq!((refused.status, refused.detail().as_str()), (409, why));
    }
    assert_eq!(world.statuses().await.len(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_twice_in_one_handler_is_one_execution() {
    let world = World::with(Script::default()).await;
    let order = |amounts: [i64; 2]| json!({ "key": "order-1", "transfers": amounts.map(|amount| world.input(amount)) }).to_string();
    let refused = post(world.teller.addr(), "/orders/twice", &order([30, 31])).await;
    let why = "the key `order-1` was used before, for another input of the saga `MoveMoney`";
    assert_eq!((refused.status, refused.detail().as_str()), (409, why));
    let answer = post(world.teller.addr(), "/orders/twice", &order([30, 30])).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()[0], answer.json()[1]);
    until("it has ended", async || world.statuses().await == ["committed"]).await;
    assert_eq!(world.balances().await, (70, 130));
    world.stop().await;
}

/// Somebody else is faster, after the step has looked.
#[tokio::test(flavor = "multi_thread")]
async fn a_local_step_whose_key_is_taken_meanwhile_finds_the_execution_that_has_it() {
    let world = World::with(Script::default().with("order it", &[Trouble::Hold])).await;
    let (addr, order) = (world.teller.addr(), json!({ "key": "order-1", "transfer": world.input(30) }).to_string());
    let within = tokio::spawn({
        let order = order.clone();
        async move { post(addr, "/orders/within", &order).await }
    });
    until("it has looked", async || world.runs() == ["order it"]).await;
    let first = post(addr, "/orders", &order).await;
    world.script.release("order it", true);
    let within = within.await.unwrap();
    assert_eq!((first.status, within.status), (200, 200), "{within:?}");
    assert_eq!(first.json(), within.json());
    assert_eq!(world.runs().iter().filter(|run| *run == "order it").count(), 2);
    until("both have ended", async || world.statuses().await == ["committed"; 2]).await;
    assert_eq!(world.balances().await, (70, 130));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_lose_no_money() {
    let world = World::with(Script::default().with("confirm", &[Trouble::Refuse; 10])).await;
    let answers = futures_util::future::join_all((0..50).map(|_| world.transfer(1))).await;
    let done = answers.iter().filter(|answer| answer.status == 200).count() as i64;
    assert_eq!(done, 40, "{answers:?}");
    until("all have ended", async || world.statuses().await.iter().all(|status| status != "running")).await;
    assert_eq!(world.balances().await, (60, 140));
    world.stop().await;
}
