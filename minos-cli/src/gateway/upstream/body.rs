//! The body of an answer on its way to a client.

use super::{connection::Connection, instance::UnderWay};
use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use minos_runtime::http::Watched;
use std::{
    any::Any,
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep};

pub(in crate::gateway) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a client is answered: all of it, or what comes from an instance as it comes.
pub(in crate::gateway) struct Body(Kind);

enum Kind {
    Whole(Bytes),
    Passing(Box<Passing>),
    Watched(Watched<Box<Passing>>),
}

/// An answer that an instance has not sent to its end.
pub(super) struct Passing {
    incoming: Incoming,
    /// What came already, at most two pieces: without a list, which each request would have to have memory for.
    held: [Option<Frame<Bytes>>; 2],
    /// Why no more came behind that. It is told once only, and to whom does not hear it what is left looks like a whole answer.
    broken: Option<hyper::Error>,
    /// Goes back to the pool at the end.
    connection: Option<Box<Connection>>,
    under_way: Option<UnderWay>,
    pause: Duration,
    /// When all has to be over.
    deadline: Instant,
    late: Option<Pin<Box<Sleep>>>,
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Body(Kind::Whole(bytes))
    }
}

impl Body {
    /// What an instance answers. If all of it is here, its connection is free at once, however long the client takes.
    pub(super) async fn passing(incoming: Incoming, connection: Box<Connection>, under_way: UnderWay, deadline: Instant) -> Self {
        let pause = under_way.0.settings.idle_timeout;
        let (connection, under_way) = (Some(connection), Some(under_way));
        let mut passing = Passing { incoming, held: [None, None], broken: None, connection, under_way, pause, deadline, late: None };
        if passing.incoming.is_end_stream() {
            passing.finish();
            return Body(Kind::Whole(Bytes::new()));
        }
        let is_whole = poll_fn(|cx| Poll::Ready(passing.look(cx))).await;
        match &mut passing.held {
            [None, _] if is_whole => Body(Kind::Whole(Bytes::new())),
            [Some(only), None] if is_whole && only.is_data() => Body(Kind::Whole(only.data_mut().map(std::mem::take).unwrap_or_default())),
            _ => Body(Kind::Passing(Box::new(passing))),
        }
    }

    /// The same, but what is still to come is let go if the client takes nothing of it for so long; and something that is kept until all of it has been taken or let go.
    pub(in crate::gateway) fn taken_within(self, patience: Duration, kept: impl Any + Send) -> Self {
        match self.0 {
            Kind::Passing(passing) => Body(Kind::Watched(Watched::new(passing, patience, Box::new(kept), |passing| {
                passing.tell("has an answer of which its client takes nothing: it is cut off");
            }))),
            other => Body(other),
        }
    }
}

impl Passing {
    /// Takes what is here, without waiting, and not much of it. Whether that is all.
    fn look(&mut self, cx: &mut Context<'_>) -> bool {
        for at in 0..self.held.len() {
            match self.next(cx) {
                Poll::Ready(Some(Ok(frame))) => self.held[at] = Some(frame),
                Poll::Ready(None) => return true,
                Poll::Ready(Some(Err(error))) => {
                    self.broken = Some(error);
                    return false;
                }
                Poll::Pending => return false,
            }
            if self.connection.is_none() {
                return true;
            }
        }
        false
    }

    /// The next piece. Nobody else drives the connection.
    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut polled = Pin::new(&mut self.incoming).poll_frame(cx);
        if polled.is_pending()
            && let Some(connection) = &mut self.connection
        {
            connection.drive(cx);
            polled = Pin::new(&mut self.incoming).poll_frame(cx);
        }
        match &polled {
            Poll::Ready(None) => self.finish(),
            Poll::Ready(Some(Ok(_))) if self.incoming.is_end_stream() => self.finish(),
            _ => {}
        }
        polled
    }

    /// All has come: the connection may go on with something else.
    fn finish(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        if let Some(under_way) = &self.under_way
            && connection.is_open()
        {
            under_way.0.pool.give(connection);
        }
        self.under_way = None;
    }

    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let deadline = (Instant::now() + self.pause).min(self.deadline);
        self.late.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline))).as_mut().poll(cx).is_ready()
    }

    /// Tells the operator of its instance.
    fn tell(&self, what: &str) {
        if let Some(under_way) = &self.under_way {
            tracing::warn!("{} of `{}` {what}", under_way.0.url, under_way.0.service);
        }
    }
}

impl HttpBody for Passing {
    type Data = Bytes;
    type Error = BoxError;

    /// The next piece for the client.
    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(frame) = self.held.iter_mut().find_map(Option::take) {
            return Poll::Ready(Some(Ok(frame)));
        }
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(error.into())));
        }
        let polled = self.next(cx);
        if polled.is_ready() {
            self.late = None;
            return polled.map_err(Into::into);
        }
        if self.is_late(cx) {
            self.tell("did not end its answer in time");
            (self.connection, self.under_way) = (None, None);
            return Poll::Ready(Some(Err("the answer did not end in time".into())));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.held.iter().all(Option::is_none) && self.broken.is_none() && self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let held: usize = self.held.iter().flatten().filter_map(|frame| frame.data_ref().map(Bytes::len)).sum();
        let hint = self.incoming.size_hint();
        let mut whole = SizeHint::new();
        whole.set_lower(hint.lower() + held as u64);
        if let Some(upper) = hint.upper() {
            whole.set_upper(upper + held as u64);
        }
        whole
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Kind::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::Passing(passing) => Pin::new(passing).poll_frame(cx),
            Kind::Watched(watched) => Pin::new(watched).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Passing(passing) => passing.is_end_stream(),
            Kind::Watched(watched) => watched.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Passing(passing) => passing.size_hint(),
            Kind::Watched(watched) => watched.size_hint(),
        }
    }
}

/// All of a body, up to so many bytes.
pub(super) async fn collect<B>(body: B, max: usize) -> Result<Option<Bytes>, B::Error>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    let (mut body, mut all) = (body, BytesMut::new());
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(data) = frame?.into_data() else { continue };
        if all.len() + data.len() > max {
            return Ok(None);
        }
        all.extend_from_slice(&data);
    }
    Ok(Some(all.freeze()))
}
