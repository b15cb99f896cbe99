//! Sockets: accepting, serving and draining connections.

use super::{App, Body, HttpService, Layers};
use crate::{
    config::HttpConfig,
    error::{Error, Result},
};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use std::{
    convert::Infallible,
    future::Future,
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tower::ServiceExt;

/// The longest pause after a failed accept, as when there are no file descriptors left.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// What the headers of one request may take in memory.
const MAX_HEADERS: usize = 64 * 1024;

/// A listening socket, and who answers on it.
pub struct Server {
    listener: TcpListener,
    addr: SocketAddr,
    config: HttpConfig,
    way: Way,
}

/// Who answers: the app, or the app in layers.
#[derive(Clone)]
enum Way {
    Bare(App),
    Layered(HttpService),
}

impl Server {
    /// Listens on the configured address. Connections wait until [`serve`](Server::serve).
    ///
    /// # Errors
    /// If the address is in use or may not be used; the error says what to do.
    pub async fn bind(config: &HttpConfig, app: App, layers: Layers) -> Result<Self> {
        let listener = TcpListener::bind(config.addr).await.map_err(|error| unusable(config.addr, &error))?;
        let addr = listener.local_addr().map_err(|error| unusable(config.addr, &error))?;
        let way = match layers.around(app.clone()) {
            Some(layered) => Way::Layered(layered),
            None => Way::Bare(app),
        };
        Ok(Server { listener, addr, config: config.clone(), way })
    }

    /// The address, with the port that was taken if none was given.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves until `stop` ends; then takes no more connections, finishes the requests that run, and returns.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let Server { listener, config, way, .. } = self;
        let (graceful, permits) = (GracefulShutdown::new(), Arc::new(Semaphore::new(config.max_connections)));
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(config.header_timeout).max_buf_size(MAX_HEADERS).pipeline_flush(true);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(MAX_HEADERS as u32)
            .max_concurrent_streams(256)
            .keep_alive_interval(config.header_timeout);
        let builder = Arc::new(builder);
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = async {
                // Taken before the accept: who comes when all are taken waits in the queue of the socket.
                let permit = permits.clone().acquire_owned().await.ok();
                (accept(&listener).await, permit)
            };
            let (stream, permit) = tokio::select! {
                biased;
                () = &mut stop => break,
                accepted = accepted => accepted,
            };
            let (builder, way, watcher) = (builder.clone(), way.clone(), graceful.watcher());
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(way.clone(), request));
                let connection = builder.serve_connection(TokioIo::new(stream), service);
                // A client that goes away or speaks no HTTP is no news for the operator.
                if let Err(error) = watcher.watch(connection.into_owned()).await {
                    tracing::debug!(error, "a connection ended early");
                }
                drop(permit);
            });
        }
        drop(listener);
        if tokio::time::timeout(config.drain_timeout, graceful.shutdown()).await.is_err() {
            tracing::warn!("requests still ran after `http.drain_timeout`; they were cut off, and nothing of them was committed");
        }
    }
}

async fn answer(way: Way, request: hyper::Request<Incoming>) -> Result<hyper::Response<Body>, Infallible> {
    match way {
        Way::Bare(app) => Ok(app.answer(request).await.map(Body::from)),
        Way::Layered(service) => service.oneshot(request.map(Body::new)).await,
    }
}

/// The next connection. Errors of the socket are waited out, for they concern no single connection.
async fn accept(listener: &TcpListener) -> TcpStream {
    let mut pause = Duration::from_millis(5);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are written whole, so waiting for more only delays them.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY could not be set");
                }
                return stream;
            }
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
            Err(error) => {
                tracing::error!(%error, "connections cannot be accepted; will be tried again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
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
