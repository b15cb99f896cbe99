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
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{task::AbortHandle, time::Instant};

/// How much is handed on at once. The next piece is asked for when this one has gone, so it says how little a client may take in time.
const PIECE: usize = 16 * 1024;

/// A body that is let go when nothing of it is taken for too long.
pub struct Watched<B> {
    state: Arc<Mutex<State<B>>>,
    watching: AbortHandle,
}

struct State<B> {
    /// None if it was let go.
    body: Option<B>,
    /// What is left of its last piece.
    rest: Bytes,
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
        let state =
            Arc::new(Mutex::new(State { body: Some(body), rest: Bytes::new(), since: Some(Instant::now()), kept: Some(kept), tell }));
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
        let polled = state.next(cx);
        state.since = polled.is_ready().then(Instant::now);
        polled
    }

    fn is_end_stream(&self) -> bool {
        let state = lock(&self.state);
        state.rest.is_empty() && state.body.as_ref().is_some_and(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let state = lock(&self.state);
        let (rest, hint) = (state.rest.len() as u64, state.body.as_ref().map(Body::size_hint).unwrap_or_default());
        let mut all = SizeHint::new();
        all.set_lower(hint.lower() + rest);
        if let Some(upper) = hint.upper() {
            all.set_upper(upper + rest);
        }
        all
    }
}

impl<B> State<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    /// The next piece.
    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(Some(Err("nothing of the answer was taken in time".into())));
        };
        if self.rest.is_empty() {
            match ready!(Pin::new(body).poll_frame(cx)).map(|frame| frame.map(Frame::into_data)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Ok(Ok(data))) => self.rest = data,
            }
        }
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
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
        (self.rest, self.kept) = (Bytes::new(), None);
        None
    }
}

async fn watch<B>(state: Weak<Mutex<State<B>>>, patience: Duration) {
    while let Some(until) = state.upgrade().and_then(|state| lock(&state).look(patience)) {
        tokio::time::sleep_until(until).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full};

    #[tokio::test(start_paused = true)]
    async fn who_takes_piece_by_piece_gets_all() {
        let all: Bytes = (0..1_000_000_u32).flat_map(u32::to_be_bytes).collect();
        let patience = Duration::from_secs(10);
        let mut body = Watched::new(Full::new(all.clone()), patience, Box::new(()), |_| {});
        let mut taken = Vec::new();
        while !body.is_end_stream() {
            assert_eq!(body.size_hint().exact(), Some((all.len() - taken.len()) as u64));
            let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert!(piece.len() <= PIECE, "{}", piece.len());
            taken.extend_from_slice(&piece);
            tokio::time::sleep(patience / 2).await;
        }
        assert!(taken == all, "all of it, in its order");
        let mut body = Watched::new(Full::new(all), patience, Box::new(()), |_| {});
        assert!(body.frame().await.unwrap().is_ok());
        tokio::time::sleep(patience * 2).await;
        assert!(body.frame().await.unwrap().is_err(), "nothing was taken for too long");
    }
}
