//! Whether the parts of a service work: each one tells here when it last succeeded, and what keeps it from it.

use crate::clock::Clock;
use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

/// The state of the parts of a service, by name.
#[derive(Clone)]
pub struct Health {
    clock: Arc<dyn Clock>,
    parts: Arc<Mutex<BTreeMap<String, Part>>>,
}

/// The state of one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Whether the service is not ready without it. The others only degrade it.
    pub vital: bool,
    /// When it last succeeded.
    pub succeeded_at: Option<Timestamp>,
    /// What has kept it from succeeding since then.
    pub failing: Option<String>,
}

impl Part {
    /// Whether it works now.
    pub fn works(&self) -> bool {
        self.failing.is_none() && self.succeeded_at.is_some()
    }
}

impl Health {
    /// No parts yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Health { clock, parts: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Part>> {
        self.parts.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Adds a part that has not succeeded yet. A service is not ready before all its vital parts have succeeded once.
    pub fn expect(&self, name: &str, vital: bool) {
        self.lock().insert(name.to_owned(), Part { vital, succeeded_at: None, failing: None });
    }

    /// The part works. Returns whether it had failed before, so that the recovery can be told once.
    pub fn succeeded(&self, name: &str) -> bool {
        let now = self.clock.now();
        let mut parts = self.lock();
        let Some(part) = parts.get_mut(name) else { return false };
        part.succeeded_at = Some(now);
        part.failing.take().is_some()
    }

    /// The part does not work. Returns whether this is news, so that it can be told once.
    pub fn failed(&self, name: &str, why: impl Into<String>) -> bool {
        let mut parts = self.lock();
        let Some(part) = parts.get_mut(name) else { return false };
        part.failing.replace(why.into()).is_none()
    }

    /// All parts.
    pub fn parts(&self) -> BTreeMap<String, Part> {
        self.lock().clone()
    }

    /// Whether all vital parts work.
    pub fn is_ready(&self) -> bool {
        self.lock().values().all(|part| part.works() || !part.vital)
    }
}
