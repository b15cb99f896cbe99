//! What we claim about Kafka, as ratios against the raw client doing the same work in the same run:
//!
//! ```sh
//! scripts/services up
//! eval "$(scripts/services env)"
//! cargo bench --features bench-kafka --bench kafka 2>/dev/null
//! ```
//!
//! Each pair is measured in turn, several times, and the medians are compared. Records are the same on both sides, headers included.

#![allow(unreachable_pub)]

use futures_util::{StreamExt, stream::FuturesUnordered};
use minos::{
    Config, Timestamp, Uuid,
    broker::{Broker, KafkaBroker, Relay, RetryPolicy},
    clock,
    health::Health,
    message::Envelope,
    metrics::Metrics,
    prelude::*,
    stop::Stopper,
    store::{Append, Cause, MemoryStore, NewEvent, SharedStore, StoredEvent, StreamId, Unit},
};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, CommitMode, Consumer},
    message::{Header, Headers as _, Message as _, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

const ROUNDS: usize = 5;
/// Events of one round, and of how many streams they are. The relay saves how far it came each 100 ms, and is done when that is saved: a round has to
/// take much longer.
const EVENTS: u64 = 200_000;
const STREAMS: u64 = 1000;
/// How many messages the raw producer has under way, as the relay.
const WINDOW: usize = 1024;
/// How many records are there to be consumed, at least, how many are sent at once, and how often they are consumed.
const CONSUMED: u64 = 200_000;
const SENT: u64 = 40_000;
const CONSUME_ROUNDS: usize = 3;
/// How many marks the raw consumer writes at once: as many as handlers run at once.
const BATCH: usize = 256;

/// Counts what was handled, from inside the handler.
#[derive(Default, Clone)]
struct Handled(Arc<AtomicU64>);

#[aggregate]
pub struct Foo {
    pub bar: String,
    pub n: u64,
}

#[event("FooUpdated")]
async fn foo_updated(cx: &mut Context, _event: FooUpdated) -> Result<()> {
    cx.resource::<Handled>()?.0.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

fn main() {
    let Ok(url) = std::env::var("MINOS_TEST_KAFKA_URL") else {
        eprintln!("`MINOS_TEST_KAFKA_URL` is not set: `scripts/services up` starts a Kafka, `scripts/services env` names it");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    runtime.block_on(async {
        if is_wanted("relay") {
            relay(&url).await;
        }
        if is_wanted("consume") {
            consume(&url).await;
        }
    });
}

fn report(what: &str, goal: &str, ours: &mut [f64], raw: &mut [f64]) {
    let median = |all: &mut [f64]| {
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let (ours, raw) = (median(ours), median(raw));
    println!("{what:<44} {ours:>9.0}/s  raw {raw:>9.0}/s  ratio {:.2}  {goal}", ours / raw);
}

fn config(url: &str, service: &str, store: &str) -> String {
    format!(
        "[service]\nname = \"{service}\"\n[http]\naddr = \"127.0.0.1:0\"\n[store]\nurl = \"{store}\"\n[broker]\nurl = \"{url}\"\n[log]\nlevel = \"error\""
    )
}

fn unique(name: &str) -> String {
    format!("{name}-{}", Uuid::now_v7().simple())
}

fn broker(url: &str) -> Arc<KafkaBroker> {
    let config = Config::parse(&config(url, &unique("bench"), "memory:")).expect("a configuration");
    Arc::new(KafkaBroker::new(&config, &Health::new(clock::system()), &Metrics::new("bench")).expect("a broker"))
}

fn cause() -> Cause {
    Cause { correlation: Uuid::now_v7(), causation: Uuid::now_v7(), user: None, trace: None }
}

fn data(n: u64) -> String {
    format!("{{\"bar\":\"the name of a foo, which is not too short\",\"n\":{n}}}")
}

/// The events of one round, as they are sent: of many streams, each in order.
fn messages(topic: &str, events: u64) -> Vec<Envelope> {
    let streams: Vec<_> = (0..STREAMS).map(|_| StreamId::new(topic.to_owned(), Uuid::now_v7())).collect();
    let all = (1..=events / STREAMS).flat_map(|version| streams.iter().map(move |stream| (version, stream.clone())));
    let event = |(version, stream)| {
        Envelope::of_event(StoredEvent {
            position: 0,
            stream,
            version,
            name: "FooUpdated".to_owned(),
            data: data(version),
            at: Timestamp::now(),
            cause: cause(),
        })
    };
    all.map(event).collect()
}

/// From the log to Kafka, against the raw producer with the same promises and the same records.
async fn relay(url: &str) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let broker = broker(url);
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", url.trim_start_matches("kafka://"))
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "1")
        .create()
        .expect("a producer");
    for _ in 0..ROUNDS {
        let topic = unique("Foo");
        // The topic is there before the clock runs.
        broker.publish(messages(&topic, STREAMS).remove(0)).await.expect("it is sent");
        ours.push(relayed(broker.clone(), &topic).await);
        theirs.push(produced(&producer, &messages(&topic, EVENTS)).await);
    }
    broker.close().await;
    report("relay to Kafka", "(goal 0.5)", &mut ours, &mut theirs);
}

async fn relayed(broker: Arc<KafkaBroker>, topic: &str) -> f64 {
    let store: SharedStore = Arc::new(MemoryStore::new());
    let streams: Vec<_> = (0..STREAMS).map(|_| StreamId::new(topic.to_owned(), Uuid::now_v7())).collect();
    for version in 0..EVENTS / STREAMS {
        for stream in &streams {
            let mut unit = Unit::new(Timestamp::now(), cause());
            let events = vec![NewEvent { name: "FooUpdated".into(), data: data(version) }];
            unit.appends.push(Append { stream: stream.clone(), expected: version, events });
            store.commit(unit).await.expect("it is stored");
        }
    }
    let relay =
        Relay::new(store.clone(), broker, clock::system(), Health::new(clock::system()), Metrics::new("bench"), RetryPolicy::default());
    let stopper = Stopper::new();
    let started = Instant::now();
    let running = tokio::spawn(relay.run(stopper.hear()));
    while store.checkpoint("relay").await.expect("a checkpoint") < EVENTS {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let rate = EVENTS as f64 / started.elapsed().as_secs_f64();
    stopper.say();
    running.await.expect("it ends");
    rate
}

async fn produced(producer: &FutureProducer, messages: &[Envelope]) -> f64 {
    let started = Instant::now();
    let mut sending = FuturesUnordered::new();
    for message in messages {
        if sending.len() >= WINDOW {
            sending.next().await;
        }
        let headers = message
            .fields()
            .iter()
            .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(value.as_bytes()) }));
        let mut record = FutureRecord::<str, [u8]>::to(&message.topic).payload(&message.content).headers(headers);
        record.key = message.key.as_deref();
        sending.push(producer.send_result(record).map_err(|(error, _)| error).expect("there is room"));
    }
    while let Some(sent) = sending.next().await {
        sent.expect("the producer is there").map_err(|(error, _)| error).expect("it is sent");
    }
    messages.len() as f64 / started.elapsed().as_secs_f64()
}

