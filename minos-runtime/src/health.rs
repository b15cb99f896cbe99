//! Whether the parts of a service work: each one tells here when it last succeeded, and what keeps it from it.

use crate::{clock::Clock, sync::lock};
use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::time::Instant;

/// The state of the parts of a service, by name.
#[derive(Clone)]
pub struct Health {
    clock: Arc<dyn Clock>,
    parts: Arc<Mutex<BTreeMap<String, Known>>>,
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

/// A part, and when it is overdue.
struct Known {
    part: Part,
    /// How long a success counts. None if the part has no rhythm.
    counts: Option<Duration>,
    /// When it last succeeded, by a clock that nobody sets.
    heard: Instant,
}

impl Known {
    /// The part as it is now: one that should have succeeded again by now hangs, and cannot say so itself.
    fn now(&self) -> Part {
        let mut part = self.part.clone();
        if let Some(counts) = self.counts
            && part.works()
            && self.heard.elapsed() > counts
        {
            part.failing = Some(format!("nothing was heard of it for {} s", self.heard.elapsed().as_secs()));
        }
        part
    }
}

impl Health {
    /// No parts yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Health { clock, parts: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        lock(&self.parts)
    }

    fn put(&self, name: &str, part: Part, counts: Option<Duration>) {
        self.lock().insert(name.to_owned(), Known { part, counts, heard: Instant::now() });
    }

    /// Adds a part that has not succeeded yet. A service is not ready before all its vital parts have succeeded once.
    pub fn expect(&self, name: &str, vital: bool) {
        self.put(name, Part { vital, succeeded_at: None, failing: None }, None);
    }

    /// Adds a vital part that succeeds again and again: each success counts for so long, so that a part that hangs is not taken for one that works.
    pub fn expect_every(&self, name: &str, counts: Duration) {
        self.put(name, Part { vital: true, succeeded_at: None, failing: None }, Some(counts));
    }

    /// A part that should go on until the service stops has ended, and with it the service is not ready any more.
    pub fn ended(&self, name: &str) {
        self.put(name, Part { vital: true, succeeded_at: None, failing: Some("it has ended".to_owned()) }, None);
    }

    /// The part works. Returns whether it had failed before, so that the recovery can be told once.
    pub fn succeeded(&self, name: &str) -> bool {
        let now = self.clock.now();
        let mut parts = self.lock();
        let Some(known) = parts.get_mut(name) else { return false };
        known.part.succeeded_at = Some(now);
        known.heard = Instant::now();
        known.part.failing.take().is_some()
    }

    /// The part does not work. Returns whether this is news, so that it can be told once.
    pub fn failed(&self, name: &str, why: impl Into<String>) -> bool {
        let mut parts = self.lock();
        let Some(known) = parts.get_mut(name) else { return false };
        known.part.failing.replace(why.into()).is_none()
    }

    /// All parts.
    pub fn parts(&self) -> BTreeMap<String, Part> {
        self.lock().iter().map(|(name, known)| (name.clone(), known.now())).collect()
    }

    /// Whether all vital parts work.
    pub fn is_ready(&self) -> bool {
        self.lock().values().all(|known| !known.part.vital || known.now().works())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[tokio::test(start_paused = true)]
    async fn a_success_counts_for_a_while() {
        let health = Health::new(clock::system());
        health.expect_every("store", Duration::from_secs(10));
        health.expect("broker", false);
        assert!(!health.is_ready(), "it has not succeeded yet");
        health.succeeded("store");
        for _ in 0..3 {
            tokio::time::advance(Duration::from_secs(9)).await;
            assert!(health.is_ready());
            health.succeeded("store");
        }
        tokio::time::advance(Duration::from_secs(11)).await;
        assert!(!health.is_ready());
        assert_eq!(health.parts()["store"].failing.as_deref(), Some("nothing was heard of it for 11 s"));
        assert!(!health.succeeded("store") && health.is_ready(), "it is back, and had not failed by its own word");
    }

    #[test]
    fn a_part_that_has_ended_is_vital() {
        let health = Health::new(clock::system());
        assert!(health.is_ready());
        health.ended("relay");
        assert!(!health.is_ready());
        assert_eq!(health.parts()["relay"].failing.as_deref(), Some("it has ended"));
    }
}
