//! One connection to an instance.
//!
//! It has no task of its own: whoever waits for its answer drives it. So a request goes to the instance and back without a word from one core to another, and it is
//! known at each moment what has been sent.

use super::{instance::Instance, outgoing::Outgoing};
use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{self, SendRequest},
    },
};
use hyper_util::rt::TokioIo;
use minos_runtime::http::ConnectionTimer;
use std::{
    future::{Future, poll_fn},
    io::{self, IoSlice},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Instant,
};

/// A connection, with the request that is on it.
pub(super) struct Connection {
    sender: SendRequest<Outgoing>,
    driver: http1::Connection<TokioIo<Counted>, Outgoing>,
    /// Something of the request was given to the socket.
    wrote: Arc<AtomicBool>,
    /// It had a request before.
    pub(super) was_used: bool,
    /// For how long an answer is waited for.
    pub(super) timer: ConnectionTimer,
    /// How long its instance may take until it begins to answer.
    pub(super) first_byte: Duration,
    /// Since when nobody uses it.
    pub(super) idle_since: Instant,
    ended: bool,
}

/// Why there is no connection, or no answer.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) why: String,
    /// The instance cannot have seen anything of the request.
    pub(super) unsent: bool,
}

impl Connection {
    /// Connects.
    pub(super) async fn open(instance: &Instance) -> Result<Box<Self>, Broken> {
        let broken = |why: String| Broken { why, unsent: true };
        let connecting = TcpStream::connect(instance.address.as_str());
        let limit = instance.settings.connect_timeout;
        let stream = match tokio::time::timeout(limit, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(broken(format!("it cannot be connected to: {error}"))),
            Err(_) => return Err(broken(format!("it cannot be connected to within {} ms", limit.as_millis()))),
        };
        stream.set_nodelay(true).map_err(|error| broken(error.to_string()))?;
        let wrote = Arc::new(AtomicBool::new(false));
        let socket = TokioIo::new(Counted { stream, wrote: wrote.clone() });
        let (sender, driver) = http1::handshake(socket).await.map_err(|error| broken(error.to_string()))?;
        let first_byte = instance.settings.first_byte_timeout;
        Ok(Box::new(Connection {
            sender,
            driver,
            wrote,
            was_used: false,
            timer: ConnectionTimer::default(),
            first_byte,
            idle_since: Instant::now(),
            ended: false,
        }))
    }

    /// Goes on with it. It has ended, if so.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.ended && Pin::new(&mut self.driver).poll(cx).is_ready() {
            self.ended = true;
        }
    }

    /// Whether the next request can be sent on it.
    pub(super) fn is_free(&self) -> bool {
        !self.ended && self.sender.is_ready()
    }

    /// Looks whether the instance has closed it meanwhile. Nobody is told of what comes later.
    pub(super) fn is_open(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.is_free()
    }

    /// Sends a request, and waits for the head of the answer.
    pub(super) async fn send(&mut self, request: Request<Outgoing>) -> Result<Response<Incoming>, Broken> {
        self.wrote.store(false, Relaxed);
        let mut sending = pin!(self.sender.try_send_request(request));
        let (driver, ended) = (&mut self.driver, &mut self.ended);
        let sent = poll_fn(|cx| {
            if !*ended && Pin::new(&mut *driver).poll(cx).is_ready() {
                *ended = true;
            }
            sending.as_mut().poll(cx)
        })
        .await;
        sent.map_err(|error| self.broken(error))
    }

    fn broken(&self, mut error: TrySendError<Request<Outgoing>>) -> Broken {
        let came_back = error.take_message().is_some();
        let error = error.into_error();
        let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        Broken { why: format!("{error}{source}"), unsent: came_back || !self.wrote.load(Relaxed) }
    }
}

/// A socket that knows whether something was written to it.
struct Counted {
    stream: TcpStream,
    wrote: Arc<AtomicBool>,
}

impl Counted {
    fn count(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(1..)) = written {
            self.wrote.store(true, Relaxed);
        }
        written
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.count(written)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.count(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