/// From Kafka through the inbox and a handler, against a raw consumer that marks the same in the same way: what it read, in one transaction of
/// SQLite, and then the offsets. What the raw consumer does without any mark is told as well: it is no baseline, since it loses or repeats.
async fn consume(url: &str) {
    let publisher = broker(url);
    let before = end(url, "Foo");
    let mut sending = FuturesUnordered::new();
    for message in (before..CONSUMED).step_by(SENT as usize).flat_map(|_| messages("Foo", SENT)) {
        if sending.len() >= WINDOW {
            sending.next().await.transpose().expect("it is sent");
        }
        sending.push(publisher.publish(message));
    }
    while let Some(sent) = sending.next().await {
        sent.expect("it is sent");
    }
    publisher.close().await;
    let all = end(url, "Foo");
    let (mut ours, mut theirs, mut reads) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..CONSUME_ROUNDS {
        ours.push(handled(url, all).await);
        for (rates, marks) in [(&mut theirs, true), (&mut reads, false)] {
            let url = url.to_owned();
            rates.push(tokio::task::spawn_blocking(move || consumed(&url, all, marks)).await.expect("it ends"));
        }
    }
    report("consume and handle on SQLite", "(goal 0.5)", &mut ours, &mut theirs);
    report("  the same beside reading alone", "", &mut ours, &mut reads);
}

