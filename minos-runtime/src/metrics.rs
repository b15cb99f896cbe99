//! What a service measures of itself, as `GET /metrics` tells it in the text format of OpenMetrics, which Prometheus reads.
//!
//! All names begin with `minos_`. Counters end in `_total`, times are in seconds.

// A build without some store or broker does not measure what is theirs; all builds have the same metrics.
#![cfg_attr(not(all(feature = "sqlite", feature = "postgres", feature = "kafka", feature = "discovery")), allow(dead_code))]

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use std::sync::{Arc, atomic::AtomicU64};

/// The measurements of one service. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    /// HTTP requests answered, by route and status.
    pub(crate) http_requests: Family<HttpLabels, Counter>,
    /// How long HTTP requests took, by route.
    pub(crate) http_seconds: Family<RouteLabels, Histogram, fn() -> Histogram>,
    /// Runs of handlers that were committed, by handler.
    pub(crate) handled: Family<HandlerLabels, Counter>,
    /// Runs of handlers that failed, by handler.
    pub(crate) failed: Family<HandlerLabels, Counter>,
    /// Runs of handlers that were done again because somebody else had written what they had read.
    pub(crate) conflicts: Counter,
    /// Messages that are tried again later, because their handler failed.
    pub(crate) retries: Counter,
    /// Messages put among the dead letters.
    pub(crate) dead_letters: Counter,
    /// Keys whose messages wait behind a dead letter.
    pub(crate) parked_keys: Gauge,
    /// Units of work committed.
    pub(crate) commits: Counter,
    /// Units of work in one transaction of the store.
    pub(crate) batch: Histogram,
    /// Units of work that wait for the store.
    pub(crate) queue: Gauge,
    /// Events and messages that the broker has answered for.
    pub(crate) relayed: Counter,
    /// Events and messages that were handed to the broker, and that it has not answered for.
    pub(crate) relay_open: Gauge,
    /// The age of the oldest event or message that the broker has not answered for; 0 if there is none.
    pub(crate) relay_age: Gauge<f64, AtomicU64>,
    /// Whether this process is the one that relays.
    pub(crate) relay_leads: Gauge,
    /// Messages that were delivered and not yet handled.
    pub(crate) deliveries: Gauge,
    /// Records that are not handled, by partition that this process has.
    pub(crate) consumer_lag: Family<PartitionLabels, Gauge>,
    /// Executions of sagas that were begun.
    pub(crate) sagas_started: Family<SagaLabels, Counter>,
    /// Executions of sagas that have ended.
    pub(crate) sagas_ended: Family<SagaEndLabels, Counter>,
    /// Attempts at steps of sagas that have ended, by what was to be done and how that ended.
    pub(crate) saga_steps: Family<StepLabels, Counter>,
    /// How long steps of sagas took until they were done, with all attempts.
    pub(crate) saga_step_seconds: Family<StepTimeLabels, Histogram, fn() -> Histogram>,
    /// Steps of sagas that came to wait for an operator, and executions that have not ended in time.
    pub(crate) saga_alarms: Family<AlarmLabels, Counter>,
    /// The age of the oldest execution that is under way; 0 if there is none, or another process looks after them.
    pub(crate) saga_age: Gauge<f64, AtomicU64>,
    /// Up to which position of the log a projection has taken all, where this process goes on with it.
    pub(crate) projection_position: Family<ProjectionLabels, Gauge>,
    /// The age of the oldest event that a projection has not taken; 0 if there is none.
    pub(crate) projection_lag: Family<ProjectionLabels, Gauge<f64, AtomicU64>>,
    /// Streams of which a projection takes nothing, because an earlier event of them could not be taken.
    pub(crate) projection_parked: Family<ProjectionLabels, Gauge>,
    /// Announcements of this instance, by how they ended.
    pub(crate) announcements: Family<OutcomeLabels, Counter>,
    registry: Arc<Registry>,
}

/// Labels of how something ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OutcomeLabels {
    pub(crate) outcome: &'static str,
}

/// Labels of a projection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ProjectionLabels {
    pub(crate) projection: &'static str,
}

/// Labels of a saga.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct SagaLabels {
    pub(crate) saga: String,
}

/// Labels of an end of a saga.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct SagaEndLabels {
    pub(crate) saga: String,
    pub(crate) status: &'static str,
}

/// Labels of an attempt at a step that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct StepLabels {
    pub(crate) saga: &'static str,
    pub(crate) step: &'static str,
    pub(crate) direction: &'static str,
    pub(crate) outcome: &'static str,
}

/// Labels of the time that a step took.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct StepTimeLabels {
    pub(crate) saga: &'static str,
    pub(crate) step: &'static str,
}

/// Labels of an alarm about a saga: the step is empty if it is about all of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct AlarmLabels {
    pub(crate) saga: String,
    pub(crate) step: String,
    pub(crate) why: &'static str,
}

/// Labels of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct PartitionLabels {
    pub(crate) topic: String,
    pub(crate) partition: i32,
}

/// Labels of an HTTP request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct HttpLabels {
    pub(crate) method: &'static str,
    pub(crate) route: &'static str,
    pub(crate) status: u16,
}

/// Labels of a route.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RouteLabels {
    pub(crate) method: &'static str,
    pub(crate) route: &'static str,
}

