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
use std::{sync::Arc, time::Duration};
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
    assert!(matches!(publish(2).await.unwrap(), Err(BrokerError::Unavailable(_))), "the third must not come before the first");
    drop(held);
    for n in 0..3 {
        publish(n).await.unwrap().unwrap();
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