/// How many records a topic has.
fn end(url: &str, topic: &str) -> u64 {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", url.trim_start_matches("kafka://")).create().expect("a consumer");
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10)).expect("an answer");
    let partitions = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
    let count = |partition| consumer.fetch_watermarks(topic, partition as i32, Duration::from_secs(10)).map_or(0, |(_, end)| end as u64);
    (0..partitions).map(count).sum()
}

async fn handled(url: &str, all: u64) -> f64 {
    let directory = tempfile::tempdir().expect("a directory");
    let store = format!("sqlite://{}", directory.path().join("bench.db").display());
    let handled = Handled::default();
    let service = Service::from_toml(&config(url, &unique("bench"), &store)).expect("a configuration").with(handled.clone());
    let running = service.start().await.expect("it starts");
    // Joining the group is not what is measured.
    let count = || handled.0.load(Ordering::Relaxed);
    while count() == 0 {
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    let (started, first) = (Instant::now(), count());
    while count() < all {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let rate = (all - first) as f64 / started.elapsed().as_secs_f64();
    running.stop().await;
    rate
}

fn consumed(url: &str, all: u64, marks: bool) -> f64 {
    let directory = tempfile::tempdir().expect("a directory");
    let mut database = rusqlite::Connection::open(directory.path().join("raw.db")).expect("a database");
    let schema = "PRAGMA journal_mode = wal; PRAGMA synchronous = full;
        CREATE TABLE inbox (subscriber TEXT NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (subscriber, key)) STRICT, WITHOUT ROWID";
    database.execute_batch(schema).expect("a schema");
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", url.trim_start_matches("kafka://"))
        .set("group.id", unique("raw"))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("a consumer");
    consumer.subscribe(&["Foo"]).expect("a subscription");
    let (mut count, mut started, mut batch) = (0, None, Vec::new());
    while count < all {
        let Some(record) = consumer.poll(if batch.is_empty() { Duration::from_millis(100) } else { Duration::ZERO }) else {
            write(&mut database, &consumer, &mut batch);
            continue;
        };
        let record = record.expect("a record");
        started.get_or_insert_with(Instant::now);
        count += 1;
        if marks {
            let version = record.headers().into_iter().flat_map(|headers| headers.iter()).find(|header| header.key == "version");
            let version = version.and_then(|header| std::str::from_utf8(header.value?).ok()?.parse::<i64>().ok());
            let key = std::str::from_utf8(record.key().expect("a key")).expect("a text").to_owned();
            serde_json::from_slice::<serde_json::Value>(record.payload().expect("a content")).expect("an event");
            consumer.store_offset_from_message(&record).expect("it is stored");
            batch.push((key, version.expect("a version")));
            if batch.len() == BATCH || count == all {
                write(&mut database, &consumer, &mut batch);
            }
        }
    }
    count as f64 / started.expect("there are records").elapsed().as_secs_f64()
}

/// Marks what was read, and then says how far that is.
fn write(database: &mut rusqlite::Connection, consumer: &BaseConsumer, batch: &mut Vec<(String, i64)>) {
    if batch.is_empty() {
        return;
    }
    let transaction = database.transaction().expect("it begins");
    for (key, version) in batch.drain(..) {
        let sql = "INSERT INTO inbox (subscriber, key, version) VALUES (?1, ?2, ?3)
            ON CONFLICT (subscriber, key) DO UPDATE SET version = excluded.version WHERE version < excluded.version";
        transaction.prepare_cached(sql).expect("a statement").execute(("bench", key, version)).expect("it is marked");
    }
    transaction.commit().expect("it commits");
    consumer.commit_consumer_state(CommitMode::Async).expect("it is committed");
}
