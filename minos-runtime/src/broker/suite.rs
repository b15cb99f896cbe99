//! What every broker does: one suite, run on each implementation.
//!
//! ```ignore
//! minos_runtime::broker_suite!(local, async || Local(LocalBroker::new()));
//! ```

use super::{Audience, Broker, BrokerError, BrokerResult, Consumer, Source, Undecodable};
use crate::{
    message::{Envelope, MessageKind},
    store::Cause,
};
use futures_util::{
    future::{self, BoxFuture, FutureExt},
    stream::{FuturesUnordered, StreamExt},
};
use jiff::Timestamp;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::sync::watch;
use uuid::Uuid;

/// Every case of the suite as a test of its own. `$make` makes a [`Cluster`](crate::broker::suite::Cluster).
#[macro_export]
macro_rules! broker_suite {
    ($name:ident, $make:expr) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            $crate::broker_suite!(@cases $make;
                a_message_arrives_as_it_was_sent order_within_a_key what_was_not_handled_comes_again every_service_gets_events
                processes_share_what_is_for_one every_process_gets_answers what_was_sent_before_is_kept slow_work_keeps_nobody_waiting
                too_large_is_refused_for_good a_closed_one_delivers_nothing_more);
        }
    };
    (@cases $make:expr; $($case:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let make = $make;
            if let Some(cluster) = make().await {
                $crate::broker::suite::$case(&cluster).await;
            }
        })*
    };
}

/// Where brokers meet.
pub trait Cluster {
    /// A broker of a process of this service.
    fn join(&self, service: &str) -> BoxFuture<'_, Arc<dyn Broker>>;

    /// Makes sure that a topic can be used, where the broker cannot do that itself.
    fn prepare(&self, topic: &str);

    /// Whether messages outlast the process that sent them.
    fn keeps(&self) -> bool;
}

/// How long something may take that has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

type Answer = dyn Fn(&Envelope) -> BoxFuture<'static, BrokerResult> + Send + Sync;

/// Keeps what it gets, and does with it what the test says.
pub struct Inbox {
    taken: watch::Sender<Vec<Envelope>>,
    answer: Box<Answer>,
    raw: Mutex<Vec<Undecodable>>,
}

impl Inbox {
    /// Handles everything at once.
    pub fn new() -> Arc<Self> {
        Inbox::that(|_| future::ready(Ok(())).boxed())
    }

    /// Answers for a message like this. It counts as taken as soon as it is there.
    pub fn that(answer: impl Fn(&Envelope) -> BoxFuture<'static, BrokerResult> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Inbox { taken: watch::Sender::default(), answer: Box::new(answer), raw: Mutex::default() })
    }

    /// All that came so far, in order.
    pub fn taken(&self) -> Vec<Envelope> {
        self.taken.borrow().clone()
    }

    /// All that came and could not be read.
    pub fn unreadable(&self) -> Vec<Undecodable> {
        self.raw.lock().unwrap().clone()
    }

    /// Waits until what came fulfils a condition.
    pub async fn until(&self, what: &str, condition: impl Fn(&[Envelope]) -> bool) -> Vec<Envelope> {
        let (started, mut taken) = (Instant::now(), self.taken.subscribe());
        loop {
            let began = Instant::now();
            if condition(&taken.borrow_and_update()) {
                return self.taken();
            }
            // To look takes longer the more there is, and whoever delivers waits meanwhile: it must not be most of the time.
            tokio::time::sleep(began.elapsed() * 4).await;
            let left = PATIENCE.saturating_sub(started.elapsed());
            if !matches!(tokio::time::timeout(left, taken.changed()).await, Ok(Ok(()))) {
                break;
            }
        }
        let ids: Vec<_> = self.taken().iter().map(|message| (message.topic.clone(), message.key.clone(), message.version)).collect();
        panic!("not so within {PATIENCE:?}: {what}; {} came: {ids:?}", ids.len());
    }

    /// Waits until so many came.
    pub async fn count(&self, count: usize) -> Vec<Envelope> {
        self.until(&format!("{count} messages"), |taken| taken.len() >= count).await
    }
}

