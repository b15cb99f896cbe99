//! Sockets: accepting, serving and draining connections.

use super::{
    config::HttpConfig,
    edge::{Peer, bucket},
    tls::Tls,
    upstream::{Body, BoxError},
    workers::Workers,
};
use http::{HeaderValue, Request, Response, header};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use minos_runtime::http::{Activity, BETWEEN, ConnectionTimer, LATE, Phase, Socket, accept, queued, reached, speaks_two};
use std::{
    collections::HashMap,
    convert::Infallible,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};

/// So many requests may be under way on one connection of HTTP/2.
const STREAMS: u32 = 128;

/// Who answers the requests of a connection.
pub(super) trait Answers: Send + Sync + 'static {
    fn answer(self: Arc<Self>, peer: Arc<Peer>, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send;

    /// Counts connections.
    fn connected(&self, _by: i64) {}
}

/// A listening socket.
pub(super) struct Server {
    listener: TcpListener,
    pub(super) addr: SocketAddr,
    config: HttpConfig,
    tls: Option<Tls>,
    workers: Workers,
}

impl Server {
    pub(super) async fn bind(addr: SocketAddr, config: &HttpConfig, tls: Option<Tls>, workers: Workers) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        Ok(Server { listener, addr, config: config.clone(), tls, workers })
    }

    /// Serves until `stop` ends; then takes no more connections, finishes the requests that run, and returns.
    pub(super) async fn serve<A: Answers>(self, answers: Arc<A>, stop: impl Future<Output = ()>) {
        let Server { listener, config, tls, mut workers, .. } = self;
        let permits = Arc::new(Semaphore::new(config.max_connections));
        // Each connection holds a receiver, so that the sender knows when the last one has ended.
        let (phase, _) = watch::channel(Phase::Open);
        let connections = Arc::new(Connections { config, tls, answers, clients: Mutex::default() });
        let mut serve = |stream: TcpStream, from: SocketAddr, permit: Option<OwnedSemaphorePermit>| {
            let Some(place) = Place::take(&connections, from) else { return };
            let (permits, phase) = (permits.clone(), phase.subscribe());
            workers.serve(stream, move |stream| async move {
                let _permit = match permit {
                    None => permits.acquire_owned().await.ok(),
                    taken => taken,
                };
                // A client that goes away, says nothing or speaks no HTTP is no news for the operator.
                if let Err(error) = place.connections.serve(stream, from, phase).await {
                    tracing::debug!(error, "a connection ended early");
                }
            });
        };
        let mut stop = pin!(stop);
        loop {
            let accepted = async {
                // Taken before the accept: who comes when all are taken waits in the queue of the socket.
                let permit = permits.clone().acquire_owned().await.ok();
                (accept(&listener).await, permit)
            };
            tokio::select! {
                biased;
                () = &mut stop => break,
                ((stream, from), permit) = accepted => serve(stream, from, permit),
            }
        }
        for (stream, from) in queued(listener) {
            serve(stream, from, None);
        }
        phase.send_replace(Phase::Ending);
        if tokio::time::timeout(connections.config.drain_timeout, phase.closed()).await.is_err() {
            phase.send_replace(Phase::Over);
            phase.closed().await;
            tracing::warn!("requests still ran after `http.drain_timeout` and were cut off");
        }
    }
}

/// What all connections have in common.
struct Connections<A> {
    config: HttpConfig,
    tls: Option<Tls>,
    answers: Arc<A>,
    /// How many connections each client has.
    clients: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection that counts as one of its client, until this is dropped.
struct Place<A: Answers> {
    connections: Arc<Connections<A>>,
    client: IpAddr,
}

impl<A: Answers> Place<A> {
    /// Nothing, if the client has as many as it may have.
    fn take(connections: &Arc<Connections<A>>, from: SocketAddr) -> Option<Self> {
        let address = super::config::plain(from.ip());
        let (client, config) = (bucket(address), &connections.config);
        let is_trusted = config.trusted_proxies.iter().any(|network| network.has(address));
        let mut clients = connections.lock();
        let count = clients.entry(client).or_default();
        if *count >= config.max_connections_per_client && !is_trusted {
            return None;
        }
        *count += 1;
        connections.answers.connected(1);
        Some(Place { connections: connections.clone(), client })
    }
}

impl<A: Answers> Drop for Place<A> {
    fn drop(&mut self) {
        self.connections.answers.connected(-1);
        let mut clients = self.connections.lock();
        if let Some(count) = clients.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                clients.remove(&self.client);
            }
        }
    }
}

impl<A> Connections<A> {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.clients.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl<A: Answers> Connections<A> {
    async fn serve(&self, stream: TcpStream, from: SocketAddr, phase: watch::Receiver<Phase>) -> Result<(), BoxError> {
        // Answers are written whole, so waiting for more only delays them.
        stream.set_nodelay(true)?;
        let peer = Arc::new(Peer::new(from, self.tls.is_some(), &self.config));
        // Who has just connected is about to ask, and is given time for it even if the end has come.
        let too_late = async {
            reached(phase.clone(), Phase::Ending).await;
            tokio::time::sleep(LATE).await;
        };
        let limit = self.config.header_timeout;
        let patience = self.config.body_timeout;
        tokio::select! {
            biased;
            began = tokio::time::timeout(limit, self.begin(stream, patience)) => match began?? {
                Begun::Plain(socket, true) => self.two(socket, peer, phase.clone()).await,
                Begun::Plain(socket, false) => self.one(socket, peer, phase.clone()).await,
                Begun::Tls(socket, true) => self.two(*socket, peer, phase.clone()).await,
                Begun::Tls(socket, false) => self.one(*socket, peer, phase.clone()).await,
            },
            () = too_late => Ok(()),
        }
    }

