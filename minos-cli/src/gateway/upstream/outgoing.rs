//! The body of a request on its way to an instance.

use crate::gateway::config::HttpConfig;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep};

/// Why the body of a client did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Unread {
    TooLarge = 1,
    TooSlow = 2,
    BrokeOff = 3,
}

/// What an instance is sent.
pub(in crate::gateway) enum Outgoing {
    Nothing,
    /// All of it, which can be sent again.
    Whole(Bytes),
    /// As it comes.
    Stream(Arc<Upload>),
}

/// A body that comes from a client.
pub(in crate::gateway) struct Upload {
    body: Mutex<Coming>,
    /// Something of it has been taken.
    begun: AtomicBool,
    unread: AtomicU8,
    /// When something last came, in milliseconds since the beginning.
    came: AtomicU64,
    since: Instant,
    max: usize,
    patience: Duration,
    slowest: usize,
}

struct Coming {
    body: Incoming,
    received: usize,
    late: Option<Pin<Box<Sleep>>>,
}

impl Upload {
    pub(super) fn new(body: Incoming, config: &HttpConfig) -> Self {
        Upload {
            body: Mutex::new(Coming { body, received: 0, late: None }),
            begun: AtomicBool::new(false),
            unread: AtomicU8::new(0),
            came: AtomicU64::new(0),
            since: Instant::now(),
            max: config.max_body,
            patience: config.body_timeout,
            slowest: config.slowest.max(1),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Coming> {
        self.body.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Relaxed)
    }

    /// When something last came.
    pub(super) fn came(&self) -> Instant {
        self.since + Duration::from_millis(self.came.load(Relaxed))
    }

    /// Why it could not be read, if so.
    pub(super) fn unread(&self) -> Option<Unread> {
        [Unread::TooLarge, Unread::TooSlow, Unread::BrokeOff].into_iter().find(|why| *why as u8 == self.unread.load(Relaxed))
    }

    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Unread>>> {
        let mut coming = self.lock();
        let fail = |why: Unread| {
            self.unread.store(why as u8, Relaxed);
            Poll::Ready(Some(Err(why)))
        };
        match Pin::new(&mut coming.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.begun.store(true, Relaxed);
                self.came.store(super::millis(self.since.elapsed()), Relaxed);
                coming.received = coming.received.saturating_add(frame.data_ref().map_or(0, Bytes::len));
                if coming.received > self.max {
                    return fail(Unread::TooLarge);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => fail(Unread::BrokeOff),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                // So much may have taken so long.
                let allowed = Duration::from_secs_f64(coming.received as f64 / self.slowest as f64).saturating_add(self.patience);
                let deadline = self.since + allowed.min(Duration::from_secs(86_400 * 365));
                let late = coming.late.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
                if late.deadline() != deadline {
                    late.as_mut().reset(deadline);
                }
                if late.as_mut().poll(cx).is_ready() { fail(Unread::TooSlow) } else { Poll::Pending }
            }
        }
    }
}

impl Outgoing {
    /// The same again; nothing if something of it was taken that nobody has kept.
    pub(super) fn again(&self) -> Option<Self> {
        match self {
            Outgoing::Nothing => Some(Outgoing::Nothing),
            Outgoing::Whole(bytes) => Some(Outgoing::Whole(bytes.clone())),
            Outgoing::Stream(upload) if !upload.has_begun() => Some(Outgoing::Stream(upload.clone())),
            Outgoing::Stream(_) => None,
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match &mut *self {
            Outgoing::Nothing => Poll::Ready(None),
            Outgoing::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Outgoing::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Outgoing::Stream(upload) => {
                let polled = upload.poll(cx);
                // Trailers of requests are not passed on: no instance of ours reads them.
                polled.map(|frame| frame.map(|frame| frame.map_err(|why| std::io::Error::other(format!("{why:?}")))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Outgoing::Nothing => true,
            Outgoing::Whole(bytes) => bytes.is_empty(),
            Outgoing::Stream(upload) => upload.lock().body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Outgoing::Nothing => SizeHint::with_exact(0),
            Outgoing::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Outgoing::Stream(upload) => upload.lock().body.size_hint(),
        }
    }
}
