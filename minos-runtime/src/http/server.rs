//! Sockets: accepting, serving and draining connections.

use super::{
    Body, Response, Way,
    activity::Activity,
    body::BoxError,
    dispatch::Ids,
    head::{BETWEEN, head_size},
    listen::{LATE, Phase, accept, queued, reached},
    problem,
    socket::{Socket, speaks_two},
    timer::ConnectionTimer,
};
use crate::{
    config::HttpConfig,
    error::{Error, Result},
};
use http::{HeaderValue, StatusCode, Version, header};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use std::{
    convert::Infallible,
    future::Future,
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};

/// How many bytes the head of one request may have.
const MAX_HEADERS: usize = 64 * 1024;

/// A listening socket, and who answers on it.
pub struct Server {
    listener: TcpListener,
    addr: SocketAddr,
    config: HttpConfig,
    way: Way,
}

impl Server {
    /// Listens on the configured address. Connections wait until [`serve`](Server::serve).
    ///
    /// # Errors
    /// If the address is in use or may not be used; the error says what to do.
    pub async fn bind(config: &HttpConfig, way: Way) -> Result<Self> {
        let listener = TcpListener::bind(config.addr).await.map_err(|error| unusable(config.addr, &error))?;
        let addr = listener.local_addr().map_err(|error| unusable(config.addr, &error))?;
        Ok(Server { listener, addr, config: config.clone(), way })
    }

    /// The address, with the port that was taken if none was given.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves until `stop` ends; then takes no more connections, finishes the requests that run, and returns. Who is connected by then is
    /// answered.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let Server { listener, config, way, .. } = self;
        let permits = Arc::new(Semaphore::new(config.max_connections));
        // Each connection holds a receiver, so that the sender knows when the last one has ended.
        let (phase, _) = watch::channel(Phase::Open);
        let connections = Arc::new(Connections { builder: builder(&config), way, config });
        let serve = |stream, permit: Option<OwnedSemaphorePermit>| {
            let (connections, permits, phase) = (connections.clone(), permits.clone(), phase.subscribe());
            tokio::spawn(async move {
                let _permit = match permit {
                    None => permits.acquire_owned().await.ok(),
                    taken => taken,
                };
                // A client that goes away, says nothing or speaks no HTTP is no news for the operator.
                if let Err(error) = connections.serve(stream, phase).await {
                    tracing::debug!(error, "a connection ended early");
                }
            });
        };
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = async {
                // Taken before the accept: who comes when all are taken waits in the queue of the socket.
                let permit = permits.clone().acquire_owned().await.ok();
                (accept(&listener).await.0, permit)
            };
            tokio::select! {
                biased;
                () = &mut stop => break,
                (stream, permit) = accepted => serve(stream, permit),
            }
        }
        for (stream, _) in queued(listener) {
            serve(stream, None);
        }
        phase.send_replace(Phase::Ending);
        if tokio::time::timeout(connections.config.drain_timeout, phase.closed()).await.is_err() {
            phase.send_replace(Phase::Over);
            phase.closed().await;
            tracing::warn!(
                "requests still ran after `http.drain_timeout` and were cut off; what they had not yet given to the store is not done"
            );
        }
    }
}

fn builder(config: &HttpConfig) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // No `pipeline_flush`: with it, hyper keeps what it would answer to a request that it cannot read.
    builder.http1().header_read_timeout(config.header_timeout).max_buf_size(MAX_HEADERS + BETWEEN);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADERS as u32)
        .max_concurrent_streams(256)
        .keep_alive_interval(config.header_timeout);
    builder
}

/// What all connections have in common.
struct Connections {
    builder: auto::Builder<TokioExecutor>,
    way: Way,
    config: HttpConfig,
}

