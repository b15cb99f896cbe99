//! Keeps messages from overtaking an earlier one of their topic that has to be sent again.
//!
//! Who publishes hands many messages over at once, and learns later that one of them failed. What it hands over in between must not be sent,
//! or it would come before the one that failed, and who gets them would take the later for a repetition. So a topic that has refused a
//! message refuses all, until the caller has let go of everything of that topic that it handed over before: then it begins anew, in order.

use crate::{
    broker::{BrokerError, BrokerResult},
    sync::lock,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock},
};

/// How many topics are remembered before those are forgotten that nobody holds.
const MANY: usize = 64;

/// The topics to which something was published.
#[derive(Default)]
pub(super) struct Fences(Mutex<Topics>);

#[derive(Default)]
struct Topics {
    fences: HashMap<String, Fence>,
    /// So many were held when it was last looked.
    held: usize,
}

/// What was handed over for a topic since it last began anew.
#[derive(Default)]
struct Fence {
    broken: Broken,
    /// Held by everything that was handed over and is not let go of.
    held: Arc<()>,
}

/// Whether something of the same beginning failed, and why.
#[derive(Default, Clone)]
pub(super) struct Broken(Arc<OnceLock<BrokerError>>);

/// Held as long as the caller has not seen what became of a message.
pub(super) struct Held {
    _held: Arc<()>,
}

impl Broken {
    pub(super) fn set(&self, why: BrokerError) {
        // The first reason is the one that matters.
        let _ = self.0.set(why);
    }

    pub(super) fn why(&self) -> Option<&BrokerError> {
        self.0.get()
    }

    /// What whoever published something behind it is told.
    pub(super) fn result(&self) -> BrokerResult {
        Err(self.why().cloned().unwrap_or_else(|| BrokerError::Unavailable("something before it was refused".to_owned())))
    }
}

impl Fence {
    fn is_held(&self) -> bool {
        Arc::strong_count(&self.held) > 1
    }
}

impl Fences {
    fn lock(&self) -> MutexGuard<'_, Topics> {
        lock(&self.0)
    }

    /// A message for a topic. It may be sent unless [`Broken`] says otherwise, now or when its turn comes.
    pub(super) fn pass(&self, topic: &str) -> (Broken, Held) {
        let mut topics = self.lock();
        if topics.fences.len() >= MANY + 2 * topics.held {
            // What nobody holds begins anew in any case.
            topics.fences.retain(|_, fence| fence.is_held());
            topics.held = topics.fences.len();
        }
        let fence = match topics.fences.get_mut(topic) {
            Some(fence) => fence,
            None => topics.fences.entry(topic.to_owned()).or_default(),
        };
        if fence.broken.why().is_some() && !fence.is_held() {
            *fence = Fence::default();
        }
        (fence.broken.clone(), Held { _held: fence.held.clone() })
    }

    /// Nothing that was handed over for this topic will be sent.
    pub(super) fn break_one(&self, topic: &str, why: &BrokerError) {
        if let Some(fence) = self.lock().fences.get(topic) {
            fence.broken.set(why.clone());
        }
    }

    /// Nothing that was handed over for any topic will be sent.
    pub(super) fn break_all(&self, why: &BrokerError) {
        self.lock().fences.values().for_each(|fence| fence.broken.set(why.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no() -> BrokerError {
        BrokerError::Unavailable("no".to_owned())
    }

    #[test]
    fn a_topic_begins_anew_when_all_was_let_go_of() {
        let fences = Fences::default();
        let (first, held) = fences.pass("a");
        let (second, also) = fences.pass("a");
        first.set(no());
        assert_eq!(second.why(), Some(&no()), "what was handed over after it is not sent");
        drop(held);
        let (third, last) = fences.pass("a");
        assert_eq!(third.why(), Some(&no()), "the caller may not know yet");
        assert_eq!(fences.pass("b").0.why(), None, "another topic has an order of its own");
        drop((also, last));
        assert_eq!(fences.pass("a").0.why(), None);
        assert_eq!(third.why(), Some(&no()), "and what came too early stays refused");
    }

    #[test]
    fn one_breaks_or_all() {
        let fences = Fences::default();
        let (a, b, c) = (fences.pass("a"), fences.pass("b"), fences.pass("c"));
        fences.break_one("c", &BrokerError::Refused { topic: "c".to_owned(), why: "no".to_owned() });
        assert_eq!((a.0.why(), b.0.why(), c.0.why().is_some()), (None, None, true));
        fences.break_all(&no());
        assert_eq!((a.0.why(), b.0.why()), (Some(&no()), Some(&no())));
        assert!(matches!(c.0.why(), Some(BrokerError::Refused { .. })));
    }

    #[test]
    fn topics_that_nobody_holds_are_forgotten_and_no_others() {
        let fences = Fences::default();
        let (broken, held) = fences.pass("held");
        broken.set(no());
        (0..10 * MANY).for_each(|n| drop(fences.pass(&n.to_string())));
        assert!(fences.lock().fences.len() <= MANY + 2, "{}", fences.lock().fences.len());
        assert_eq!(fences.pass("held").0.why(), Some(&no()));
        drop(held);
    }
}
