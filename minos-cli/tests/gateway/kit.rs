//! Instances of services, clients that say exactly what they are told to, and a gateway between them.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use minos_cli::gateway::{Gateway, GatewayConfig, RunningGateway, config::Audience};
use minos_runtime::discovery::{Directory, Endpoint, Instance};
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

pub(crate) type AnyBody = BoxBody<Bytes, hyper::Error>;
type Answering = Pin<Box<dyn Future<Output = Response<AnyBody>> + Send>>;
type Handler = Arc<dyn Fn(Request<Incoming>) -> Answering + Send + Sync>;

pub(crate) fn full(text: impl Into<Bytes>) -> AnyBody {
    Full::new(text.into()).map_err(|never| match never {}).boxed()
}

pub(crate) fn answer(status: u16, text: impl Into<Bytes>) -> Response<AnyBody> {
    let mut answer = Response::new(full(text));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer
}

/// An instance of a service, in this process.
pub(crate) struct Upstream {
    pub(crate) addr: SocketAddr,
    /// Requests whose handler has begun.
    pub(crate) asked: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Upstream {
    pub(crate) async fn new<F, A>(handler: F) -> Self
    where
        F: Fn(Request<Incoming>) -> A + Send + Sync + 'static,
        A: Future<Output = Response<AnyBody>> + Send + 'static,
    {
        Upstream::on("127.0.0.1:0".parse().unwrap(), handler).await
    }

    pub(crate) async fn on<F, A>(addr: SocketAddr, handler: F) -> Self
    where
        F: Fn(Request<Incoming>) -> A + Send + Sync + 'static,
        A: Future<Output = Response<AnyBody>> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |request| Box::pin(handler(request)));
        let listener = TcpListener::bind(addr).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let task = tokio::spawn(async move {
            // Dropped with the task, and all connections with it: as if it were killed.
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (handler, count) = (handler.clone(), count.clone());
                connections.spawn(async move {
                    let service = service_fn(move |request| {
                        count.fetch_add(1, SeqCst);
                        let answering = handler(request);
                        async move { Ok::<_, Infallible>(answering.await) }
                    });
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Upstream { addr, asked, task }
    }

    /// One that tells what it was asked.
    pub(crate) async fn echo() -> Self {
        Upstream::new(echo).await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }

    /// Ends it with all its connections, without a word.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

pub(crate) async fn echo(request: Request<Incoming>) -> Response<AnyBody> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let headers: Vec<_> =
        parts.headers.iter().map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())])).collect();
    let told = json!({ "method": parts.method.as_str(), "uri": parts.uri.to_string(), "headers": headers, "body": String::from_utf8_lossy(&body) });
    answer(200, told.to_string())
}

/// What an echo says about a header.
pub(crate) fn header(told: &Value, name: &str) -> Option<String> {
    let all: Vec<&str> = told["headers"].as_array()?.iter().filter(|pair| pair[0] == name).filter_map(|pair| pair[1].as_str()).collect();
    (!all.is_empty()).then(|| all.join(" | "))
}

pub(crate) async fn gateway(text: &str) -> RunningGateway {
    Gateway::new(with_port(GatewayConfig::parse(text).unwrap())).start().await.unwrap()
}

pub(crate) fn with_port(mut config: GatewayConfig) -> GatewayConfig {
    config.http.addr = "127.0.0.1:0".parse().unwrap();
    // Who counts what an instance is asked would count that.
    if config.openapi.title == "All services" {
        config.openapi.serve = Audience::Nobody;
    }
    config
}

/// The configuration of one service with these instances and routes.
pub(crate) fn service(upstreams: &[&Upstream], routes: &str) -> String {
    let urls: Vec<String> = upstreams.iter().map(|one| format!("\"{}\"", one.url())).collect();
    format!("[services.foo]\nurls = [{}]\nroutes = [{routes}]\n", urls.join(", "))
}

pub(crate) fn told(service: &str, upstream: &Upstream, routes: &[(&str, &str)]) -> Instance {
    let endpoints = routes.iter().map(|(method, path)| Endpoint { method: (*method).into(), path: (*path).into() }).collect();
    Instance { service: service.into(), id: upstream.url(), url: upstream.url(), endpoints, admin: None }
}

pub(crate) fn directory(revision: &str, instances: Vec<Instance>) -> Arc<Directory> {
    Arc::new(Directory { revision: revision.into(), instances })
}

/// What a client got.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// A client with a connection that it keeps.
pub(crate) struct Client {
    addr: SocketAddr,
    sender: Option<hyper::client::conn::http1::SendRequest<Full<Bytes>>>,
}

impl Client {
    pub(crate) fn new(addr: SocketAddr) -> Self {
        Client { addr, sender: None }
    }

    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Got, hyper::Error> {
        let mut sender = match self.sender.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => {
                let stream = TcpStream::connect(self.addr).await.unwrap();
                let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
                tokio::spawn(connection);
                sender
            }
        };
        sender.ready().await?;
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        self.sender = Some(sender);
        Ok(Got { status: parts.status.as_u16(), headers: parts.headers, body })
    }
}

pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(path).header("host", "shop.example");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body.into())).unwrap()
}

pub(crate) async fn ask(addr: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Got {
    Client::new(addr).send(request(method, path, headers, body.to_owned())).await.unwrap()
}

pub(crate) async fn get(addr: SocketAddr, path: &str) -> Got {
    ask(addr, "GET", path, &[], "").await
}

/// Writes these bytes, and reads until the other side closes or says nothing for so long.
pub(crate) async fn raw(addr: SocketAddr, bytes: &[u8], quiet: Duration) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let (mut all, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    while let Ok(Ok(n @ 1..)) = tokio::time::timeout(quiet, stream.read(&mut buffer)).await {
        all.extend_from_slice(&buffer[..n]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// Holds requests until they are let go.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    pub(crate) fn add(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

pub(crate) const PIECE: usize = 64 * 1024;
/// More than any buffer.
pub(crate) const LARGE: usize = 128 * 1024 * 1024;

/// Pieces of a body, made as they are wanted.
pub(crate) struct Pieces(usize, Bytes);

impl Pieces {
    pub(crate) fn new(bytes: usize) -> Self {
        Pieces(bytes / PIECE, Bytes::from(vec![b'x'; PIECE]))
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if self.0 == 0 {
            return Poll::Ready(None);
        }
        self.0 -= 1;
        Poll::Ready(Some(Ok(Frame::data(self.1.clone()))))
    }
}
