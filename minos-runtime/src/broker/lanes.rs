//! Lanes: work of one key runs in order, work of different keys at once.

use crate::sync::lock;
use futures_util::{FutureExt, future::BoxFuture};
use std::{
    collections::{HashMap, VecDeque},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::sync::watch;

type Work = BoxFuture<'static, ()>;

/// Runs work in lanes. A lane exists as long as it has work.
#[derive(Clone)]
pub(super) struct Lanes(Arc<State>);

struct State {
    queues: Mutex<HashMap<String, VecDeque<Work>>>,
    /// How many lanes there are, for who waits for the last one.
    count: watch::Sender<usize>,
}

impl Lanes {
    pub(super) fn new() -> Self {
        Lanes(Arc::new(State { queues: Mutex::default(), count: watch::Sender::new(0) }))
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<String, VecDeque<Work>>> {
        lock(&self.0.queues)
    }

    /// Puts work behind what is in the lane of this key.
    pub(super) fn put(&self, key: String, work: Work) {
        let mut queues = self.queues();
        if let Some(queue) = queues.get_mut(&key) {
            queue.push_back(work);
            return;
        }
        queues.insert(key.clone(), VecDeque::new());
        self.0.count.send_replace(queues.len());
        drop(queues);
        tokio::spawn(self.clone().drain(key, work));
    }

    async fn drain(self, key: String, mut work: Work) {
        loop {
            // What panics ends for itself alone: the lane has to go on, or to end.
            if AssertUnwindSafe(work).catch_unwind().await.is_err() {
                tracing::error!(key, "work on a message panicked outside of its handler");
            }
            let mut queues = self.queues();
            match queues.get_mut(&key).and_then(VecDeque::pop_front) {
                Some(next) => work = next,
                None => {
                    queues.remove(&key);
                    self.0.count.send_replace(queues.len());
                    return;
                }
            }
        }
    }

    /// Waits until no lane has work.
    pub(super) async fn idle(&self) {
        // The sender lives as long as `self`.
        let _ = self.0.count.subscribe().wait_for(|count| *count == 0).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::{mpsc, oneshot};

    #[tokio::test]
    async fn a_lane_outlives_work_that_panics() {
        let (lanes, (sent, done)) = (Lanes::new(), oneshot::channel());
        lanes.put("a".into(), Box::pin(async { panic!("as told") }));
        lanes.put("a".into(), Box::pin(async move { sent.send(()).unwrap() }));
        done.await.unwrap();
        lanes.idle().await;
    }

    #[tokio::test]
    async fn one_key_in_order_and_keys_at_once() {
        let (lanes, (sent, mut done)) = (Lanes::new(), mpsc::unbounded_channel());
        let (open, gate) = oneshot::channel::<()>();
        let mut gate = Some(gate);
        for n in 0..3 {
            let (sent, gate) = (sent.clone(), gate.take());
            lanes.put(
                "a".into(),
                Box::pin(async move {
                    if let Some(gate) = gate {
                        gate.await.unwrap();
                    }
                    sent.send(("a", n)).unwrap();
                }),
            );
        }
        lanes.put(
            "b".into(),
            Box::pin({
                let sent = sent.clone();
                async move { sent.send(("b", 0)).unwrap() }
            }),
        );
        assert_eq!(done.recv().await, Some(("b", 0)), "a key does not wait for another one");
        open.send(()).unwrap();
        for n in 0..3 {
            assert_eq!(done.recv().await, Some(("a", n)));
        }
        lanes.idle().await;
        assert!(lanes.queues().is_empty());
    }
}