/// Labels of a handler.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct HandlerLabels {
    pub(crate) kind: &'static str,
    pub(crate) handler: &'static str,
}

fn seconds() -> Histogram {
    Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
}

/// What waits for other services takes longer than a request, and with its attempts perhaps hours.
fn long_seconds() -> Histogram {
    Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0])
}

impl Metrics {
    /// Nothing measured yet.
    pub fn new(service: &str) -> Self {
        let labels = [("service".into(), service.to_owned().into())];
        let mut registry = Registry::with_prefix_and_labels("minos", labels.into_iter());
        let registry = &mut registry;
        let mut metrics = Metrics {
            http_requests: put(registry, "http_requests", "HTTP requests answered", Family::default()),
            http_seconds: Family::new_with_constructor(seconds),
            handled: put(registry, "handled", "Runs of handlers that were committed", Family::default()),
            failed: put(registry, "handler_failures", "Runs of handlers that failed", Family::default()),
            conflicts: put(registry, "conflicts", "Runs of handlers that were done again because of a conflict", Counter::default()),
            retries: put(registry, "retries", "Attempts to handle a message that failed and are made again", Counter::default()),
            dead_letters: put(registry, "dead_letters", "Messages put among the dead letters", Counter::default()),
            parked_keys: put(registry, "parked_keys", "Keys whose messages wait behind a dead letter", Gauge::default()),
            commits: put(registry, "store_commits", "Units of work committed", Counter::default()),
            batch: put(
                registry,
                "store_batch_units",
                "Units of work in one transaction",
                Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0]),
            ),
            queue: put(registry, "store_queue", "Units of work that wait for the store", Gauge::default()),
            relayed: put(registry, "relay_sent", "Events and messages that the broker has answered for", Counter::default()),
            relay_open: put(registry, "relay_open", "Events and messages handed to the broker and not answered for", Gauge::default()),
            relay_age: Gauge::default(),
            relay_leads: put(registry, "relay_leads", "Whether this process is the one that relays", Gauge::default()),
            deliveries: put(registry, "deliveries", "Messages delivered and not yet handled", Gauge::default()),
            consumer_lag: put(registry, "consumer_lag", "Records of a partition that are not handled", Family::default()),
            sagas_started: put(registry, "sagas_started", "Executions of sagas that were begun", Family::default()),
            sagas_ended: put(registry, "sagas_ended", "Executions of sagas that have ended", Family::default()),
            saga_steps: put(registry, "saga_steps", "Attempts at steps of sagas that have ended", Family::default()),
            saga_step_seconds: Family::new_with_constructor(long_seconds),
            saga_alarms: put(
                registry,
                "saga_alarms",
                "Steps of sagas that wait for an operator, and executions that take too long",
                Family::default(),
            ),
            saga_age: Gauge::default(),
            projection_position: put(
                registry,
                "projection_position",
                "Position of the log up to which a projection has taken all",
                Family::default(),
            ),
            projection_lag: Family::default(),
            projection_parked: put(
                registry,
                "projection_parked",
                "Streams of which a projection takes nothing any more",
                Family::default(),
            ),
            announcements: put(
                registry,
                "discovery_announcements",
                "Announcements of this instance to the registry of services",
                Family::default(),
            ),
            registry: Arc::default(),
        };
        let help = "The age of the oldest event or message that the broker has not answered for";
        registry.register_with_unit("relay_oldest_unsent", help, Unit::Seconds, metrics.relay_age.clone());
        let help = "The age of the oldest execution of a saga that is under way";
        registry.register_with_unit("saga_oldest", help, Unit::Seconds, metrics.saga_age.clone());
        let help = "The age of the oldest event that a projection has not taken";
        registry.register_with_unit("projection_lag", help, Unit::Seconds, metrics.projection_lag.clone());
        registry.register_with_unit("http_request", "How long HTTP requests took", Unit::Seconds, metrics.http_seconds.clone());
        let help = "How long steps of sagas took until they were done";
        registry.register_with_unit("saga_step", help, Unit::Seconds, metrics.saga_step_seconds.clone());
        metrics.registry = Arc::new(std::mem::take(registry));
        metrics
    }

    /// Counts a unit of work that waits for the store, until the answer is dropped: also when nobody waits for it any more.
    pub(crate) fn waits_for_store(&self) -> impl Drop + use<> {
        self.queue.inc();
        Counted(self.queue.clone())
    }

    /// All of them as text.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(4096);
        // Writing to a string cannot fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }
}

struct Counted(Gauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn put<M: prometheus_client::registry::Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

#[cfg(test)]
mod documented;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_told() {
        let metrics = Metrics::new("foo");
        metrics.http_requests.get_or_create(&HttpLabels { method: "GET", route: "/foos/{uuid}", status: 200 }).inc();
        metrics.batch.observe(3.0);
        metrics.relay_age.set(1.5);
        let text = metrics.text();
        assert!(text.contains(r#"minos_http_requests_total{service="foo",method="GET",route="/foos/{uuid}",status="200"} 1"#), "{text}");
        assert!(text.contains(r#"minos_store_batch_units_bucket{service="foo",le="4.0"} 1"#), "{text}");
        assert!(text.contains(r#"minos_relay_oldest_unsent_seconds{service="foo"} 1.5"#), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
