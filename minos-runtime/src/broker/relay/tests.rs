//! The relay with brokers that are told what to do.

use super::*;
use crate::{
    broker::{BrokerResult, Consumer, Source},
    clock,
    message::Envelope,
    stop::Stopper,
    store::{Append, Cause, MemoryStore, NewEvent, NewMessage, StreamId, Unit},
};
use futures_util::{
    FutureExt,
    future::{self, BoxFuture},
};
use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};
use uuid::Uuid;

/// What the broker has taken, by topic and in order; and the topic that it refuses.
#[derive(Default)]
struct Taken {
    versions: Mutex<HashMap<String, Vec<u64>>>,
    published: AtomicUsize,
    refuses: Mutex<Option<&'static str>>,
    is_away: AtomicBool,
}

impl Taken {
    fn of(&self, topic: &str) -> Vec<u64> {
        self.versions.lock().unwrap().get(topic).cloned().unwrap_or_default()
    }
}

impl Broker for Taken {
    fn describe(&self) -> String {
        "a test".to_owned()
    }

    fn carried(&self) -> Option<Vec<String>> {
        None
    }

    fn publish(&self, message: Envelope) -> BoxFuture<'static, BrokerResult> {
        self.published.fetch_add(1, Ordering::SeqCst);
        let result = if self.is_away.load(Ordering::SeqCst) {
            Err(BrokerError::Unavailable("away".to_owned()))
        } else if self.refuses.lock().unwrap().is_some_and(|topic| topic == message.topic) {
            Err(BrokerError::Refused { topic: message.topic, why: "as told".to_owned() })
        } else {
            self.versions.lock().unwrap().entry(message.topic).or_default().push(message.version.unwrap_or_default());
            Ok(())
        };
        future::ready(result).boxed()
    }

    fn subscribe(&self, _: &str, _: Vec<Source>, _: Arc<dyn Consumer>) -> BoxFuture<'_, BrokerResult> {
        future::ready(Ok(())).boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        future::ready(()).boxed()
    }
}

fn unit() -> Unit {
    Unit::new(clock::system().now(), Cause::nobody())
}

async fn append(store: &SharedStore, aggregate: &'static str, versions: std::ops::Range<u64>) {
    append_named(store, aggregate, versions, "Happened").await;
}

async fn append_named(store: &SharedStore, aggregate: &'static str, versions: std::ops::Range<u64>, name: &'static str) {
    for version in versions {
        let events = vec![NewEvent { name: name.into(), data: "{}".to_owned() }];
        let append = Append { stream: StreamId::new(aggregate, Uuid::nil()), expected: version, events };
        store.commit(Unit { appends: vec![append], ..unit() }).await.unwrap();
    }
}

/// Starts the relay; it ends when the stopper is dropped.
fn relay(store: &SharedStore, broker: &Arc<Taken>) -> (Health, Metrics, Stopper) {
    let (health, metrics, stopper) = (Health::new(clock::system()), Metrics::new("test"), Stopper::new());
    let pause = Duration::from_millis(5);
    let policy = RetryPolicy { attempts: 3, first_pause: pause, longest_pause: pause };
    let relay = Relay::new(store.clone(), broker.clone(), clock::system(), health.clone(), metrics.clone(), policy);
    tokio::spawn(relay.run(stopper.hear()));
    (health, metrics, stopper)
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..1000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within 10 s: {what}");
}

#[tokio::test]
async fn what_is_the_frameworks_own_affair_is_told_to_nobody() {
    let (store, broker) = (Arc::new(MemoryStore::new()) as SharedStore, Arc::new(Taken::default()));
    append(&store, "Foo", 0..1).await;
    append_named(&store, "Foo", 1..3, "$held").await;
    append(&store, "Foo", 3..4).await;
    append_named(&store, "Foo", 4..5, "$released").await;
    let (_, _, _stopper) = relay(&store, &broker);
    until("all is behind", async || store.checkpoint(NAME).await.unwrap() == 5).await;
    assert_eq!(broker.of("Foo"), [1, 4]);
}

#[tokio::test]
async fn a_topic_that_refuses_stops_no_other() {
    const COUNT: u64 = 2000;
    let (store, broker) = (Arc::new(MemoryStore::new()) as SharedStore, Arc::new(Taken::default()));
    *broker.refuses.lock().unwrap() = Some("Bad");
    append(&store, "Bad", 0..5).await;
    append(&store, "Good", 0..COUNT).await;
    append(&store, "Bad", 5..10).await;
    let message = NewMessage { id: Uuid::now_v7(), topic: "Bad".to_owned(), key: None, headers: headers("Bad"), content: "{}".to_owned() };
    store.commit(Unit { messages: vec![message], ..unit() }).await.unwrap();
    let (health, _, _stopper) = relay(&store, &broker);
    until("the others arrive", async || broker.of("Good").len() as u64 == COUNT).await;
    append(&store, "Good", COUNT..COUNT + 10).await;
    append(&store, "Bad", 10..15).await;
    until("the others go on", async || broker.of("Good").len() as u64 == COUNT + 10).await;
    assert!(broker.of("Good").iter().copied().eq(1..=COUNT + 10), "in order, and each once");
    assert!(!health.parts()["sending"].works() && health.is_ready(), "it is told, and the service is ready");
    until("progress is saved before the first that waits", async || store.checkpoint(NAME).await.unwrap() == 0).await;

    *broker.refuses.lock().unwrap() = None;
    until("what waited arrives", async || broker.of("Bad").len() == 16).await;
    let events: Vec<u64> = broker.of("Bad").into_iter().filter(|version| *version > 0).collect();
    assert!(events.iter().copied().eq(1..=15), "in order, and each once: {events:?}");
    until("all progress is saved", async || store.checkpoint(NAME).await.unwrap() == COUNT + 25).await;
    until("the outbox is empty", async || store.outbox(0, 10).await.unwrap().is_empty()).await;
    until("it is told that it works", async || health.parts()["sending"].works()).await;
}

fn headers(name: &str) -> String {
    let cause = Cause::nobody();
    Envelope::request(Uuid::now_v7(), name, None, "{}", clock::system().now(), cause).headers()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_is_saved_while_there_is_always_more() {
    let (store, broker) = (Arc::new(MemoryStore::new()) as SharedStore, Arc::new(Taken::default()));
    append(&store, "Good", 0..1000).await;
    let (_, _, _stopper) = relay(&store, &broker);
    let more = tokio::spawn({
        let store = store.clone();
        async move {
            for version in (1000..).step_by(50) {
                append(&store, "Good", version..version + 50).await;
                tokio::task::yield_now().await;
            }
        }
    });
    until("it is saved", async || store.checkpoint(NAME).await.unwrap() > 1000).await;
    assert!(!more.is_finished(), "there was more all the time");
    more.abort();
}

#[tokio::test]
async fn a_leader_that_the_broker_does_not_hear_lets_another_one_try() {
    let (store, away, there) = (Arc::new(MemoryStore::new()) as SharedStore, Arc::new(Taken::default()), Arc::new(Taken::default()));
    away.is_away.store(true, Ordering::SeqCst);
    append(&store, "Foo", 0..3).await;
    let (_, metrics, _first) = relay(&store, &away);
    until("the first one has tried", async || away.published.load(Ordering::SeqCst) > 0).await;
    let (_, _, _second) = relay(&store, &there);
    until("the second one sends", async || there.of("Foo").len() == 3).await;
    until("and leads", async || store.checkpoint(NAME).await.unwrap() == 3).await;
    until("the first one does not", async || metrics.relay_leads.get() == 0).await;
}
