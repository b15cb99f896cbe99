//! What does not work at the moment, by what it concerns: all of it is one part of the service's health.

use crate::{health::Health, sync::lock};
use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

/// The name of the broker in [`Health`].
const PART: &str = "broker";

/// What does not work.
pub(super) struct Troubles {
    health: Health,
    known: Mutex<BTreeMap<String, String>>,
    /// How many, for who only wants to know whether there are any.
    count: AtomicUsize,
}

impl Troubles {
    /// None known. The service can do without its broker for a while, so it counts as degraded, and not as down.
    pub(super) fn new(health: Health) -> Self {
        health.expect(PART, false);
        Troubles { health, known: Mutex::default(), count: AtomicUsize::new(0) }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        lock(&self.known)
    }

    /// Something about this does not work; told once.
    pub(super) fn set(&self, about: &str, what: impl Into<String>) {
        let mut known = self.known();
        let what = what.into();
        let news = known.get(about) != Some(&what);
        if news {
            tracing::error!(about, error = what, "the broker does not do what it should");
            known.insert(about.to_owned(), what);
        }
        self.tell(&known);
    }

    /// This works.
    pub(super) fn clear(&self, about: &str) {
        let mut known = self.known();
        if known.remove(about).is_some() {
            tracing::info!(about, "works again");
        }
        self.tell(&known);
    }

    pub(super) fn any(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    fn tell(&self, known: &BTreeMap<String, String>) {
        self.count.store(known.len(), Ordering::Relaxed);
        if known.is_empty() {
            self.health.succeeded(PART);
        } else {
            let all: Vec<_> = known.iter().map(|(about, what)| format!("{about}: {what}")).collect();
            self.health.failed(PART, all.join("; "));
        }
    }
}

/// What a topic is called as the subject of trouble.
pub(super) fn topic(name: &str) -> String {
    format!("topic `{name}`")
}

/// What sending to a topic is called as the subject of trouble.
pub(super) fn sending(topic: &str) -> String {
    format!("sending to `{topic}`")
}
