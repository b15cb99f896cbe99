//! What a gateway measures of itself, in the text format of OpenMetrics, which Prometheus reads.

use super::{table::Table, upstream::Standing};
use http::StatusCode;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, Weak},
    time::Duration,
};

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
    routes: Arc<Routes>,
}

/// The routes that somebody has, so that each is measured once.
type Routes = Mutex<HashMap<RouteLabels, Weak<RouteMetrics>>>;

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

/// What is measured of a route, found once. When nobody has the route any more, nothing is told of it: a registry may name ever new ones.
pub(super) struct RouteMetrics {
    labels: RouteLabels,
    metrics: Metrics,
    seconds: Histogram,
    ok: Counter,
    /// Answers of other statuses, as they come.
    others: Mutex<BTreeMap<u16, Counter>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
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
            routes: Arc::default(),
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

    /// What is measured of a route, as long as the answer is kept.
    pub(super) fn route(&self, service: &str, method: &str, route: &str) -> Arc<RouteMetrics> {
        let labels = RouteLabels { service: service.to_owned(), method: method.to_owned(), route: route.to_owned() };
        let mut routes = lock(&self.routes);
        if let Some(known) = routes.get(&labels).and_then(Weak::upgrade) {
            return known;
        }
        let seconds = self.seconds.get_or_create_owned(&labels);
        let ok = self.requests.get_or_create_owned(&labels.with(StatusCode::OK.as_u16()));
        let measured = Arc::new(RouteMetrics { labels: labels.clone(), metrics: self.clone(), seconds, ok, others: Mutex::default() });
        routes.insert(labels, Arc::downgrade(&measured));
        measured
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
    fn with(&self, status: u16) -> RequestLabels {
        RequestLabels { service: self.service.clone(), method: self.method.clone(), route: self.route.clone(), status }
    }
}

impl RouteMetrics {
    pub(super) fn observe(&self, status: StatusCode, took: Duration) {
        self.seconds.observe(took.as_secs_f64());
        if status == StatusCode::OK {
            self.ok.inc();
        } else {
            self.of(&mut lock(&self.others), status.as_u16()).inc();
        }
    }

    fn of<'o>(&self, others: &'o mut BTreeMap<u16, Counter>, status: u16) -> &'o Counter {
        others.entry(status).or_insert_with(|| self.metrics.requests.get_or_create_owned(&self.labels.with(status)))
    }
}

impl Drop for RouteMetrics {
    fn drop(&mut self) {
        let statuses = std::mem::take(&mut *lock(&self.others)).into_keys();
        let mut routes = lock(&self.metrics.routes);
        // Somebody may have got the route anew meanwhile: they go on with what was measured, and leave nothing of it in the end.
        if let Some(known) = routes.get(&self.labels).and_then(Weak::upgrade) {
            for status in statuses {
                known.of(&mut lock(&known.others), status);
            }
            // Before `known`, which may be the last one by now.
            drop(routes);
            return;
        }
        routes.remove(&self.labels);
        self.metrics.seconds.remove(&self.labels);
        for status in statuses.chain([StatusCode::OK.as_u16()]) {
            self.metrics.requests.remove(&self.labels.with(status));
        }
    }
}

impl std::fmt::Debug for RouteMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.labels.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(metrics: &Metrics) -> Vec<String> {
        let text = metrics.text(&Table::default());
        let own = |line: &&str| line.starts_with("minos_gateway_request");
        text.lines().filter(own).filter(|line| !line.contains("_bucket")).map(str::to_owned).collect()
    }

    #[test]
    fn what_nobody_has_any_more_is_not_told() {
        let metrics = Metrics::new();
        let (kept, gone) = (metrics.route("foo", "GET", "/foos"), metrics.route("bar", "GET", "/bars"));
        for status in [200, 404, 404, 503] {
            kept.observe(StatusCode::from_u16(status).unwrap(), Duration::ZERO);
            gone.observe(StatusCode::from_u16(status).unwrap(), Duration::ZERO);
        }
        assert_eq!(lines(&metrics).len(), 10, "{:?}", lines(&metrics));
        // As when a table is made anew: the route is had twice, and then once.
        let again = metrics.route("foo", "GET", "/foos");
        assert!(Arc::ptr_eq(&kept, &again));
        drop((kept, gone));
        again.observe(StatusCode::NOT_FOUND, Duration::ZERO);
        let left = lines(&metrics);
        assert!(left.len() == 5 && left.iter().all(|line| line.contains("service=\"foo\"")), "{left:?}");
        let missed = "minos_gateway_requests_total{service=\"foo\",method=\"GET\",route=\"/foos\",status=\"404\"} 3";
        assert!(left.iter().any(|line| line == missed), "{left:?}");
    }

    #[test]
    fn ever_new_routes_leave_nothing_behind() {
        let metrics = Metrics::new();
        for n in 0..1000 {
            let route = metrics.route("foo", "GET", &format!("/foos/{n}"));
            route.observe(StatusCode::OK, Duration::ZERO);
            route.observe(StatusCode::BAD_GATEWAY, Duration::ZERO);
        }
        assert_eq!(lines(&metrics), [""; 0]);
        assert!(lock(&metrics.routes).is_empty());
    }

    #[test]
    fn a_route_that_comes_back_before_the_last_answer_goes_on() {
        let metrics = Metrics::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        let route = metrics.route("foo", "GET", "/foos");
                        route.observe(StatusCode::NOT_FOUND, Duration::ZERO);
                        assert!(lines(&metrics).iter().any(|line| line.contains("status=\"404\"")), "what somebody has is told");
                    }
                });
            }
        });
        assert_eq!(lines(&metrics), [""; 0]);
    }
}
