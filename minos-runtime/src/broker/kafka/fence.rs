//! Keeps messages from overtaking an earlier one of their topic that has to be sent again.
//!
//! Who publishes hands many messages over at once, and learns later that one of them failed. What it hands over in between must not be sent,
//! or it would come before the one that failed, and who gets them would take the later for a repetition. So a topic that has refused a
//! message refuses all, until the caller has let go of everything that it handed over before: then it begins anew, in order.

use crate::broker::BrokerError;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock},
};

/// The topics to which something was published.
#[derive(Default)]
pub(super) struct Fences(Mutex<HashMap<String, Fence>>);

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
    pub(super) fn set(&self, why: &BrokerError) {
        // The first reason is the one that matters.
        let _ = self.0.set(why.clone());
    }

    pub(super) fn why(&self) -> Option<&BrokerError> {
        self.0.get()
    }
}

impl Fences {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Fence>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// A message for a topic. It may be sent unless [`Broken`] says otherwise, now or when its turn comes.
    pub(super) fn pass(&self, topic: &str) -> (Broken, Held) {
        let mut fences = self.lock();
        let fence = match fences.get_mut(topic) {
            Some(fence) => fence,
            None => fences.entry(topic.to_owned()).or_default(),
        };
        if fence.broken.why().is_some() && Arc::strong_count(&fence.held) == 1 {
            *fence = Fence::default();
        }
        (fence.broken.clone(), Held { _held: fence.held.clone() })
    }

    /// Nothing that was handed over for any topic will be sent.
    pub(super) fn break_all(&self, why: &BrokerError) {
        self.lock().values().for_each(|fence| fence.broken.set(why));
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
        first.set(&no());
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
    fn all_break_at_once() {
        let fences = Fences::default();
        let (a, b) = (fences.pass("a"), fences.pass("b"));
        fences.break_all(&no());
        assert_eq!((a.0.why(), b.0.why()), (Some(&no()), Some(&no())));
    }
}
