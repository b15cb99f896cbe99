//! Faults of the broker, of the network of processes, and of other people's programs, on a real Kafka.

use super::{
    broker, broker_of, failing,
    kit::{Foreign, Own, Worker},
    real::Real,
    until_health,
};
use crate::{
    broker::{
        Audience, Broker, BrokerError, Source,
        suite::{Inbox, assert_complete, event, events, firsts, publish_all, unique},
    },
    message::{Envelope, MessageKind},
};
use futures_util::{FutureExt, future};
use rdkafka::message::{Headers, Message};
use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use uuid::Uuid;

const ONE_PARTITION: &str = "partitions = 1";

/// Runs a test on the real Kafka, if there is one.
macro_rules! real {
    ($($(#[$doc:meta])* async fn $name:ident($kafka:ident) $body:block)*) => {
        $($(#[$doc])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let Some($kafka) = Real::find(stringify!($name)) else { return };
            $body
        })*
    };
}

fn versions(uuid: Uuid, topic: &str, versions: std::ops::RangeInclusive<u64>) -> Vec<Envelope> {
    versions.map(|version| event(topic, uuid, version)).collect()
}

fn numbers(taken: &[Envelope]) -> Vec<u64> {
    taken.iter().filter_map(|message| message.version).collect()
}

real! {
    async fn any_client_can_read_what_is_sent(kafka) {
        let (topic, service) = (unique("Foo"), unique("foo"));
        let (broker, _) = broker(&kafka.url, &service, "");
        let sent = event(&topic, Uuid::now_v7(), 7);
        // Keys whose hashes the Java client's tests state.
        let known = [("21", -973_932_308_i32), ("foobar", -790_332_482), ("a-little-bit-long-string", -985_981_536), ("abc", 479_470_107)];
        let keyed = known.map(|(key, _)| Envelope { key: Some(key.to_owned()), ..event(&topic, Uuid::now_v7(), 1) });
        publish_all(&*broker, &[&[sent.clone()][..], &keyed].concat()).await;
        let records = kafka.read(&topic, 5);
        for (key, hash) in known {
            let record = records.iter().find(|record| record.key() == Some(key.as_bytes())).unwrap();
            assert_eq!(record.partition(), (hash & 0x7fff_ffff) % 6, "{key}");
        }
        let record = records.iter().find(|record| record.key() == sent.key.as_ref().map(String::as_bytes)).unwrap();
        assert_eq!(record.payload(), Some(&sent.content[..]));
        let headers = record.headers().unwrap();
        let headers: BTreeMap<_, _> = headers.iter().map(|header| (header.key, std::str::from_utf8(header.value.unwrap()).unwrap())).collect();
        let (id, uuid) = (sent.id.to_string(), sent.uuid.unwrap().to_string());
        for (name, value) in [("id", &*id), ("kind", "event"), ("uuid", &uuid), ("version", "7"), ("content-type", "application/json")] {
            assert_eq!(headers.get(name), Some(&value), "{name}");
        }
        let all = "aggregate causation-id content-type correlation-id id kind name occurred-at traceparent user uuid version";
        assert_eq!(headers.into_keys().collect::<Vec<_>>().join(" "), all);
        broker.close().await;
    }

    /// F14: what cannot be read is put aside raw, once, and what comes behind it is handled.
    async fn f14_undecodable_records(kafka) {
        let (topic, service) = (unique("Foo"), unique("foo"));
        let (first, health) = broker(&kafka.url, &service, ONE_PARTITION);
        let inbox = Inbox::new();
        first.subscribe(&service, events(&topic), inbox.clone()).await.unwrap();
        kafka.send(&topic, None, &[
            (None, b"\xff\xfe", &[]),
            (Some(b"\xff"), b"{}", &[("name", b"FooCreated")]),
            (None, b"<a/>", &[("name", b"FooCreated"), ("content-type", b"text/xml")]),
            (None, b"{}", &[("name", b"\xff"), ("other", b"text")]),
            (None, b"{}", &[("name", b"FooCreated"), ("version", b"one")]),
            (None, b"{}", &[("name", b"Fine")]),
        ]);
        let taken = inbox.until("the last one is handled", |taken| taken.iter().any(|message| message.name == "Fine")).await;
        assert_eq!(taken.len(), 1);
        let unreadable = inbox.unreadable();
        let told: Vec<_> = unreadable.iter().map(|raw| (&raw.content[..], raw.cause.as_str())).collect();
        assert_eq!(told, [
            (&b"\xff\xfe"[..], "it has no header `name` that says which event it is"),
            (b"{}", "its key is no text"),
            (b"<a/>", "its header `content-type` is `text/xml`, not `application/json`"),
            (b"{}", "its header `name` is no text"),
            (b"{}", "its header `version` is `one`: invalid digit found in string"),
        ]);
        assert_eq!(unreadable[3].place, format!("{topic}/0@3"));
        assert!(unreadable[3].headers.contains("\"other\":\"text\""), "{}", unreadable[3].headers);
        kafka.until_committed(&service, &topic, 0, 6).await;
        assert_eq!(failing(&health), None, "it is not the broker's fault");
        first.close().await;
        // They do not come again.
        let (second, again) = (broker(&kafka.url, &service, "").0, Inbox::new());
        second.subscribe(&service, events(&topic), again.clone()).await.unwrap();
        kafka.send(&topic, None, &[(None, b"{}", &[("name", b"Later")])]);
        assert_eq!(again.count(1).await[0].name, "Later");
        assert!(again.unreadable().is_empty());
        second.close().await;
    }

    /// A foreign program needs to know no more than the topic and the content.
    async fn a_request_of_a_foreign_program(kafka) {
        let (topic, service) = (unique("CreateFoo"), unique("foo"));
        let (broker, _) = broker(&kafka.url, &service, "");
        let inbox = Inbox::new();
        let source = Source { topic: topic.clone(), kind: MessageKind::Request, audience: Audience::OneProcess };
        broker.subscribe(&service, vec![source], inbox.clone()).await.unwrap();
        kafka.send(&topic, Some(2), &[(Some(b"k"), b"{\"bar\":1}", &[])]);
        let taken = inbox.count(1).await;
        let Envelope { kind, name, key, content, id, .. } = &taken[0];
        assert_eq!((*kind, name, key.as_deref(), &content[..]), (MessageKind::Request, &topic, Some("k"), &b"{\"bar\":1}"[..]));
        let id = *id;
        // The same whenever it comes again, to whomever.
        let (other, again) = (super::broker(&kafka.url, &unique("bar"), "").0, Inbox::new());
        let source = Source { topic: topic.clone(), kind: MessageKind::Request, audience: Audience::OneProcess };
        other.subscribe("bar", vec![source], again.clone()).await.unwrap();
        assert_eq!(again.count(1).await[0].id, id);
        other.close().await;
        // At the same place of a topic that was made anew, it is another one.
        kafka.delete_topic(&topic).await;
        publish_all(&*broker, &versions(Uuid::now_v7(), &topic, 1..=1)).await;
        kafka.delete_topic(&topic).await;
        let made = Instant::now();
        while kafka.admin().inner().fetch_metadata(Some(&topic), super::kit::PATIENCE).unwrap().topics()[0].partitions().is_empty() {
            assert!(made.elapsed() < super::kit::PATIENCE);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        kafka.send(&topic, Some(2), &[(Some(b"k"), b"{\"bar\":1}", &[])]);
        let taken = inbox.until("the same request comes again", |taken| taken.iter().filter(|message| message.content == "{\"bar\":1}").count() == 2).await;
        assert_ne!(taken.last().unwrap().id, id, "it is another request");
        broker.close().await;
    }

    /// F16 and F18: a process dies with one message running, and later ones done. That one and what is behind it comes again, and nothing before.
    async fn f18_kill_with_one_running_and_later_ones_done(kafka) {
        let (topic, service) = (unique("Foo"), unique("foo"));
        let (publisher, _) = broker(&kafka.url, &unique("bar"), ONE_PARTITION);
        publish_all(&*publisher, &versions(Uuid::now_v7(), &topic, 1..=20)).await;
        let mut worker = Worker::start(&kafka, &service, &topic, 6);
        worker.until_took(20).await;
        kafka.until_committed(&service, &topic, 0, 5).await;
        worker.kill();
        let (broker, _) = broker(&kafka.url, &service, "");
        let inbox = Inbox::new();
        broker.subscribe(&service, events(&topic), inbox.clone()).await.unwrap();
        assert_eq!(numbers(&inbox.count(15).await), (6..=20).collect::<Vec<_>>());
        kafka.until_committed(&service, &topic, 0, 20).await;
        broker.close().await;
    }

    /// F17: a process stands still for longer than the session lasts. Another one takes over; when the first wakes up, it changes nothing.
    async fn f17_a_zombie_changes_nothing(kafka) {
        let (topic, service) = (unique("Foo"), unique("foo"));
        let (broker, health) = broker(&kafka.url, &service, ONE_PARTITION);
        let uuid = Uuid::now_v7();
        publish_all(&*broker, &versions(uuid, &topic, 1..=10)).await;
        // It has handled all but the fifth.
        let worker = Worker::start(&kafka, &service, &topic, 5);
        worker.until_took(10).await;
        kafka.until_committed(&service, &topic, 0, 4).await;
        worker.signal("STOP");
        let (stopped, inbox) = (Instant::now(), Inbox::new());
        broker.subscribe(&service, events(&topic), inbox.clone()).await.unwrap();
        assert_eq!(numbers(&inbox.count(6).await), (5..=10).collect::<Vec<_>>());
        assert!(stopped.elapsed() < Duration::from_secs(15), "taken over after {:?}", stopped.elapsed());
        publish_all(&*broker, &versions(uuid, &topic, 11..=30)).await;
        assert_eq!(numbers(&inbox.count(26).await), (5..=30).collect::<Vec<_>>());
        kafka.until_committed(&service, &topic, 0, 30).await;
        worker.signal("CONT");
        // It joins again, which is a rebalance; whoever has the partition then, nothing is missing and nothing is set back.
        publish_all(&*broker, &versions(uuid, &topic, 31..=60)).await;
        let started = Instant::now();
        while numbers(&inbox.taken()).into_iter().chain(worker.took()).collect::<HashSet<_>>().len() < 60 {
            assert!(started.elapsed() < super::kit::PATIENCE);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        kafka.until_committed(&service, &topic, 0, 60).await;
        assert_eq!(failing(&health), None);
        broker.close().await;
    }

    /// F19: handlers far slower than the messages come. What is in flight stays bounded, the process stays in the group (or all would come
    /// again), and who publishes does not notice.
    async fn f19_slow_handlers(kafka) {
        let (topic, service) = (unique("Foo"), unique("foo"));
        let options = "[broker.options]\n\"max.poll.interval.ms\" = 6000";
        let (broker, health) = broker(&kafka.url, &service, options);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let (counted, highest, inside) = (now.clone(), most.clone(), gate.clone());
        let inbox = Inbox::that(move |_| {
            highest.fetch_max(counted.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let (counted, inside) = (counted.clone(), inside.clone());
            async move {
                inside.acquire().await.unwrap().forget();
                counted.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            }
            .boxed()
        });
        broker.subscribe(&service, events(&topic), inbox.clone()).await.unwrap();
        let uuids: Vec<_> = (0..12).map(|_| Uuid::now_v7()).collect();
        let all: Vec<_> = (1..=1500).flat_map(|version| uuids.iter().map(move |uuid| (*uuid, version))).collect();
        let sent: Vec<_> = all.iter().map(|(uuid, version)| event(&topic, *uuid, *version)).collect();
        let started = Instant::now();
        publish_all(&*broker, &sent).await;
        assert!(started.elapsed() < Duration::from_secs(10), "publishing took {:?}", started.elapsed());
        // Longer than a member may go without polling.
        tokio::time::sleep(Duration::from_secs(8)).await;
        let full = now.load(Ordering::SeqCst);
        assert!((1000..6100).contains(&full), "{full} in flight");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(now.load(Ordering::SeqCst), full, "no more came");
        gate.add_permits(sent.len());
        let taken = inbox.count(sent.len()).await;
        assert_eq!(taken.len(), sent.len(), "none came twice: it never left the group");
        assert_complete(&taken, 12, 1500);
        assert!(most.load(Ordering::SeqCst) < 6100, "{} at once", most.load(Ordering::SeqCst));
        assert_eq!(failing(&health), None);
        broker.close().await;
    }

    /// How far behind the service is can be measured, while its handlers are stuck and the partition is paused, too.
    async fn what_is_not_handled_is_measured(kafka) {
        let (topic, service) = (unique("Foo"), unique("foo"));
        let (health, metrics) = (crate::health::Health::new(crate::clock::system()), crate::metrics::Metrics::new(&service));
        let text = format!("[service]\nname = \"{service}\"\n[broker]\nurl = \"{}\"\n{ONE_PARTITION}", kafka.url);
        let config = crate::config::Config::parse(&text).unwrap();
        let broker = crate::broker::open(&config, &crate::broker::LocalBroker::new(), &health, &metrics).unwrap();
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let inside = gate.clone();
        let inbox = Inbox::that(move |_| {
            let inside = inside.clone();
            async move {
                inside.acquire().await.unwrap().forget();
                Ok(())
            }
            .boxed()
        });
        broker.subscribe(&service, events(&topic), inbox.clone()).await.unwrap();
        publish_all(&*broker, &versions(Uuid::now_v7(), &topic, 1..=1500)).await;
        let until = async |what: &str| {
            let started = Instant::now();
            while !metrics.text().contains(what) {
                assert!(started.elapsed() < super::kit::PATIENCE, "{what}: {}", metrics.text());
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let lag = format!("minos_consumer_lag{{service=\"{service}\",topic=\"{topic}\",partition=\"0\"}}");
        until(&format!("{lag} 1500\n")).await;
        assert!(inbox.taken().len() < 1500, "it is paused");
        gate.add_permits(1500);
        until(&format!("{lag} 0\n")).await;
        broker.close().await;
        let started = Instant::now();
        while metrics.text().contains(&lag) {
            assert!(started.elapsed() < super::kit::PATIENCE, "what it does not have is not measured");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// When a topic gets more partitions, keys go elsewhere, and their order is not kept over that: it is told.
    async fn partitions_that_were_added_are_told(kafka) {
        use rdkafka::admin::{AdminOptions, NewPartitions};
        let (topic, service) = (unique("Foo"), unique("foo"));
        let (broker, health) = broker(&kafka.url, &service, ONE_PARTITION);
        publish_all(&*broker, &versions(Uuid::now_v7(), &topic, 1..=1)).await;
        until_health(&health, "it works", |failing| failing.is_none()).await;
        kafka.admin().create_partitions(&[NewPartitions::new(&topic, 3)], &AdminOptions::new()).await.unwrap();
        let told = until_health(&health, "it is told", |failing| failing.is_some()).await.unwrap();
        assert!(told.contains(&format!("partitions of `{topic}`: it had 1, and has 3")), "{told}");
        broker.close().await;
    }

    /// F20: records that were removed before they were handled are not jumped over.
    async fn f20_retention_passes_the_group(kafka) {
        let (topic, service) = (unique("Foo"), unique("foo"));
        let (first, _) = broker(&kafka.url, &service, "partitions = 2");
        let inbox = Inbox::new();
        first.subscribe(&service, events(&topic), inbox.clone()).await.unwrap();
        let record: Foreign<'_> = (None, b"{}", &[("name", b"FooUpdated")]);
        for partition in 0..2 {
            kafka.send(&topic, Some(partition), &[record; 5]);
        }
        inbox.count(10).await;
        first.close().await;
        for partition in 0..2 {
            kafka.send(&topic, Some(partition), &[record; 95]);
        }
        kafka.delete_records(&topic, 0, 50).await;
        let (second, health) = broker(&kafka.url, &service, "");
        let others = Inbox::new();
        second.subscribe(&service, events(&topic), others.clone()).await.unwrap();
        let told = until_health(&health, "the partition is named", |failing| failing.is_some_and(|why| why.contains(&format!("{topic}/0")))).await;
        assert!(told.as_deref().unwrap().contains("the records 5 to 49 were removed before this service handled them"), "{told:?}");
        assert!(told.unwrap().contains(&format!("--group {service} --topic {topic}:0 --reset-offsets --to-offset 50")));
        // The other partition goes on.
        others.count(95).await;
        kafka.send(&topic, Some(0), &[record]);
        kafka.send(&topic, Some(1), &[record]);
        others.count(96).await;
        kafka.until_committed(&service, &topic, 1, 101).await;
        assert_eq!(kafka.committed(&service, &topic, 0), Some(5), "and this one did not jump");
        assert_eq!(others.taken().len(), 96);
        second.close().await;
        // The operator does what was said.
        kafka.move_group(&service, &topic, 0, 50);
        let (third, health) = broker(&kafka.url, &service, "");
        let rest = Inbox::new();
        third.subscribe(&service, events(&topic), rest.clone()).await.unwrap();
        assert_eq!(rest.count(51).await.len(), 51);
        until_health(&health, "it works again", |failing| failing.is_none()).await;
        third.close().await;
    }

    /// F21: a group that is set back gets everything again, in order.
    async fn f21_group_set_back(kafka) {
        let (topic, service) = (unique("Foo"), unique("foo"));
        let (first, _) = broker(&kafka.url, &service, ONE_PARTITION);
        publish_all(&*first, &versions(Uuid::now_v7(), &topic, 1..=50)).await;
        let inbox = Inbox::new();
        first.subscribe(&service, events(&topic), inbox.clone()).await.unwrap();
        inbox.count(50).await;
        first.close().await;
        assert_eq!(kafka.committed(&service, &topic, 0), Some(50), "what is handled when it closes is committed");
        kafka.move_group(&service, &topic, 0, 0);
        let (second, again) = (broker(&kafka.url, &service, "").0, Inbox::new());
        second.subscribe(&service, events(&topic), again.clone()).await.unwrap();
        let taken = again.count(50).await;
        assert_eq!(numbers(&taken), (1..=50).collect::<Vec<_>>());
        assert_eq!(taken, inbox.taken(), "with the same ids");
        second.close().await;
    }

    /// F27: a topic that is not there is created as the configuration says, and one that is there is used as it is.
    async fn f27_topics_are_created_with_their_partitions(kafka) {
        let (topic, service) = (unique("Foo"), unique("foo"));
        let (broker, health) = broker(&kafka.url, &service, "partitions = 3");
        publish_all(&*broker, &versions(Uuid::now_v7(), &topic, 1..=3)).await;
        let partitions = |topic: &str| {
            let metadata = kafka.admin().inner().fetch_metadata(Some(topic), super::kit::PATIENCE).unwrap();
            metadata.topics()[0].partitions().len()
        };
        assert_eq!(partitions(&topic), 3);
        let other = super::broker(&kafka.url, &service, "partitions = 5").0;
        let inbox = Inbox::new();
        other.subscribe(&service, events(&topic), inbox.clone()).await.unwrap();
        inbox.count(3).await;
        assert_eq!(partitions(&topic), 3);
        assert_eq!(failing(&health), None);
        broker.close().await;
        other.close().await;
    }

    /// A topic whose limit is lower than the configured one is named before anything is lost on it.
    async fn a_topic_that_takes_less_than_is_configured(kafka) {
        use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
        let (topic, service) = (unique("Foo"), unique("foo"));
        let small = NewTopic::new(&topic, 1, TopicReplication::Fixed(1)).set("max.message.bytes", "8192");
        kafka.admin().create_topics([&small], &AdminOptions::new()).await.unwrap();
        let (large, health) = broker(&kafka.url, &service, "");
        let result = large.publish(event(&topic, Uuid::now_v7(), 1)).await;
        assert!(matches!(&result, Err(BrokerError::Refused { why, .. }) if why.contains("at most 8192 bytes")), "{result:?}");
        until_health(&health, "the topic is named", |failing| failing.is_some_and(|why| why.contains(&topic))).await;
        large.close().await;
        // With the right limit, many small messages at once are no problem.
        let (fitting, health) = broker(&kafka.url, &service, "max_message = \"8KiB\"");
        let inbox = Inbox::new();
        fitting.subscribe(&service, events(&topic), inbox.clone()).await.unwrap();
        publish_all(&*fitting, &versions(Uuid::now_v7(), &topic, 1..=100)).await;
        assert_complete(&inbox.count(100).await, 1, 100);
        assert_eq!(failing(&health), None);
        fitting.close().await;
    }

    /// A topic that is deleted under way is made anew; what was sent to the old one is gone, and the rest goes on in order.
    async fn topic_deleted(kafka) {
        let (topic, service) = (unique("Foo"), unique("foo"));
        let (broker, health) = broker(&kafka.url, &service, "partitions = 2");
        let inbox = Inbox::new();
        broker.subscribe(&service, events(&topic), inbox.clone()).await.unwrap();
        let uuid = Uuid::now_v7();
        publish_all(&*broker, &versions(uuid, &topic, 1..=10)).await;
        inbox.count(10).await;
        kafka.delete_topic(&topic).await;
        publish_all(&*broker, &versions(uuid, &topic, 11..=40)).await;
        let taken = inbox.until("all that was sent since", |taken| firsts(taken).values().map(Vec::len).sum::<usize>() == 40).await;
        assert_complete(&taken, 1, 40);
        until_health(&health, "it works again", |failing| failing.is_none()).await;
        broker.close().await;
    }

    /// Two processes with one name: the first one is told, and takes nothing more.
    async fn two_processes_of_one_instance(kafka) {
        let (topic, service) = (unique("Foo"), unique("foo"));
        let text = format!("[service]\nname = \"{service}\"\ninstance = \"foo-1\"\n[broker]\nurl = \"{}\"", kafka.url);
        let ((first, health), (second, fine)) = (broker_of(&text), broker_of(&text));
        let (before, inbox) = (Inbox::new(), Inbox::new());
        first.subscribe(&service, events(&topic), before.clone()).await.unwrap();
        let uuid = Uuid::now_v7();
        publish_all(&*first, &versions(uuid, &topic, 1..=5)).await;
        before.count(5).await;
        second.subscribe(&service, events(&topic), inbox.clone()).await.unwrap();
        let told = until_health(&health, "the first is told", |failing| failing.is_some_and(|why| why.contains("consumer group"))).await;
        assert!(told.as_deref().unwrap().contains("another process has the same `service.instance`"), "{told:?}");
        publish_all(&*second, &versions(uuid, &topic, 6..=10)).await;
        inbox.until("the second gets what comes", |taken| taken.iter().any(|message| message.version == Some(10))).await;
        assert_eq!(before.taken().len(), 5);
        assert_eq!(failing(&fine), None);
        first.close().await;
        second.close().await;
    }

    /// Cooperative members: who has partitions keeps working on them when another one comes or goes.
    async fn processes_come_and_go(kafka) {
        let (topic, service) = (unique("Foo"), unique("foo"));
        let (publisher, _) = broker(&kafka.url, &unique("bar"), "");
        let uuids: Vec<_> = (0..30).map(|_| Uuid::now_v7()).collect();
        let inbox = Inbox::that(|_| tokio::time::sleep(Duration::from_millis(2)).map(Ok).boxed());
        let mut members = Vec::new();
        for round in 0..6_u64 {
            if round % 3 == 2 {
                let oldest: Arc<super::super::KafkaBroker> = members.remove(0);
                oldest.close().await;
            } else {
                let member = broker(&kafka.url, &service, "").0;
                member.subscribe(&service, events(&topic), inbox.clone()).await.unwrap();
                members.push(member);
            }
            let sent: Vec<_> = (1..=20).flat_map(|n| uuids.iter().map(move |uuid| (*uuid, round * 20 + n))).collect();
            let sent: Vec<_> = sent.into_iter().map(|(uuid, version)| event(&topic, uuid, version)).collect();
            publish_all(&*publisher, &sent).await;
        }
        let taken = inbox.until("all came", |taken| firsts(taken).values().map(Vec::len).sum::<usize>() == 3600).await;
        assert_complete(&taken, 30, 120);
        future::join_all(members.iter().map(|member| member.close())).await;
        publisher.close().await;
    }
}

/// F26: the broker is not there at first, is killed while messages are under way, and is restarted. What was published comes, in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f26_broker_killed_and_restarted() {
    let Some(own) = Own::start("f26") else { return };
    own.run(&["stop", "kafka", "kill"]);
    let (topic, service) = (unique("Foo"), unique("foo"));
    let (broker, health) = broker(&own.kafka.url, &service, "");
    let inbox = Inbox::new();
    broker.subscribe(&service, events(&topic), inbox.clone()).await.unwrap();
    let uuids: Vec<_> = (0..10).map(|_| Uuid::now_v7()).collect();
    let sent: Vec<_> = (1..=2000).flat_map(|version| uuids.iter().map(move |uuid| (*uuid, version))).collect();
    let sent: Vec<_> = sent.into_iter().map(|(uuid, version)| event(&topic, uuid, version)).collect();
    let first = broker.publish(sent[0].clone()).await;
    assert!(
        matches!(&first, Err(BrokerError::Unavailable(why)) if why.contains("cannot be reached")),
        "it does not wait for ever: {first:?}"
    );
    until_health(&health, "it says that nobody is there", |failing| failing.is_some_and(|why| why.contains("cannot be reached"))).await;
    own.run(&["start", "kafka"]);
    until_health(&health, "it works", |failing| failing.is_none()).await;
    let publishing = tokio::spawn({
        let broker = broker.clone();
        async move {
            for part in sent.chunks(2500) {
                publish_all(&*broker, part).await;
            }
        }
    });
    for (n, how) in ["kill", "fast"].into_iter().enumerate() {
        inbox.count(1000 + 5000 * n).await;
        own.run(&["stop", "kafka", how]);
        until_health(&health, "it says that nobody is there", |failing| failing.is_some()).await;
        own.run(&["start", "kafka"]);
        until_health(&health, "it works again", |failing| failing.is_none()).await;
    }
    publishing.await.unwrap();
    let taken = inbox.until("all came", |taken| firsts(taken).values().map(Vec::len).sum::<usize>() == 20_000).await;
    assert_complete(&taken, 10, 2000);
    broker.close().await;
}

/// An answer that nobody hears yet must not be asked for: it could come before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_asked_before_answers_are_heard() {
    // Nobody listens at port 1.
    let (broker, health) = broker("kafka://127.0.0.1:1", "foo", "");
    let source = Source { topic: "foo.replies".to_owned(), kind: MessageKind::Reply, audience: Audience::EveryProcess };
    broker.subscribe("foo", vec![source], Inbox::new()).await.unwrap();
    let question = Envelope { reply_to: Some("foo.replies".to_owned()), ..event("Foo", Uuid::now_v7(), 1) };
    let result = tokio::time::timeout(super::kit::PATIENCE, broker.tell(question)).await.expect("it is refused at once");
    assert_eq!(result, Err(BrokerError::Unavailable("its answer could not be heard yet".to_owned())));
    until_health(&health, "it says that nobody is there", |failing| {
        failing.is_some_and(|why| why.contains("127.0.0.1:1 cannot be reached"))
    })
    .await;
    broker.close().await;
}
