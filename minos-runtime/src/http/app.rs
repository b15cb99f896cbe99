//! Everything of HTTP between the connection and the handlers.

use super::{
    body,
    budget::Budget,
    dispatch::{self, CORRELATION, Head, Ids, Refused},
    guard::Guard,
    health, problem,
    problem::Answer,
    route::{ASYNCAPI, Found, HEALTH, METRICS, OPENAPI, READY, Routes, Target},
};
use crate::{
    auth::User,
    config::HttpConfig,
    contract::{Documents, Format},
    error::{Error, ErrorKind},
    handler::{PathSource, Runner},
    health::Health,
    metrics::{HttpLabels, RouteLabels},
    telemetry::{RequestLine, Span, SpanKind},
};
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, Version, header};
use http_body_util::Full;
use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, OnceLock},
    task::Poll,
    time::Duration,
};
use tokio::time::Instant;

/// What is measured of requests that no handler is for.
const NO_ROUTE: (&str, &str) = ("", "");

/// Answers the HTTP requests of one service. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    routes: Routes,
    runner: Runner,
    health: Health,
    config: HttpConfig,
    /// Who looks who asks; without one, everybody may have everything.
    guard: Option<Guard>,
    /// Requests for handlers that may be under way at once.
    requests: Budget,
    /// Bytes that the bodies of all of them may take.
    bodies: Budget,
    /// What it tells of itself.
    documents: OnceLock<Documents>,
}

impl App {
    /// Answers these routes, to whom the guard lets pass.
    pub fn new(routes: Routes, runner: Runner, health: Health, config: HttpConfig, guard: Option<Guard>) -> Self {
        let (requests, bodies) = (Budget::new(config.max_requests), Budget::new(config.max_body_memory));
        App(Arc::new(Inner { routes, runner, health, config, guard, requests, bodies, documents: OnceLock::new() }))
    }

    /// Tells this of itself.
    pub(crate) fn describe(&self, documents: Documents) {
        let _ = self.0.documents.set(documents);
    }

    pub(super) fn limits(&self) -> &HttpConfig {
        &self.0.config
    }

    pub(super) fn bodies(&self) -> &Budget {
        &self.0.bodies
    }

    pub(super) fn runner(&self) -> &Runner {
        &self.0.runner
    }