impl Consumer for Inbox {
    fn deliver(&self, message: Envelope) -> BoxFuture<'static, BrokerResult> {
        let answer = (self.answer)(&message);
        self.taken.send_modify(|taken| taken.push(message));
        answer
    }

    fn undecodable(&self, message: Undecodable) -> BoxFuture<'static, BrokerResult> {
        self.raw.lock().unwrap().push(message);
        // Wakes who waits.
        self.taken.send_modify(|_| {});
        future::ready(Ok(())).boxed()
    }
}

/// A name that nobody else has.
pub fn unique(name: &str) -> String {
    format!("{name}-{}", Uuid::now_v7().simple())
}

/// Where events are listened to.
pub fn events(topic: &str) -> Vec<Source> {
    vec![Source { topic: topic.to_owned(), kind: MessageKind::Event, audience: Audience::OneProcess }]
}

fn answers(topic: &str) -> Vec<Source> {
    vec![Source { topic: topic.to_owned(), kind: MessageKind::Reply, audience: Audience::EveryProcess }]
}

/// An event of this key, with a number.
pub fn event(topic: &str, uuid: Uuid, version: u64) -> Envelope {
    // Long ago: what is sent late must not be taken for old by who keeps it.
    let at = Timestamp::from_microsecond(1_700_000_000_123_456).expect("a time");
    let cause = Cause { correlation: Uuid::now_v7(), causation: Uuid::now_v7(), user: Some("jemand mit ü".into()), trace: None };
    let content = format!("{{\"text\":\"ä\u{1f600}\",\"n\":{version}}}");
    Envelope {
        kind: MessageKind::Event,
        name: format!("{topic}Updated"),
        aggregate: Some(topic.to_owned()),
        uuid: Some(uuid),
        version: Some(version),
        traceparent: crate::Trace::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ..Envelope::request(Uuid::now_v7(), topic, Some(uuid.to_string()), content, at, cause)
    }
}

/// How many messages are under way at once.
const WINDOW: usize = 500;

