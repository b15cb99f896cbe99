//! On a real Kafka, which `MINOS_TEST_KAFKA_URL` names: `scripts/services` starts one.

use crate::broker::{Broker, suite::Cluster};
use futures_util::future::{self, BoxFuture, FutureExt};
use std::sync::Arc;

const URL: &str = "MINOS_TEST_KAFKA_URL";

/// A real Kafka, shared by all tests.
pub(super) struct Real {
    pub(super) url: String,
}

impl Real {
    /// None if there is none, which is told; in CI it is a failure.
    pub(super) fn find(test: &str) -> Option<Self> {
        match std::env::var(URL) {
            Ok(url) => Some(Real { url }),
            Err(_) if std::env::var_os("CI").is_some() => panic!("`{URL}` is not set: CI has to run `{test}` on a real Kafka"),
            Err(_) => {
                eprintln!(
                    "NOT RUN: `{test}`, because `{URL}` is not set: `scripts/services up` starts a Kafka, `scripts/services env` names it"
                );
                None
            }
        }
    }
}

impl Cluster for Real {
    fn join(&self, service: &str) -> BoxFuture<'_, Arc<dyn Broker>> {
        future::ready(super::broker(&self.url, service, "").0 as Arc<dyn Broker>).boxed()
    }

    fn prepare(&self, _topic: &str) {}

    fn keeps(&self) -> bool {
        true
    }
}

crate::broker_suite!(real, async || Real::find("the behaviour suite"));
