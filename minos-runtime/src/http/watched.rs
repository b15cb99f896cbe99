//! Answers of which a client takes nothing.
//!
//! On a connection of HTTP/1.1 the socket tells. On one of HTTP/2 it does not: it is written to all the time, and a client that gives one answer no room can still answer pings. Nobody asks for the
//! next piece then, so somebody else has to look, or what makes the answer would be kept busy for as long as the client likes.

use super::body::BoxError;
use crate::sync::lock;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    any::Any,
    pin::Pin,
    sync::{Arc, Mutex, Weak},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{task::AbortHandle, time::Instant};

/// A body that is let go when nothing of it is taken for too long.
pub struct Watched<B> {
    state: Arc<Mutex<State<B>>>,
    watching: AbortHandle,
}

struct State<B> {
    /// None if it was let go.
    body: Option<B>,
    /// Since when the client is waited for; none while the body is.
    since: Option<Instant>,
    /// Dropped with the body.
    kept: Option<Box<dyn Any + Send>>,
    /// Tells that it is let go.
    tell: fn(&B),
}

impl<B> Drop for Watched<B> {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

impl<B: Send + 'static> Watched<B> {
    /// Lets the body go, and something that is `kept` for it, when nothing of it is taken for so long; `tell` is told first.
    pub fn new(body: B, patience: Duration, kept: Box<dyn Any + Send>, tell: fn(&B)) -> Self {
        let state = Arc::new(Mutex::new(State { body: Some(body), since: Some(Instant::now()), kept: Some(kept), tell }));
        let watching = tokio::spawn(watch(Arc::downgrade(&state), patience)).abort_handle();
        Watched { state, watching }
    }
}

impl<B> Body for Watched<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut state = lock(&self.state);
        let Some(body) = &mut state.body else {
            return Poll::Ready(Some(Err("nothing of the answer was taken in time".into())));
        };
        let polled = Pin::new(body).poll_frame(cx);
        state.since = polled.is_ready().then(Instant::now);
        polled.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.state).body.as_ref().is_some_and(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.state).body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl<B> State<B> {
    /// Lets the body go, if it is time; otherwise, when to look again.
    fn look(&mut self, patience: Duration) -> Option<Instant> {
        let now = Instant::now();
        let until = self.since.unwrap_or(now) + patience;
        if until > now {
            return Some(until);
        }
        if let Some(body) = self.body.take() {
            (self.tell)(&body);
        }
        self.kept = None;
        None
    }
}

async fn watch<B>(state: Weak<Mutex<State<B>>>, patience: Duration) {
    while let Some(until) = state.upgrade().and_then(|state| lock(&state).look(patience)) {
        tokio::time::sleep_until(until).await;
    }
}
