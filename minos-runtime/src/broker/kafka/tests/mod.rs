//! The broker on the mock cluster of librdkafka, and on a real Kafka.

mod faults;
mod kit;
mod mock;
mod real;

use super::KafkaBroker;
use crate::{clock, config::Config, health::Health, metrics::Metrics};
use std::sync::Arc;

/// A broker of a process of this service, with more of `[broker]`.
fn broker(url: &str, service: &str, more: &str) -> (Arc<KafkaBroker>, Health) {
    broker_of(&format!("[service]\nname = \"{service}\"\n[broker]\nurl = \"{url}\"\n{more}"))
}

/// A broker with this configuration.
fn broker_of(text: &str) -> (Arc<KafkaBroker>, Health) {
    // Shown of a test that fails; the first one sets it up for all.
    let _ = tracing_subscriber::fmt().with_test_writer().try_init();
    let health = Health::new(clock::system());
    (Arc::new(KafkaBroker::new(&Config::parse(text).unwrap(), &health, &Metrics::new("test")).unwrap()), health)
}

/// What is wrong with the broker according to the service's health; none if it works.
fn failing(health: &Health) -> Option<String> {
    let part = health.parts().remove("broker").unwrap();
    assert!(!part.vital, "commands succeed without");
    if part.works() { None } else { Some(part.failing.unwrap_or_else(|| "has not succeeded yet".to_owned())) }
}

/// Waits until the health of the broker is as wanted.
async fn until_health(health: &Health, what: &str, condition: impl Fn(Option<&str>) -> bool) -> Option<String> {
    for _ in 0..1200 {
        let failing = failing(health);
        if condition(failing.as_deref()) {
            return failing;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("not so within a minute: {what}; health says {:?}", failing(health));
}