    /// Whether a handler is for this method and path.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn has(&self, method: &Method, path: &str) -> bool {
        matches!(self.0.routes.find(method, path), Found::Handler(..))
    }

    /// Answers a request, whatever happens, and tells it in one line.
    pub async fn answer<B>(&self, request: http::Request<B>) -> Answer
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let started = Instant::now();
        // Layers may keep something there that lasts as long as the request; and one that knows its callers in its own way puts the user there.
        let (http::request::Parts { method, uri, headers, version, extensions, .. }, body) = request.into_parts();
        let user = extensions.get().cloned().unwrap_or_else(User::anonymous);
        let mut ids = Ids::of(&headers);
        let found = self.0.routes.find(&method, uri.path());
        let target = match &found {
            Found::Handler(target, _) => Some(*target),
            Found::OtherMethods(_) | Found::Nothing => None,
        };
        let mut span = self.span(target, &ids);
        ids.trace = span.place();
        let deadline = started.checked_add(self.limits().request_timeout);
        let mut head = Head { ids, user, method: &method, uri: &uri, headers, deadline };
        let mut handling = pin!(self.handle(&found, &mut head, body));
        // What is done at once needs no timer.
        let result = match poll_fn(|cx| Poll::Ready(handling.as_mut().poll(cx))).await {
            Poll::Ready(result) => result,
            Poll::Pending => tokio::time::timeout(self.limits().request_timeout, handling).await.unwrap_or_else(|_| {
                Err(Refused::Error(Error::new(ErrorKind::Timeout, "the request took longer than `http.request_timeout`")))
            }),
        };
        let mut answer = result.unwrap_or_else(|refused| self.refuse(refused, ids, &method, uri.path()));
        let mut text = [0; 36];
        let correlation = &*ids.correlation.hyphenated().encode_lower(&mut text);
        if let Ok(value) = HeaderValue::from_str(correlation) {
            answer.headers_mut().insert(CORRELATION, value);
        }
        let took = started.elapsed();
        self.measure(target, answer.status(), took);
        if span.is_kept()
            && let Some(target) = target
        {
            span.set("http.route", target.route.1);
            tell(&mut span, &method, uri.path(), version, answer.status());
        }
        let micros = took.as_micros() as u64;
        let line =
            RequestLine { method: &method, path: uri.path(), status: answer.status().as_u16(), micros, correlation, trace: ids.trace };
        // Probes come all the time, and would drown all else. One that fails is news.
        if matches!(uri.path(), HEALTH | READY | METRICS) && answer.status().is_success() {
            line.tell_quietly()
        } else {
            line.tell()
        }
        answer
    }

    /// The span of a request, if it is for a handler: probes would drown all else.
    #[inline]
    fn span(&self, target: Option<&Target>, ids: &Ids) -> Span {
        let spans = &self.0.runner.environment().spans;
        match target {
            Some(target) if spans.are_kept() => spans.begin(SpanKind::Server, ids.trace, ids.correlation, None, || {
                let (method, route) = target.route;
                format!("{method} {route}")
            }),
            _ => Span::none(ids.trace),
        }
    }

    fn measure(&self, target: Option<&Target>, status: StatusCode, took: Duration) {
        let metrics = &self.0.runner.environment().metrics;
        let (method, route) = target.map_or(NO_ROUTE, |target| target.route);
        let requests =
            |status: StatusCode| metrics.http_requests.get_or_create_owned(&HttpLabels { method, route, status: status.as_u16() });
        let Some(target) = target else {
            requests(status).inc();
            metrics.http_seconds.get_or_create_owned(&RouteLabels { method, route }).observe(took.as_secs_f64());
            return;
        };
        let measured = target.measured(metrics);
        measured.seconds.observe(took.as_secs_f64());
        if status == StatusCode::OK {
            measured.ok.inc();
        } else {
            requests(status).inc();
        }
    }

    async fn handle<B>(&self, found: &Found<'_, '_>, head: &mut Head<'_>, body: B) -> Result<Answer, Refused>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (target, params) = match found {
            Found::Handler(target, params) => (target, params),
            Found::OtherMethods(methods) => return Ok(other_methods(head.method, methods, head.ids)),
            Found::Nothing => return Ok(self.own(head.method, head.uri.path(), head.ids)),
        };
        // Told at once: a queue would only make all of them late. Probes are answered all the same.
        let _place = self.0.requests.take(1).ok_or_else(|| Refused::Http(body::busy()))?;
        if let Some(guard) = &self.0.guard {
            // In a box: most services are open, or wait for nothing here.
            head.user = Box::pin(guard.admit(target.def, head.uri, &head.headers, &head.user)).await.map_err(Refused::Guard)?;
        }
        let params = target.parameters(params)?;
        dispatch::run(self, target, PathSource::Parameters(params), head, body).await
    }

    /// The answer where no handler gave one. What went wrong inside is told to the operator only.
    fn refuse(&self, refused: Refused, ids: Ids, method: &Method, path: &str) -> Answer {
        match (refused, &self.0.guard) {
            (Refused::Guard(refusal), Some(guard)) => guard.refuse(&refusal, ids.correlation),
            (Refused::Guard(_), None) => problem::with_status(StatusCode::UNAUTHORIZED, "not authenticated", None, ids.correlation),
            (Refused::Http(unread), _) => problem::with_status(unread.status, unread.title, Some(&unread.detail), ids.correlation),
            (Refused::Error(error), _) => {
                if error.status().is_server_error() {
                    tracing::error!(method = %method, path, correlation = %ids.correlation, error = error.chain(), "failed");
                }
                problem::answer(&error, ids.correlation)
            }
        }
    }

    /// What a service answers by itself.
    fn own(&self, method: &Method, path: &str, ids: Ids) -> Answer {
        let reads = *method == Method::GET || *method == Method::HEAD;
        match path {
            HEALTH if reads => health::live(),
            READY if reads => health::ready(&self.0.health),
            METRICS if reads => health::metrics(&self.0.runner.environment().metrics),
            OPENAPI | ASYNCAPI if reads && self.0.documents.get().is_some() => self.document(path),
            HEALTH | READY | METRICS => other_methods(method, &["GET"], ids),
            _ => problem::with_status(StatusCode::NOT_FOUND, "not found", Some(&format!("there is nothing at `{path}`")), ids.correlation),
        }
    }

    /// What it tells of itself. It is made when it is asked for the first time.
    fn document(&self, path: &str) -> Answer {
        let format = if path == OPENAPI { Format::OpenApi } else { Format::AsyncApi };
        let json = self.0.documents.get().map(|documents| documents.json(format)).unwrap_or_default();
        let mut answer = http::Response::new(Full::new(json));
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer
    }
}

/// Adds what is known of a request and its answer, but for what may be somebody's secret: the query.
fn tell(span: &mut Span, method: &Method, path: &str, version: Version, status: StatusCode) {
    span.set("http.request.method", method.to_string());
    span.set("url.path", path.to_owned());
    span.set("network.protocol.version", if version == Version::HTTP_2 { "2" } else { "1.1" });
    span.set("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.set("error.type", status.as_u16().to_string());
        span.fail(String::new);
    }
}

fn other_methods(method: &Method, known: &[&str], ids: Ids) -> Answer {
    let mut allow = known.to_vec();
    if allow.contains(&"GET") {
        allow.push("HEAD");
    }
    allow.push("OPTIONS");
    let allow = allow.join(", ");
    let mut answer = if *method == Method::OPTIONS {
        let mut answer = Answer::default();
        *answer.status_mut() = StatusCode::NO_CONTENT;
        answer
    } else {
        let detail = format!("`{method}` is not possible here; {allow} are");
        problem::with_status(StatusCode::METHOD_NOT_ALLOWED, "method not allowed", Some(&detail), ids.correlation)
    };
    if let Ok(value) = HeaderValue::from_str(&allow) {
        answer.headers_mut().insert(header::ALLOW, value);
    }
    answer
}
