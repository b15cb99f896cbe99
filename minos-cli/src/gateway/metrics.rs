//! What a gateway measures of itself, in the text format of OpenMetrics, which Prometheus reads.

use super::{table::Table, upstream::Standing};
use http::StatusCode;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use std::{sync::Arc, time::Duration};

/// The measurements of a gateway. Cheap to clone.
#[derive(Clone)]
pub(super) struct Metrics {
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabels, Histogram, fn() -> Histogram>,
    /// Requests that were sent again.
    pub(super) retries: Counter,
    /// Requests that the gateway answered itself, by why.
    refused: Family<RefusedLabels, Counter>,
    pub(super) connections: Gauge,
    pub(super) under_way: Gauge,
    instances: Family<StandingLabels, Gauge>,
    ejections: Family<InstanceLabels, Gauge>,
    conflicts: Gauge,
    registry: Arc<Registry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    service: String,
    method: String,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    service: String,
    method: String,
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabels {
    why: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StandingLabels {
    service: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InstanceLabels {
    service: String,
    instance: String,
}

/// What is measured of a route, found once.
pub(super) struct RouteMetrics {
    labels: RouteLabels,
    requests: Family<RequestLabels, Counter>,
    seconds: Histogram,
    ok: Counter,
}

fn seconds() -> Histogram {
    Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("minos_gateway");
        let mut metrics = Metrics {
            requests: Family::default(),
            seconds: Family::new_with_constructor(seconds),
            retries: Counter::default(),
            refused: Family::default(),
            connections: Gauge::default(),
            under_way: Gauge::default(),
            instances: Family::default(),
            ejections: Family::default(),
            conflicts: Gauge::default(),
            registry: Arc::default(),
        };
        let own = &metrics;
        registry.register("requests", "Requests that a service answered, or should have", own.requests.clone());
        registry.register_with_unit("request", "How long requests took until the answer began", Unit::Seconds, own.seconds.clone());
        registry.register("retries", "Requests that were sent again", own.retries.clone());
        registry.register("refused", "Requests that the gateway answered itself", own.refused.clone());
        registry.register("connections", "Connections of clients", own.connections.clone());
        registry.register("under_way", "Requests that are under way", own.under_way.clone());
        registry.register("instances", "Instances of services, by whether they are asked", own.instances.clone());
        registry.register("ejections", "How often an instance was left alone because it failed", own.ejections.clone());
        registry.register("conflicts", "Routes that a service does not get because another one has them", own.conflicts.clone());
        metrics.registry = Arc::new(registry);
        metrics
    }

    pub(super) fn route(&self, service: &str, method: &str, route: &str) -> RouteMetrics {
        let labels = RouteLabels { service: service.to_owned(), method: method.to_owned(), route: route.to_owned() };
        let seconds = self.seconds.get_or_create_owned(&labels);
        let ok = self.requests.get_or_create_owned(&labels.with(StatusCode::OK));
        RouteMetrics { labels, requests: self.requests.clone(), seconds, ok }
    }

    /// Counts a request that the gateway answers itself.
    pub(super) fn refuse(&self, why: &'static str) {
        self.refused.get_or_create(&RefusedLabels { why }).inc();
    }

    /// All of them as text.
    pub(super) fn text(&self, table: &Table) -> String {
        self.instances.clear();
        self.ejections.clear();
        for instance in &table.instances {
            let state = standing(instance.standing());
            self.instances.get_or_create(&StandingLabels { service: instance.service.clone(), state }).inc();
            let labels = InstanceLabels { service: instance.service.clone(), instance: instance.id.clone() };
            self.ejections.get_or_create(&labels).set(i64::try_from(instance.ejections()).unwrap_or(i64::MAX));
        }
        self.conflicts.set(i64::try_from(table.conflicts.len()).unwrap_or(i64::MAX));
        let mut text = String::with_capacity(4096);
        // Writing to a string cannot fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }
}

/// The word for it.
pub(super) fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::In => "in",
        Standing::Leaving => "leaving",
        Standing::Due => "tried",
        Standing::Out => "out",
    }
}

impl RouteLabels {
    fn with(&self, status: StatusCode) -> RequestLabels {
        RequestLabels { service: self.service.clone(), method: self.method.clone(), route: self.route.clone(), status: status.as_u16() }
    }
}

impl RouteMetrics {
    pub(super) fn observe(&self, status: StatusCode, took: Duration) {
        self.seconds.observe(took.as_secs_f64());
        if status == StatusCode::OK {
            self.ok.inc();
        } else {
            self.requests.get_or_create(&self.labels.with(status)).inc();
        }
    }
}

impl std::fmt::Debug for RouteMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.labels.fmt(f)
    }
}