/// Publishes as the relay does: many are under way, and when one is refused, all is let go of, and handed over again from there on.
pub async fn publish_all(broker: &dyn Broker, messages: &[Envelope]) {
    let mut answered = vec![false; messages.len()];
    let all = async {
        loop {
            let Some(first) = answered.iter().position(|answered| !answered) else { return };
            let (mut next, mut sending, mut refused) = (first, FuturesUnordered::new(), false);
            while !refused && (next < messages.len() || !sending.is_empty()) {
                while next < messages.len() && sending.len() < WINDOW {
                    sending.push(broker.publish(messages[next].clone()).map(move |result| (next, result)));
                    next += 1;
                }
                match sending.next().await {
                    Some((n, Ok(()))) => answered[n] = true,
                    _ => refused = true,
                }
            }
            // From the first that has no answer on: what came behind it is sent again as well.
            let again = answered.iter().position(|answered| !answered).unwrap_or(messages.len());
            answered[again..].fill(false);
            drop(sending);
            if refused {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    tokio::time::timeout(PATIENCE, all).await.expect("the broker takes messages within a minute");
}

/// The versions of each key in the order in which they came first: a repetition is no news.
pub fn firsts(taken: &[Envelope]) -> HashMap<Option<String>, Vec<u64>> {
    let (mut seen, mut firsts) = (HashSet::new(), HashMap::<_, Vec<u64>>::new());
    for message in taken {
        if seen.insert(message.id) {
            firsts.entry(message.key.clone()).or_default().push(message.version.unwrap_or_default());
        }
    }
    firsts
}

/// Asserts that each of these keys came completely and in order.
pub fn assert_complete(taken: &[Envelope], keys: usize, each: u64) {
    let firsts = firsts(taken);
    assert_eq!(firsts.len(), keys, "keys");
    for (key, versions) in firsts {
        assert_eq!(versions, (1..=each).collect::<Vec<_>>(), "of {key:?}");
    }
}

fn mixed(topic: &str, keys: usize, each: u64) -> Vec<Envelope> {
    let uuids: Vec<_> = (0..keys).map(|_| Uuid::now_v7()).collect();
    (1..=each).flat_map(|version| uuids.iter().map(move |uuid| event(topic, *uuid, version))).collect()
}

/// A topic and a service of their own, and a broker of that service.
async fn one(cluster: &impl Cluster) -> (String, String, Arc<dyn Broker>) {
    let (topic, service) = (unique("Foo"), unique("foo"));
    cluster.prepare(&topic);
    let broker = cluster.join(&service).await;
    (topic, service, broker)
}

#[allow(missing_docs)]
pub async fn a_message_arrives_as_it_was_sent(cluster: &impl Cluster) {
    let (topic, service, broker) = one(cluster).await;
    let inbox = Inbox::new();
    broker.subscribe(&service, events(&topic), inbox.clone()).await.unwrap();
    let full = event(&topic, Uuid::now_v7(), 1);
    let at = full.occurred_at;
    let cause = Cause { correlation: Uuid::now_v7(), causation: Uuid::now_v7(), user: None, trace: None };
    let mut bare = Envelope::request(Uuid::now_v7(), &topic, None, "", at, cause);
    bare.reply_to = Some("nobody.replies".to_owned());
    let reply = Envelope { topic: topic.clone(), ..bare.reply(404, "null", at).unwrap() };
    let sent = [full, bare, reply];
    for message in &sent {
        broker.publish(message.clone()).await.unwrap();
    }
    let taken = inbox.count(3).await;
    for message in &sent {
        assert!(taken.contains(message), "{message:?} is not among {taken:?}");
    }
    broker.close().await;
}

#[allow(missing_docs)]
pub async fn order_within_a_key(cluster: &impl Cluster) {
    let (topic, service, broker) = one(cluster).await;
    let inbox = Inbox::new();
    broker.subscribe(&service, events(&topic), inbox.clone()).await.unwrap();
    publish_all(&*broker, &mixed(&topic, 20, 50)).await;
    assert_complete(&inbox.count(1000).await, 20, 50);
    broker.close().await;
}

#[allow(missing_docs)]
pub async fn what_was_not_handled_comes_again(cluster: &impl Cluster) {
    let (topic, service, broker) = one(cluster).await;
    // Every tenth is refused when it comes first.
    let refused = Mutex::new(HashSet::new());
    let inbox = Inbox::that(move |message| {
        let again = message.version.is_some_and(|version| version % 10 != 0) || !refused.lock().unwrap().insert(message.id);
        let result = if again { Ok(()) } else { Err(BrokerError::Unavailable("not now".to_owned())) };
        async move {
            tokio::task::yield_now().await;
            result
        }
        .boxed()
    });
    broker.subscribe(&service, events(&topic), inbox.clone()).await.unwrap();
    let sent = mixed(&topic, 3, 30);
    publish_all(&*broker, &sent).await;
    let of = |taken: &[Envelope], id: Uuid| taken.iter().filter(|message| message.id == id).count();
    let tenth: Vec<_> = sent.iter().filter(|message| message.version.is_some_and(|version| version % 10 == 0)).map(|m| m.id).collect();
    let all: Vec<_> = sent.iter().map(|message| message.id).collect();
    let complete = |taken: &[Envelope]| tenth.iter().all(|id| of(taken, *id) >= 2) && all.iter().all(|id| of(taken, *id) >= 1);
    inbox.until("all came, and what was refused came again", complete).await;
    broker.close().await;
}

#[allow(missing_docs)]
pub async fn every_service_gets_events(cluster: &impl Cluster) {
    let (topic, service, broker) = one(cluster).await;
    let second = unique("bar");
    let other = cluster.join(&second).await;
    let (inbox, others) = (Inbox::new(), Inbox::new());
    broker.subscribe(&service, events(&topic), inbox.clone()).await.unwrap();
    other.subscribe(&second, events(&topic), others.clone()).await.unwrap();
    publish_all(&*broker, &mixed(&topic, 10, 5)).await;
    assert_complete(&inbox.count(50).await, 10, 5);
    assert_complete(&others.count(50).await, 10, 5);
    broker.close().await;
    other.close().await;
}

#[allow(missing_docs)]
pub async fn processes_share_what_is_for_one(cluster: &impl Cluster) {
    if !cluster.keeps() {
        return; // A broker of one process has no others.
    }
    let (topic, service, broker) = one(cluster).await;
    let other = cluster.join(&service).await;
    let (inbox, others) = (Inbox::new(), Inbox::new());
    broker.subscribe(&service, events(&topic), inbox.clone()).await.unwrap();
    other.subscribe(&service, events(&topic), others.clone()).await.unwrap();
    // Both work when both get something; until then, more is sent.
    let (mut sent, started) = (0, tokio::time::Instant::now());
    while inbox.taken().is_empty() || others.taken().is_empty() {
        assert!(started.elapsed() < PATIENCE, "one process does not get anything");
        publish_all(&*broker, &mixed(&topic, 20, 1)).await;
        sent += 20;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The share is settled: from here on, each message comes to one of them.
    let before = tokio::time::timeout(PATIENCE, async {
        loop {
            let both: HashSet<_> = inbox.taken().iter().chain(&others.taken()).map(|message| message.id).collect();
            if both.len() == sent {
                return (inbox.taken().len(), others.taken().len());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("all messages come to one or the other");
    publish_all(&*broker, &mixed(&topic, 60, 5)).await;
    let both = async {
        loop {
            let (mine, theirs) = (inbox.taken().split_off(before.0), others.taken().split_off(before.1));
            if mine.len() + theirs.len() >= 300 {
                return (mine, theirs);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let (mine, theirs) = tokio::time::timeout(PATIENCE, both).await.expect("all messages come to one or the other");
    assert!(!mine.is_empty() && !theirs.is_empty(), "{} and {}", mine.len(), theirs.len());
    let keys: HashSet<_> = mine.iter().map(|message| message.key.clone()).collect();
    assert!(theirs.iter().all(|message| !keys.contains(&message.key)), "a key is at one process");
    assert_complete(&mine.into_iter().chain(theirs).collect::<Vec<_>>(), 60, 5);
    broker.close().await;
    other.close().await;
}

#[allow(missing_docs)]
pub async fn every_process_gets_answers(cluster: &impl Cluster) {
    let (topic, service, broker) = one(cluster).await;
    let other = if cluster.keeps() { Some(cluster.join(&service).await) } else { None };
    let (inbox, others) = (Inbox::new(), Inbox::new());
    if cluster.keeps() {
        publish_all(&*broker, &mixed(&topic, 1, 3)).await;
    }
    broker.subscribe(&service, answers(&topic), inbox.clone()).await.unwrap();
    if let Some(other) = &other {
        other.subscribe(&service, answers(&topic), others.clone()).await.unwrap();
    }
    // From the moment on at which it listens, nothing is missed; what came before is not for this process.
    let sent = mixed(&topic, 30, 2);
    publish_all(&*broker, &sent).await;
    for inbox in other.iter().map(|_| &others).chain([&inbox]) {
        let taken = inbox.count(60).await;
        assert_complete(&taken, 30, 2);
        assert_eq!(taken.len(), 60);
    }
    broker.close().await;
    if let Some(other) = other {
        other.close().await;
    }
}

#[allow(missing_docs)]
pub async fn what_was_sent_before_is_kept(cluster: &impl Cluster) {
    if !cluster.keeps() {
        return;
    }
    let (topic, service, broker) = one(cluster).await;
    publish_all(&*broker, &mixed(&topic, 10, 10)).await;
    let inbox = Inbox::new();
    broker.subscribe(&service, events(&topic), inbox.clone()).await.unwrap();
    assert_complete(&inbox.count(100).await, 10, 10);
    broker.close().await;
    // What was handled before does not come again to who follows.
    let (later, next) = (cluster.join(&service).await, Inbox::new());
    later.subscribe(&service, events(&topic), next.clone()).await.unwrap();
    let last = event(&topic, Uuid::now_v7(), 1);
    publish_all(&*later, std::slice::from_ref(&last)).await;
    assert_eq!(next.count(1).await, [last]);
    later.close().await;
}

#[allow(missing_docs)]
pub async fn slow_work_keeps_nobody_waiting(cluster: &impl Cluster) {
    let (topic, service, broker) = one(cluster).await;
    let stuck = Uuid::now_v7();
    let (open, gate) = watch::channel(false);
    let inbox = Inbox::that(move |message| {
        let mut gate = gate.clone();
        let waits = message.uuid == Some(stuck);
        async move {
            if waits {
                let _ = gate.wait_for(|open| *open).await;
            }
            Ok(())
        }
        .boxed()
    });
    broker.subscribe(&service, events(&topic), inbox.clone()).await.unwrap();
    let first = broker.publish(event(&topic, stuck, 1));
    publish_all(&*broker, &mixed(&topic, 10, 10)).await;
    inbox.count(101).await;
    open.send_replace(true);
    first.await.unwrap();
    broker.close().await;
}

#[allow(missing_docs)]
pub async fn too_large_is_refused_for_good(cluster: &impl Cluster) {
    let (topic, service, broker) = one(cluster).await;
    let Some(limit) = broker.max_message() else { return };
    let inbox = Inbox::new();
    broker.subscribe(&service, events(&topic), inbox.clone()).await.unwrap();
    let uuid = Uuid::now_v7();
    let before = broker.publish(event(&topic, uuid, 1));
    let refused = broker.publish(Envelope { content: vec![b' '; limit + 1].into(), ..event(&topic, uuid, 2) });
    let after = broker.publish(event(&topic, uuid, 3));
    before.await.unwrap();
    match refused.await {
        Err(BrokerError::TooLarge { topic: named, size, limit: told }) => assert!(named == topic && told == limit && size > limit),
        other => panic!("{other:?}"),
    }
    after.await.unwrap();
    // What is just small enough is taken.
    let rest = limit - Envelope { content: "".into(), ..event(&topic, uuid, 4) }.size();
    let largest = Envelope { content: vec![b'1'; rest].into(), ..event(&topic, uuid, 4) };
    broker.publish(largest.clone()).await.unwrap();
    let taken = inbox.count(3).await;
    assert_eq!(taken.iter().map(|message| message.version).collect::<Vec<_>>(), [Some(1), Some(3), Some(4)]);
    assert!(taken[2] == largest, "it arrives whole");
    broker.close().await;
}

#[allow(missing_docs)]
pub async fn a_closed_one_delivers_nothing_more(cluster: &impl Cluster) {
    if !cluster.keeps() {
        return; // It closes with the process.
    }
    let (topic, service, broker) = one(cluster).await;
    let inbox = Inbox::that(|_| tokio::time::sleep(Duration::from_millis(5)).map(Ok).boxed());
    broker.subscribe(&service, events(&topic), inbox.clone()).await.unwrap();
    publish_all(&*broker, &mixed(&topic, 10, 100)).await;
    inbox.count(100).await;
    broker.close().await;
    let taken = inbox.taken().len();
    let late = broker.publish(event(&topic, Uuid::now_v7(), 1)).await;
    assert!(matches!(late, Err(BrokerError::Unavailable(_))), "{late:?}");
    // The next process of the service goes on where this one ended, without a gap.
    let (later, next) = (cluster.join(&service).await, Inbox::new());
    later.subscribe(&service, events(&topic), next.clone()).await.unwrap();
    let before = inbox.taken();
    next.until("what the first did not take", |taken| firsts(&[&before[..], taken].concat()).values().map(Vec::len).sum::<usize>() == 1000)
        .await;
    assert_complete(&[before, next.taken()].concat(), 10, 100);
    assert_eq!(inbox.taken().len(), taken, "delivered after it was closed");
    later.close().await;
}
