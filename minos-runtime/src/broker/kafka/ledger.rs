//! What was given to the producer and not answered for, in order: if that producer fails, all of it goes to the next one.

use super::fence::Broken;
use crate::{
    broker::{BrokerError, BrokerResult},
    message::Envelope,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// A message on its way.
pub(super) struct Outgoing {
    pub(super) message: Envelope,
    pub(super) broken: Broken,
    pub(super) answer: oneshot::Sender<BrokerResult>,
    /// When a producer first got it.
    given: Option<Instant>,
}

/// What is under way, by number.
pub(super) struct Ledger(Mutex<Entries>);

struct Entries {
    next: usize,
    open: BTreeMap<usize, Outgoing>,
    flows: HashMap<String, Flow>,
    /// When the broker last acknowledged anything.
    heard: Instant,
}

/// What is under way to one topic.
struct Flow {
    open: usize,
    /// When something was last acknowledged, or the first of these was given to a producer.
    moved: Instant,
}

impl Outgoing {
    pub(super) fn new(message: Envelope, broken: Broken, answer: oneshot::Sender<BrokerResult>) -> Self {
        Outgoing { message, broken, answer, given: None }
    }

    /// It is not sent, and nothing behind it of its topic, for this reason or one that is known already.
    pub(super) fn refuse(self, why: Option<BrokerError>) {
        if let Some(why) = why {
            self.broken.set(why);
        }
        // Who published it may have gone.
        let _ = self.answer.send(self.broken.result());
    }

    /// It is not sent; what is behind it may be.
    pub(super) fn too_large(self, limit: usize) {
        let size = self.message.size();
        // Who published it may have gone.
        let _ = self.answer.send(Err(BrokerError::TooLarge { topic: self.message.topic, size, limit }));
    }
}

impl Ledger {
    pub(super) fn new() -> Self {
        Ledger(Mutex::new(Entries { next: 0, open: BTreeMap::new(), flows: HashMap::new(), heard: Instant::now() }))
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Gives a message to the producer under a number. It comes back if the producer does not take it.
    pub(super) fn give<E>(
        &self,
        mut out: Outgoing,
        queue: impl FnOnce(usize, &Envelope) -> Result<(), E>,
    ) -> Result<(), (Box<Outgoing>, E)> {
        // Locked until it is noted: the answer may come at once.
        let mut entries = self.lock();
        let number = entries.next;
        if let Err(error) = queue(number, &out.message) {
            return Err((Box::new(out), error));
        }
        entries.next = number.wrapping_add(1);
        let moved = *out.given.get_or_insert_with(Instant::now);
        match entries.flows.get_mut(&out.message.topic) {
            Some(flow) => flow.open += 1,
            None => _ = entries.flows.insert(out.message.topic.clone(), Flow { open: 1, moved }),
        }
        entries.open.insert(number, out);
        Ok(())
    }

    /// The broker has this one for good.
    pub(super) fn acknowledged(&self, number: usize) {
        let mut entries = self.lock();
        let Some(out) = entries.open.remove(&number) else { return };
        let now = Instant::now();
        entries.heard = now;
        if let Some(flow) = entries.flows.get_mut(&out.message.topic) {
            flow.open -= 1;
            flow.moved = now;
            if flow.open == 0 {
                entries.flows.remove(&out.message.topic);
            }
        }
        drop(entries);
        // Who published it may have gone.
        let _ = out.answer.send(Ok(()));
    }

    /// All that has no answer, in the order in which it was given.
    pub(super) fn take(&self) -> Vec<Outgoing> {
        let mut entries = self.lock();
        entries.flows.clear();
        std::mem::take(&mut entries.open).into_values().collect()
    }

    /// The topics to which something is under way, of which nothing was acknowledged for so long.
    pub(super) fn silent(&self, patience: Duration) -> Vec<String> {
        let entries = self.lock();
        entries.flows.iter().filter(|(_, flow)| flow.moved.elapsed() >= patience).map(|(topic, _)| topic.clone()).collect()
    }

    /// Whether anything was acknowledged within this time.
    pub(super) fn heard_within(&self, time: Duration) -> bool {
        self.lock().heard.elapsed() < time
    }
}
