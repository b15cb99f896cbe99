//! Topics that the broker refuses, while it takes the others: each waits by itself, and is read again from where it stopped.

use jiff::Timestamp;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// The topics that wait, by name.
#[derive(Default)]
pub(super) struct Held(BTreeMap<String, Topic>);

/// A topic that waits. Everything of it up to the cursors was sent, or is under way.
pub(super) struct Topic {
    /// How far its events were handed over: a position in the log.
    pub(super) log: u64,
    /// How far its messages were: the number of an outbox row.
    pub(super) rows: u64,
    /// The time of the first event or message that waits.
    since: Timestamp,
    failures: u32,
    /// When it is tried again; `None` while it catches up.
    retry: Option<Instant>,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn holds(&self, topic: &str) -> bool {
        self.0.contains_key(topic)
    }

    /// Something of this topic was refused: at most up to these cursors all was handed over. Returns how often in a row it has been refused, if this
    /// is news and not the rest of what was under way.
    pub(super) fn refuse(&mut self, topic: &str, log: u64, rows: u64, since: Timestamp) -> Option<u32> {
        let held = self.0.entry(topic.to_owned()).or_insert(Topic { log, rows, since, failures: 0, retry: None });
        held.log = held.log.min(log);
        held.rows = held.rows.min(rows);
        held.since = held.since.min(since);
        if held.retry.is_some() {
            return None;
        }
        held.failures += 1;
        held.retry = Some(Instant::now());
        Some(held.failures)
    }

    /// When to try a topic again that was refused just now.
    pub(super) fn retry_after(&mut self, topic: &str, pause: Duration) {
        if let Some(held) = self.0.get_mut(topic) {
            held.retry = Some(Instant::now() + pause);
        }
    }

    /// When the next topic is tried again of which nothing is under way.
    pub(super) fn due(&self, under_way: impl Fn(&str) -> bool) -> Option<Instant> {
        self.0.iter().filter(|(topic, _)| !under_way(topic)).filter_map(|(_, held)| held.retry).min()
    }

    /// A topic that catches up, or is to begin with it: one of which nothing is under way any more.
    pub(super) fn catching_up(&mut self, under_way: impl Fn(&str) -> bool) -> Option<(String, &mut Topic)> {
        let now = Instant::now();
        let is_ready = |topic: &str, held: &Topic| held.retry.is_none_or(|retry| retry <= now && !under_way(topic));
        let (topic, held) = self.0.iter_mut().find(|(topic, held)| is_ready(topic, held))?;
        held.retry = None;
        Some((topic.clone(), held))
    }

    /// All of it was handed over: it goes on with the others.
    pub(super) fn release(&mut self, topic: &str) {
        self.0.remove(topic);
    }

    /// The position up to which all events were handed over.
    pub(super) fn reached(&self) -> Option<u64> {
        self.0.values().map(|held| held.log).min()
    }

    /// The time of the oldest that waits.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.0.values().map(|held| held.since).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_topic_waits_until_nothing_of_it_is_under_way() {
        let (mut held, at) = (Held::default(), Timestamp::UNIX_EPOCH);
        assert_eq!(held.refuse("Foo", 7, 3, at), Some(1));
        held.retry_after("Foo", Duration::from_secs(1));
        assert_eq!(held.refuse("Foo", 5, 9, at), None, "the rest of what was under way is no news");
        assert!(held.holds("Foo") && held.reached() == Some(5));
        assert!(held.catching_up(|_| false).is_none(), "it is not time yet");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(held.catching_up(|_| true).is_none(), "something is under way");
        let (topic, cursors) = held.catching_up(|_| false).unwrap();
        assert_eq!((topic.as_str(), cursors.log, cursors.rows), ("Foo", 5, 3));
        assert_eq!(held.refuse("Foo", 6, 3, at), Some(2), "refused again while it catches up");
        held.release("Foo");
        assert!(held.is_empty());
    }
}
