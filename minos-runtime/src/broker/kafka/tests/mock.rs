//! On the mock cluster of librdkafka: a socket away, and gone with the test.

use super::until_health;
use crate::{
    broker::{
        Broker, BrokerError,
        suite::{Cluster, Inbox, assert_complete, event, events, firsts, publish_all, unique},
    },
    message::Envelope,
};
use futures_util::future::{self, BoxFuture, FutureExt};
use rdkafka::{
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use uuid::Uuid;

struct Mock(MockCluster<'static, DefaultProducerContext>);

impl Mock {
    fn new() -> Self {
        Mock(MockCluster::new(3).unwrap())
    }

    fn url(&self) -> String {
        format!("kafka://{}", self.0.bootstrap_servers())
    }
}

impl Cluster for Mock {
    fn join(&self, service: &str) -> BoxFuture<'_, Arc<dyn Broker>> {
        future::ready(super::broker(&self.url(), service, "").0 as Arc<dyn Broker>).boxed()
    }

    fn prepare(&self, topic: &str) {
        self.0.create_topic(topic, 6, 1).unwrap();
    }

    fn keeps(&self) -> bool {
        true
    }
}

crate::broker_suite!(mock, async || Some(Mock::new()));

fn mixed(topic: &str, keys: usize, each: u64) -> Vec<Envelope> {
    let uuids: Vec<_> = (0..keys).map(|_| Uuid::now_v7()).collect();
    (1..=each).flat_map(|version| uuids.iter().map(move |uuid| event(topic, *uuid, version))).collect()
}

/// The broker refuses some batches for good. What is behind them, under way and handed over meanwhile, must not come first: who gets it would
/// take what was refused, when it is sent again, for a repetition.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_overtakes_what_was_refused() {
    let mock = Mock::new();
    let (topic, service) = (unique("Foo"), unique("foo"));
    mock.prepare(&topic);
    let (broker, health) = super::broker(&mock.url(), &service, "[broker.options]\n\"batch.num.messages\" = 20");
    let inbox = Inbox::new();
    broker.subscribe(&service, events(&topic), inbox.clone()).await.unwrap();
    publish_all(&*broker, &mixed(&topic, 5, 1)).await;
    let ok = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    for good in [3, 8] {
        mock.0.request_errors(RDKafkaApiKey::Produce, &[&vec![ok; good][..], &[refused]].concat());
    }
    publish_all(&*broker, &mixed(&topic, 10, 300)).await;
    let taken = inbox.until("all came", |taken| firsts(taken).values().map(Vec::len).sum::<usize>() == 3005).await;
    for (key, versions) in firsts(&taken) {
        assert_eq!(versions, (1..=versions.len() as u64).collect::<Vec<_>>(), "of {key:?}");
    }
    until_health(&health, "it works again", |failing| failing.is_none()).await;
    broker.close().await;
}

/// After a message was refused, its topic stays closed as long as the caller holds on to what it handed over before: it may not know yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_refused_waits_for_the_caller() {
    let mock = Mock::new();
    let topic = unique("Foo");
    mock.prepare(&topic);
    let (broker, _) = super::broker(&mock.url(), &unique("foo"), "");
    let messages = mixed(&topic, 1, 3);
    let publish = |n: usize| tokio::time::timeout(Duration::from_secs(20), broker.publish(messages[n].clone()));
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    mock.0.request_errors(RDKafkaApiKey::Produce, &[refused]);
    let (first, held) = (publish(0), publish(1));
    first.await.unwrap().unwrap_err();
    // Longer than a topic that refused something is left alone.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(matches!(publish(2).await.unwrap(), Err(BrokerError::Refused { .. })), "the third must not come before the first");
    drop(held);
    for n in 0..3 {
        publish(n).await.unwrap().unwrap();
    }
    broker.close().await;
}

