//! Everything of HTTP between the connection and the handlers.

use super::{
    dispatch::{self, CORRELATION, Ids, Refused},
    health, problem,
    problem::Answer,
    route::{Found, HEALTH, READY, Routes},
};
use crate::{
    config::HttpConfig,
    error::{Error, ErrorKind},
    handler::{PathSource, Runner},
    health::Health,
};
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use std::{sync::Arc, time::Instant};

/// Answers the HTTP requests of one service. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    routes: Routes,
    runner: Runner,
    health: Health,
    config: HttpConfig,
}

impl App {
    /// Answers these routes.
    pub fn new(routes: Routes, runner: Runner, health: Health, config: HttpConfig) -> Self {
        App(Arc::new(Inner { routes, runner, health, config }))
    }

    pub(super) fn limits(&self) -> &HttpConfig {
        &self.0.config
    }

    pub(super) fn runner(&self) -> &Runner {
        &self.0.runner
    }

    /// Answers a request, whatever happens, and tells it in one line.
    pub async fn answer<B>(&self, request: http::Request<B>) -> Answer
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let started = Instant::now();
        let (parts, body) = request.into_parts();
        let ids = Ids::of(&parts.headers);
        let (method, uri) = (parts.method.clone(), parts.uri.clone());
        let result = match tokio::time::timeout(self.limits().request_timeout, self.handle(ids, parts, body)).await {
            Ok(result) => result,
            Err(_) => Err(Refused::Error(Error::new(ErrorKind::Timeout, "the request took longer than `http.request_timeout`"))),
        };
        let mut answer = result.unwrap_or_else(|refused| refuse(refused, ids, &method, uri.path()));
        let mut text = [0; 36];
        if let Ok(value) = HeaderValue::from_str(ids.correlation.hyphenated().encode_lower(&mut text)) {
            answer.headers_mut().insert(CORRELATION, value);
        }
        let micros = started.elapsed().as_micros() as u64;
        tracing::info!(method = %method, path = uri.path(), status = answer.status().as_u16(), micros, correlation = %ids.correlation, "http");
        answer
    }

    async fn handle<B>(&self, ids: Ids, parts: http::request::Parts, body: B) -> Result<Answer, Refused>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let uri = parts.uri.clone();
        let (target, params) = match self.0.routes.find(&parts.method, uri.path()) {
            Found::Handler(target, params) => (target, target.parameters(&params)?),
            Found::OtherMethods(methods) => return Ok(other_methods(&parts.method, &methods, ids)),
            Found::Nothing => return Ok(self.own(&parts.method, uri.path(), ids)),
        };
        dispatch::run(self, ids, target, PathSource::Parameters(params), parts, body).await
    }

    /// What a service answers by itself.
    fn own(&self, method: &Method, path: &str, ids: Ids) -> Answer {
        let reads = *method == Method::GET || *method == Method::HEAD;
        match path {
            HEALTH if reads => health::live(),
            READY if reads => health::ready(&self.0.health),
            HEALTH | READY => other_methods(method, &["GET"], ids),
            _ => problem::with_status(StatusCode::NOT_FOUND, "not found", Some(&format!("there is nothing at `{path}`")), ids.correlation),
        }
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

/// The answer where no handler gave one. What went wrong inside is told to the operator only.
fn refuse(refused: Refused, ids: Ids, method: &Method, path: &str) -> Answer {
    match refused {
        Refused::Http(unread) => problem::with_status(unread.status, unread.title, Some(&unread.detail), ids.correlation),
        Refused::Error(error) => {
            if error.status().is_server_error() {
                tracing::error!(method = %method, path, correlation = %ids.correlation, error = error.chain(), "failed");
            }
            problem::answer(&error, ids.correlation)
        }
    }
}
