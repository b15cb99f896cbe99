//! Answers of which a client takes nothing.
//!
//! On a connection of HTTP/1.1 the socket tells. On one of HTTP/2 it does not: it is written to all the time, and a client that gives one answer no room can still answer pings. Nobody asks for the
//! next piece then, so somebody else has to look, or instances would be kept busy for as long as the client likes.

use super::body::{BoxError, Passing};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::{
    any::Any,
    sync::{Arc, Mutex, MutexGuard, Weak},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{task::AbortHandle, time::Instant};

/// An answer that is let go when nothing of it is taken for too long.
pub(super) struct Watched {
    shared: Arc<Shared>,
    watching: AbortHandle,
}

struct Shared(Mutex<State>);

struct State {
    /// None if it was let go.
    passing: Option<Box<Passing>>,
    /// Since when the client is waited for; none while the instance is.
    since: Option<Instant>,
    /// Dropped with the answer.
    kept: Option<Box<dyn Any + Send>>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

impl Watched {
    pub(super) fn new(passing: Box<Passing>, patience: Duration, kept: Box<dyn Any + Send>) -> Self {
        let shared = Arc::new(Shared(Mutex::new(State { passing: Some(passing), since: Some(Instant::now()), kept: Some(kept) })));
        let watching = tokio::spawn(watch(Arc::downgrade(&shared), patience)).abort_handle();
        Watched { shared, watching }
    }

    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut state = self.shared.lock();
        let Some(passing) = &mut state.passing else {
            return Poll::Ready(Some(Err("nothing of the answer was taken in time".into())));
        };
        let polled = passing.poll(cx);
        state.since = polled.is_ready().then(Instant::now);
        polled
    }

    pub(super) fn is_end(&self) -> bool {
        self.shared.lock().passing.as_ref().is_some_and(|passing| passing.is_end())
    }

    pub(super) fn size(&self) -> SizeHint {
        self.shared.lock().passing.as_ref().map(|passing| passing.size()).unwrap_or_default()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Lets the answer go, if it is time; otherwise, when to look again.
    fn look(&self, patience: Duration) -> Option<Instant> {
        let (mut state, now) = (self.lock(), Instant::now());
        let until = state.since.unwrap_or(now) + patience;
        if until > now {
            return Some(until);
        }
        if let Some(passing) = state.passing.take() {
            passing.tell("has an answer of which its client takes nothing: it is cut off");
        }
        state.kept = None;
        None
    }
}

async fn watch(shared: Weak<Shared>, patience: Duration) {
    while let Some(until) = shared.upgrade().and_then(|shared| shared.look(patience)) {
        tokio::time::sleep_until(until).await;
    }
}