/// F27: a topic refuses a message while others are under way. Those are answered for with `Ok`, all of them and in order, though the same producer
/// sent them; and of the topic nothing is sent that was handed over behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f27_a_topic_that_refuses_stops_no_other() {
    let mock = Mock::new();
    let (bad, good, service) = (unique("Bad"), unique("Good"), unique("foo"));
    mock.prepare(&bad);
    mock.prepare(&good);
    // One request after the other: the mock takes what comes behind a request that it refuses, and a real broker does not.
    let options = "[broker.options]\n\"batch.num.messages\" = 20\n\"max.in.flight.requests.per.connection\" = 1";
    let (broker, health) = super::broker(&mock.url(), &service, options);
    let inbox = Inbox::new();
    broker.subscribe(&service, [events(&bad), events(&good)].concat(), inbox.clone()).await.unwrap();
    let first = mixed(&good, 1, 1);
    publish_all(&*broker, &[mixed(&bad, 1, 1), first.clone()].concat()).await;
    let sent = mixed(&good, 10, 200);
    // Described it may be, and written not: that shows only when something is sent.
    mock.0.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED]);
    let refused: Vec<_> = mixed(&bad, 1, 50).into_iter().map(|message| broker.publish(message)).collect();
    let told = until_health(&health, "the topic is named", |failing| failing.is_some_and(|why| why.contains(&bad))).await;
    let others: Vec<_> = sent.iter().map(|message| broker.publish(message.clone())).collect();
    for result in future::join_all(refused).await {
        assert!(matches!(&result, Err(BrokerError::Refused { topic, .. }) if *topic == bad), "{result:?}, {told:?}");
    }
    for result in future::join_all(others).await {
        assert_eq!(result, Ok(()));
    }
    let of = |taken: &[Envelope], topic: &str| taken.iter().filter(|message| message.topic == topic).cloned().collect::<Vec<_>>();
    let taken = inbox.until("the others came", |taken| firsts(&of(taken, &good)).values().map(Vec::len).sum::<usize>() == 2001).await;
    let others: Vec<_> = of(&taken, &good).into_iter().filter(|message| message.key != first[0].key).collect();
    assert_complete(&others, 10, 200);
    assert_eq!(of(&taken, &bad).len(), 1, "of the topic nothing was sent behind what was refused");
    broker.close().await;
}

/// A producer that fails is replaced by one that sends all that was under way, to other topics too, without anybody noticing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_under_way_outlives_its_producer() {
    let mock = Mock::new();
    let (bad, good, service) = (unique("Bad"), unique("Good"), unique("foo"));
    mock.prepare(&bad);
    mock.prepare(&good);
    let options = "[broker.options]\n\"batch.num.messages\" = 20\n\"topic.metadata.refresh.interval.ms\" = 500";
    let (broker, _) = super::broker(&mock.url(), &service, options);
    let inbox = Inbox::new();
    broker.subscribe(&service, events(&good), inbox.clone()).await.unwrap();
    broker.publish(event(&bad, Uuid::now_v7(), 1)).await.unwrap();
    // What is answered is answered late, so that much is under way when the topic refuses: later than it takes to end a producer.
    let answers_after = |time: Duration| (1..=3).for_each(|id| mock.0.broker_round_trip_time(id, time).unwrap());
    answers_after(Duration::from_secs(1));
    mock.0.topic_error(&bad, RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED).unwrap();
    let (uuid, mut others) = (Uuid::now_v7(), Vec::new());
    let mut refused = broker.publish(event(&bad, Uuid::now_v7(), 1));
    let refused = loop {
        // Whenever it refuses, some of these are under way.
        others.extend((0..10).map(|n| broker.publish(event(&good, uuid, others.len() as u64 + n + 1))).collect::<Vec<_>>());
        match tokio::time::timeout(Duration::from_millis(50), &mut refused).await {
            Ok(Err(refused)) => break refused,
            // It was sent before the client knew.
            Ok(Ok(())) => refused = broker.publish(event(&bad, Uuid::now_v7(), 1)),
            Err(_) => {}
        }
    };
    assert!(matches!(&refused, BrokerError::Refused { topic, .. } if *topic == bad), "{refused:?}");
    answers_after(Duration::ZERO);
    let count = others.len();
    for result in future::join_all(others).await {
        assert_eq!(result, Ok(()));
    }
    let taken = inbox.until("the others came", |taken| firsts(taken).values().map(Vec::len).sum::<usize>() == count).await;
    assert_complete(&taken, 1, count as u64);
    broker.close().await;
}

