//! Streams on which many handlers write at once.
//!
//! Optimistic concurrency alone lets all but one of them fail each time. So the first conflict on a stream makes it *hot*, and from then on
//! its handlers of this process queue up for it, for as long as somebody queues. The queue is only politeness, not safety: versions
//! are checked all the same, and who waits too long goes on without its turn.

use crate::{store::StreamId, sync::lock};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

/// Two handlers that queue for each other's streams would wait for ever: this is when they stop.
const PATIENCE: Duration = Duration::from_secs(2);

type Turn = Arc<tokio::sync::Mutex<()>>;

/// The hot streams of a service.
#[derive(Default, Clone)]
pub(crate) struct HotStreams(Arc<Mutex<HashMap<StreamId, Hot>>>);

struct Hot {
    turn: Turn,
    /// Who queues or has the turn.
    users: usize,
}

/// A place in the queue of a hot stream, and then the turn.
pub(crate) struct HotGuard {
    streams: HotStreams,
    stream: StreamId,
    turn: Option<OwnedMutexGuard<()>>,
}

impl HotGuard {
    pub(crate) fn is_for(&self, stream: &StreamId) -> bool {
        self.stream == *stream
    }
}

impl HotStreams {
    fn map(&self) -> MutexGuard<'_, HashMap<StreamId, Hot>> {
        lock(&self.0)
    }

    /// Waits for the turn, if the stream is hot.
    pub(crate) async fn enter(&self, stream: &StreamId) -> Option<HotGuard> {
        if !self.map().contains_key(stream) {
            return None;
        }
        Some(self.queue(stream).await)
    }

    /// Waits for the turn of a subscriber with a key: the same queue for what is no stream.
    pub(crate) async fn queue_for(&self, subscriber: &str, key: &str) -> HotGuard {
        let place = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{subscriber} {key}").as_bytes());
        self.queue(&StreamId::new("", place)).await
    }

    /// Makes the stream hot, and waits for the turn.
    pub(crate) async fn queue(&self, stream: &StreamId) -> HotGuard {
        let turn = {
            let mut map = self.map();
            let hot = map.entry(stream.clone()).or_insert_with(|| Hot { turn: Turn::default(), users: 0 });
            hot.users += 1;
            hot.turn.clone()
        };
        // Made before the wait, so that a handler that is cancelled in it leaves the queue.
        let mut guard = HotGuard { streams: self.clone(), stream: stream.clone(), turn: None };
        guard.turn = tokio::time::timeout(PATIENCE, turn.lock_owned()).await.ok();
        guard
    }
}

impl Drop for HotGuard {
    fn drop(&mut self) {
        let mut map = self.streams.map();
        if let Some(hot) = map.get_mut(&self.stream) {
            hot.users -= 1;
            if hot.users == 0 {
                map.remove(&self.stream);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[tokio::test]
    async fn a_stream_is_hot_while_somebody_queues() {
        let (hot, stream) = (HotStreams::default(), StreamId::new("Foo", Uuid::nil()));
        assert!(hot.enter(&stream).await.is_none());
        let first = hot.queue(&stream).await;
        let second = tokio::spawn({
            let (hot, stream) = (hot.clone(), stream.clone());
            async move { hot.enter(&stream).await.is_some_and(|guard| guard.turn.is_some()) }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(second.await.unwrap(), "the second one got its turn when the first one left");
        assert!(hot.map().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_goes_on_without_its_turn() {
        let (hot, stream) = (HotStreams::default(), StreamId::new("Foo", Uuid::nil()));
        let _first = hot.queue(&stream).await;
        assert!(hot.queue(&stream).await.turn.is_none());
    }
}