impl Connections {
    /// Serves a connection until its client or the [end](Phase::Ending) ends it; a request that was begun is answered, unless the end is
    /// [over](Phase::Over) before.
    async fn serve(&self, stream: TcpStream, phase: watch::Receiver<Phase>) -> Result<(), BoxError> {
        // Answers are written whole, so waiting for more only delays them.
        stream.set_nodelay(true)?;
        let ended = || reached(phase.clone(), Phase::Ending);
        // Who has just connected is about to ask, and is given time for it even if the end has come.
        let too_late = async {
            ended().await;
            tokio::time::sleep(LATE).await;
        };
        // Which version it is has to be said within this time: what looks at it afterwards waits for ever.
        let is_two = tokio::select! {
            asks = tokio::time::timeout(self.config.header_timeout, speaks_two(&stream)) => asks??,
            () = too_late => return Ok(()),
            () = reached(phase.clone(), Phase::Over) => return Ok(()),
        };
        let activity = Activity::begin(self.config.header_timeout);
        // One for each connection: a count that all requests change would go from core to core.
        let line = Arc::new(Line {
            way: Arc::new(self.way.clone()),
            activity: is_two.then(|| activity.clone()),
            body_timeout: self.config.body_timeout,
            is_ending: AtomicBool::new(*phase.borrow() >= Phase::Ending),
        });
        let service = service_fn(|request| line.clone().answer(request));
        let socket = Socket::new(stream, self.config.body_timeout);
        let mut builder = self.builder.clone();
        builder.http1().timer(ConnectionTimer::default());
        let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(socket), service));
        tokio::select! {
            // First the connection: what has arrived is read, and so is no idle connection any more.
            biased;
            done = connection.as_mut() => return done,
            // Hyper looks after those of HTTP/1.1.
            () = activity.idle(), if is_two => {
                connection.as_mut().graceful_shutdown();
                return tokio::select! {
                    done = connection => done,
                    () = reached(phase.clone(), Phase::Over) => Ok(()),
                    // It may still ask what it had begun to, but not for ever.
                    () = activity.stuck() => Ok(()),
                };
            }
            () = ended() => line.is_ending.store(true, Relaxed),
        }
        // A client that keeps the connection may be sending its next request just now, and could not know whether it was done: it is answered, and told to go.
        tokio::select! {
            biased;
            done = connection.as_mut() => return done,
            () = tokio::time::sleep(LATE) => connection.as_mut().graceful_shutdown(),
            () = reached(phase.clone(), Phase::Over) => return Ok(()),
        }
        tokio::select! {
            done = connection => done,
            // Only waited for from here on: each request would look whether it has come.
            () = reached(phase.clone(), Phase::Over) => Ok(()),
        }
    }
}

/// What the requests of one connection have in common.
struct Line {
    way: Arc<Way>,
    /// Of a connection of HTTP/2.
    activity: Option<Arc<Activity>>,
    /// How long its client may take nothing of an answer.
    body_timeout: Duration,
    /// The next answer is the last.
    is_ending: AtomicBool,
}

impl Line {
    async fn answer(self: Arc<Self>, request: http::Request<Incoming>) -> Result<Response, Infallible> {
        let is_first_version = request.version() <= Version::HTTP_11;
        // HTTP/2 counts itself.
        if is_first_version && head_size(request.uri(), request.headers()) > MAX_HEADERS {
            return Ok(too_large(&request));
        }
        let active = self.activity.as_ref().map(Activity::asked);
        let mut answer = self.way.clone().answer(request).await?;
        if let Some(active) = active {
            answer = answer.map(|body| body.taken_within(self.body_timeout, active));
        }
        if is_first_version && self.is_ending.load(Relaxed) {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(answer)
    }
}

/// The answer to a request that nobody looks at. It is the last one of its connection, as if all of it had come bit by bit.
fn too_large(request: &http::Request<Incoming>) -> Response {
    let (status, detail) = (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, format!("target and headers have more than {MAX_HEADERS} bytes"));
    let mut answer = problem::with_status(status, "too large", Some(&detail), Ids::of(request.headers()).correlation);
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer.map(Body::from)
}

fn unusable(addr: SocketAddr, error: &io::Error) -> Error {
    let message = match error.kind() {
        ErrorKind::AddrInUse => format!("{addr} is already in use: stop the other program, or set MINOS_HTTP_ADDR to another address"),
        ErrorKind::AddrNotAvailable => format!(
            "{addr} is no address of this machine: set `http.addr` or MINOS_HTTP_ADDR to one that is, or to 0.0.0.0:{}",
            addr.port()
        ),
        ErrorKind::PermissionDenied => format!("{addr} may not be used by this user: take a port from 1024 on with MINOS_HTTP_ADDR"),
        _ => format!("{addr} cannot be listened on: {error}"),
    };
    Error::unavailable(message)
}