/// F26: the leader of a partition is away, so its topic takes nothing. That is told, and what waits for it does not wait for ever; other topics go on
/// meanwhile. When the leader is back, all comes in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f26_a_topic_that_is_silent_stops_no_other() {
    let mock = Mock::new();
    let (silent, other, service) = (unique("Silent"), unique("Good"), unique("foo"));
    for (topic, leader) in [(&silent, 3), (&other, 1)] {
        mock.0.create_topic(topic, 1, 1).unwrap();
        mock.0.partition_leader(topic, 0, Some(leader)).unwrap();
    }
    let (broker, health) = super::broker(&mock.url(), &service, "");
    let inbox = Inbox::new();
    broker.subscribe(&service, [events(&silent), events(&other)].concat(), inbox.clone()).await.unwrap();
    let messages = mixed(&silent, 1, 10);
    broker.publish(messages[0].clone()).await.unwrap();
    mock.0.broker_down(3).unwrap();
    let started = Instant::now();
    let mut waiting = future::join_all(messages[1..].iter().map(|message| broker.publish(message.clone()))).boxed();
    let (uuid, mut n) = (Uuid::now_v7(), 0);
    let refused = loop {
        n += 1;
        broker.publish(event(&other, uuid, n)).await.unwrap();
        if let Ok(refused) = tokio::time::timeout(Duration::from_millis(100), &mut waiting).await {
            break refused;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "it does not wait for ever");
    };
    for result in refused {
        assert!(matches!(&result, Err(BrokerError::Refused { topic, .. }) if *topic == silent), "{result:?}");
    }
    drop(waiting);
    let told = super::failing(&health).unwrap();
    assert!(told.contains(&silent) && told.contains("nothing was acknowledged for 10 s"), "{told}");
    mock.0.broker_up(3).unwrap();
    publish_all(&*broker, &messages[1..]).await;
    let of = |taken: &[Envelope], topic: &str| taken.iter().filter(|message| message.topic == topic).cloned().collect::<Vec<_>>();
    let taken = inbox.until("all came", |taken| firsts(&of(taken, &silent)).values().all(|versions| versions.len() == 10)).await;
    assert_complete(&of(&taken, &silent), 1, 10);
    until_health(&health, "it works again", |failing| failing.is_none()).await;
    broker.close().await;
}

/// F26: the broker is there and takes nothing, as with too few replicas in sync. That is told after some seconds, and after some more whoever
/// publishes is told that it is the broker as a whole, so that another process can try.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f26_a_broker_that_takes_nothing() {
    let mock = Mock::new();
    let (topic, service) = (unique("Foo"), unique("foo"));
    mock.prepare(&topic);
    let (broker, health) = super::broker(&mock.url(), &service, "");
    let inbox = Inbox::new();
    broker.subscribe(&service, events(&topic), inbox.clone()).await.unwrap();
    let messages = mixed(&topic, 3, 10);
    mock.0.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS; 1000]);
    let started = Instant::now();
    let waiting: Vec<_> = messages.iter().map(|message| broker.publish(message.clone())).collect();
    let told = until_health(&health, "it is told", |failing| failing.is_some_and(|why| why.contains(&topic))).await.unwrap();
    assert!(told.contains("nothing was acknowledged for 3 s"), "{told}");
    assert!(started.elapsed() < Duration::from_secs(9), "told after {:?}", started.elapsed());
    for result in tokio::time::timeout(Duration::from_secs(30), future::join_all(waiting)).await.expect("it does not wait for ever") {
        assert!(matches!(&result, Err(BrokerError::Unavailable(why)) if why.contains("nothing was acknowledged for 10 s")), "{result:?}");
    }
    mock.0.clear_request_errors(RDKafkaApiKey::Produce);
    publish_all(&*broker, &messages).await;
    let taken = inbox.until("all came", |taken| firsts(taken).values().map(Vec::len).sum::<usize>() == 30).await;
    assert_complete(&taken, 3, 10);
    until_health(&health, "it works again", |failing| failing.is_none()).await;
    broker.close().await;
}

/// F20: the broker says once that the place of the group is out of range, and it is not. Nothing is missing, so all goes on: in a group that was
/// there, and in one that is new.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f20_out_of_range_for_a_moment() {
    let mock = Mock::new();
    // Later versions tell such an error of the request, and not of the partition.
    mock.0.apiversion(RDKafkaApiKey::Fetch, Some(4), Some(6)).unwrap();
    let (topic, service) = (unique("Foo"), unique("foo"));
    mock.0.create_topic(&topic, 1, 1).unwrap();
    let (broker, health) = super::broker(&mock.url(), &service, "");
    let messages = mixed(&topic, 1, 20);
    publish_all(&*broker, &messages[..5]).await;
    let out_of_range = || mock.0.request_errors(RDKafkaApiKey::Fetch, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE]);
    out_of_range();
    let inbox = Inbox::new();
    broker.subscribe(&service, events(&topic), inbox.clone()).await.unwrap();
    inbox.count(5).await;
    out_of_range();
    publish_all(&*broker, &messages[5..]).await;
    assert_complete(&inbox.until("all came", |taken| firsts(taken).values().any(|versions| versions.len() == 20)).await, 1, 20);
    until_health(&health, "it works", |failing| failing.is_none()).await;
    broker.close().await;
}

