//! On the mock cluster of librdkafka: a socket away, and gone with the test.

use crate::broker::{Broker, suite::Cluster};
use futures_util::future::{self, BoxFuture, FutureExt};
use rdkafka::{mocking::MockCluster, producer::DefaultProducerContext};
use std::sync::Arc;

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
