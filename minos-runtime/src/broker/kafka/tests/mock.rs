//! On the mock cluster of librdkafka: a socket away, and gone with the test.

use super::super::KafkaBroker;
use crate::{
    broker::{Broker, suite::Cluster},
    clock,
    config::Config,
    health::Health,
};
use futures_util::future::{self, BoxFuture, FutureExt};
use rdkafka::{mocking::MockCluster, producer::DefaultProducerContext};
use std::sync::Arc;

struct Mock(MockCluster<'static, DefaultProducerContext>);

impl Mock {
    fn new() -> Self {
        Mock(MockCluster::new(3).unwrap())
    }

    fn broker(&self, service: &str) -> (Arc<KafkaBroker>, Health) {
        let text = format!("[service]\nname = \"{service}\"\n[broker]\nurl = \"kafka://{}\"", self.0.bootstrap_servers());
        let health = Health::new(clock::system());
        (Arc::new(KafkaBroker::new(&Config::parse(&text).unwrap(), &health).unwrap()), health)
    }
}

impl Cluster for Mock {
    fn join(&self, service: &str) -> BoxFuture<'_, Arc<dyn Broker>> {
        future::ready(self.broker(service).0 as Arc<dyn Broker>).boxed()
    }

    fn prepare(&self, topic: &str) {
        self.0.create_topic(topic, 6, 1).unwrap();
    }

    fn keeps(&self) -> bool {
        true
    }
}

crate::broker_suite!(mock, async || Some(Mock::new()));