/// F27: reading is not allowed for a moment. That is told, and so is that it is allowed again, though nothing comes meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f27_reading_that_is_allowed_again() {
    let mock = Mock::new();
    // Later versions tell such an error of the request, and not of the partition.
    mock.0.apiversion(RDKafkaApiKey::Fetch, Some(4), Some(6)).unwrap();
    let (topic, service) = (unique("Foo"), unique("foo"));
    mock.0.create_topic(&topic, 1, 1).unwrap();
    let (broker, health) = super::broker(&mock.url(), &service, "");
    let inbox = Inbox::new();
    broker.subscribe(&service, events(&topic), inbox.clone()).await.unwrap();
    let messages = mixed(&topic, 1, 2);
    publish_all(&*broker, &messages[..1]).await;
    inbox.count(1).await;
    // Each is asked for anew half a second later: long enough to be seen on a busy machine.
    mock.0.request_errors(RDKafkaApiKey::Fetch, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 3]);
    let told = until_health(&health, "it is told", |failing| failing.is_some_and(|why| why.contains("rights"))).await.unwrap();
    assert!(told.contains(&format!("needs `Read` on its topics and on the group `{service}`")), "{told}");
    until_health(&health, "it works again", |failing| failing.is_none()).await;
    publish_all(&*broker, &messages[1..]).await;
    inbox.count(2).await;
    broker.close().await;
}

/// Questions and answers are in nobody's way: one that is refused, or cannot be heard yet, leaves what is published alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_is_refused_stops_nothing() {
    let mock = Mock::new();
    let (topic, service) = (unique("Foo"), unique("foo"));
    mock.prepare(&topic);
    let (broker, _) = super::broker(&mock.url(), &service, "");
    let messages = mixed(&topic, 1, 40);
    let held: Vec<_> = messages[..20].iter().map(|message| broker.publish(message.clone())).collect();
    let question = Envelope { reply_to: Some("nobody.replies".to_owned()), ..event(&topic, Uuid::now_v7(), 1) };
    broker.tell(question.clone()).await.unwrap();
    let no_topic = broker.tell(Envelope { topic: "no topic at all!".to_owned(), ..question.clone() }).await;
    assert!(matches!(&no_topic, Err(BrokerError::Refused { why, .. }) if why.contains("no name of a topic")), "{no_topic:?}");
    for result in future::join_all(held).await {
        assert_eq!(result, Ok(()));
    }
    // The next request to produce is the question's.
    mock.0.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED]);
    let refused = broker.tell(question).await;
    assert!(matches!(&refused, Err(BrokerError::Refused { topic: named, .. }) if *named == topic), "{refused:?}");
    for message in &messages[20..] {
        broker.publish(message.clone()).await.unwrap();
    }
    broker.close().await;
}

/// F27: a topic that may not be used is named, and the others go on. When it may be used, it is, by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f27_a_topic_that_may_not_be_used() {
    let mock = Mock::new();
    let (denied, allowed, service) = (unique("Denied"), unique("Foo"), unique("foo"));
    mock.prepare(&denied);
    mock.prepare(&allowed);
    mock.0.topic_error(&denied, RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED).unwrap();
    let (broker, health) = super::broker(&mock.url(), &service, "");
    let inbox = Inbox::new();
    broker.subscribe(&service, [events(&denied), events(&allowed)].concat(), inbox.clone()).await.unwrap();
    let told = until_health(&health, "the topic is named", |failing| failing.is_some_and(|why| why.contains(&denied))).await.unwrap();
    assert!(told.contains("the service's user lacks the right: give it `Describe`"), "{told}");
    let refused = broker.publish(event(&denied, Uuid::now_v7(), 1)).await;
    assert!(matches!(&refused, Err(BrokerError::Refused { topic, .. }) if *topic == denied), "{refused:?}");
    publish_all(&*broker, &mixed(&allowed, 10, 3)).await;
    assert_complete(&inbox.count(30).await, 10, 3);
    mock.0.topic_error(&denied, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).unwrap();
    publish_all(&*broker, &mixed(&denied, 1, 3)).await;
    inbox.count(33).await;
    until_health(&health, "it works", |failing| failing.is_none()).await;
    broker.close().await;
}