    /// Finds out which HTTP the client speaks.
    async fn begin(&self, stream: TcpStream, patience: Duration) -> io::Result<Begun> {
        if let Some(tls) = &self.tls {
            let stream = tls.accept(Socket::new(stream, patience)).await?;
            let is_two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            return Ok(Begun::Tls(Box::new(stream), is_two));
        }
        let is_two = speaks_two(&stream).await?;
        Ok(Begun::Plain(Socket::new(stream, patience), is_two))
    }

    async fn one<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        socket: S,
        peer: Arc<Peer>,
        phase: watch::Receiver<Phase>,
    ) -> Result<(), BoxError> {
        let (answers, is_ending) = (self.answers.clone(), Arc::new(AtomicBool::new(*phase.borrow() >= Phase::Ending)));
        let last = is_ending.clone();
        let service = service_fn(move |request| {
            let (answers, peer, last) = (answers.clone(), peer.clone(), last.clone());
            async move {
                let mut answer = answers.answer(peer, request).await;
                if last.load(Relaxed) {
                    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(answer)
            }
        });
        let connection = http1::Builder::new()
            .timer(ConnectionTimer::default())
            .header_read_timeout(self.config.header_timeout)
            .max_buf_size(self.config.max_headers + BETWEEN)
            // No `pipeline_flush`: with it, hyper takes as much of a body as it can get, however slow the client is.
            .serve_connection(TokioIo::new(socket), service);
        let mut connection = pin!(connection);
        tokio::select! {
            // First the connection: what has arrived is read, and so is no idle connection any more.
            biased;
            done = connection.as_mut() => return done.map_err(Into::into),
            () = reached(phase.clone(), Phase::Ending) => is_ending.store(true, Relaxed),
        }
        // A client that keeps the connection may be sending its next request just now: it is answered, and told to go.
        tokio::select! {
            biased;
            done = connection.as_mut() => return done.map_err(Into::into),
            () = tokio::time::sleep(LATE) => connection.as_mut().graceful_shutdown(),
            () = reached(phase.clone(), Phase::Over) => return Ok(()),
        }
        tokio::select! {
            done = connection => done.map_err(Into::into),
            () = reached(phase, Phase::Over) => Ok(()),
        }
    }

    async fn two<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        socket: S,
        peer: Arc<Peer>,
        phase: watch::Receiver<Phase>,
    ) -> Result<(), BoxError> {
        let activity = Activity::begin(self.config.header_timeout);
        let (answers, active, patience) = (self.answers.clone(), activity.clone(), self.config.body_timeout);
        let service = service_fn(move |request| {
            let (answers, peer, active) = (answers.clone(), peer.clone(), active.asked());
            async move {
                let answer = answers.answer(peer, request).await;
                Ok::<_, Infallible>(answer.map(|body| body.taken_within(patience, active)))
            }
        });
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(self.config.max_headers).unwrap_or(u32::MAX))
            .max_concurrent_streams(STREAMS)
            .keep_alive_interval(self.config.header_timeout)
            .keep_alive_timeout(self.config.header_timeout)
            .serve_connection(TokioIo::new(socket), service);
        let mut connection = pin!(connection);
        tokio::select! {
            biased;
            done = connection.as_mut() => return done.map_err(Into::into),
            () = reached(phase.clone(), Phase::Ending) => {}
            // Who only keeps the connection open has had it long enough.
            () = activity.idle() => {}
        }
        // It says up to which request it goes on, so nobody has to guess.
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            done = connection => done.map_err(Into::into),
            () = reached(phase, Phase::Over) => Ok(()),
            // Answers that nobody takes would keep it open for ever.
            () = activity.stuck() => Ok(()),
        }
    }
}

/// What a connection turned out to be, and whether it is HTTP/2.
enum Begun {
    Plain(Socket, bool),
    Tls(Box<tokio_rustls::server::TlsStream<Socket>>, bool),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::GatewayConfig;

    struct Nobody;

    impl Answers for Nobody {
        async fn answer(self: Arc<Self>, _: Arc<Peer>, _: Request<Incoming>) -> Response<Body> {
            Response::new(Body::from(bytes::Bytes::new()))
        }
    }

    #[test]
    fn who_has_a_network_of_addresses_is_one_client() {
        let config = GatewayConfig::parse("[http]\nmax_connections_per_client = 2\ntrusted_proxies = [\"2001:db8:9::/48\"]").unwrap().http;
        let connections = Arc::new(Connections { config, tls: None, answers: Arc::new(Nobody), clients: Mutex::default() });
        let take = |address: &str| Place::take(&connections, SocketAddr::new(address.parse().unwrap(), 1));
        let both = (take("2001:db8::1"), take("2001:db8::2"));
        assert!(both.0.is_some() && both.1.is_some() && take("2001:db8::3").is_none(), "one network");
        assert!(take("2001:db8:0:1::1").is_some(), "another one");
        drop(both);
        assert!(connections.lock().is_empty() && take("2001:db8::3").is_some(), "who has gone counts no more");
        let ours: Vec<_> = (0..3).map(|_| take("2001:db8:9::1")).collect();
        assert!(ours.iter().all(Option::is_some), "proxies of ours may have all");
    }
}
