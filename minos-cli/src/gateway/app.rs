//! Everything between a connection of a client and the instances.

use super::{
    GatewayError,
    config::{Audience, GatewayConfig, endpoint},
    edge::{
        Ids, Peer,
        cors::Cors,
        headers::{self, Identity},
        path,
        problem::{document, later, problem, set},
        rate::Rates,
        verify::{self, Operators, Token, TokenError, Unknown, Verifier},
    },
    metrics::Metrics,
    openapi::Documents,
    patience::{Patience, Waiting},
    table::{Found, OWN, Route, Table, shape},
    upstream::{Asked, Body, Forward, Refused, RetryBudget},
};
use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header};
use hyper::body::Incoming;
use minos_runtime::{discovery::Services, http::head_size};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use tokio::{sync::Notify, time::Instant};

/// A gateway at work.
pub(super) struct App {
    pub(super) config: GatewayConfig,
    pub(super) table: ArcSwap<Table>,
    pub(super) metrics: Metrics,
    pub(super) documents: Documents,
    pub(super) operators: Operators,
    /// Who tells which services there are, if the configuration names somebody.
    pub(super) services: Option<Services>,
    /// There are other services: their documents are to be asked for.
    pub(super) renewed: Notify,
    pub(super) patience: Patience,
    cors: Option<Cors>,
    rates: Rates,
    identity: Identity,
    verifier: Option<Arc<dyn Verifier>>,
    /// Methods, and paths with numbers for names, that need no token.
    open: Vec<(String, String)>,
    budget: RetryBudget,
    under_way: AtomicUsize,
}

/// A request that is under way, until this is dropped.
struct UnderWay<'a>(&'a App);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Relaxed);
    }
}

impl App {
    pub(super) fn new(
        config: GatewayConfig,
        verifier: Option<Arc<dyn Verifier>>,
        services: Option<Services>,
    ) -> Result<Self, GatewayError> {
        let wrong = GatewayError::Config;
        if config.access.required && verifier.is_none() {
            return Err(wrong(
                "`access.required` is set, and there is nothing to look at tokens with: say in `[auth]` whose tokens count, or leave it away".to_owned(),
            ));
        }
        if !config.admin.role.is_empty() && verifier.is_none() && config.admin.token.is_empty() {
            return Err(wrong("`admin.role` is set, and there is nothing to look at tokens with: say in `[auth]` whose tokens count, or set `admin.token`".to_owned()));
        }
        let open = config.access.public.iter().filter_map(|text| endpoint(text).ok()).map(|one| (one.method, shape(&one.path))).collect();
        let operators =
            Operators { token: config.admin.token.expose().to_owned(), role: config.admin.role.clone(), verifier: verifier.clone() };
        Ok(App {
            table: ArcSwap::from_pointee(Table::default()),
            metrics: Metrics::new(),
            documents: Documents::default(),
            operators,
            services,
            renewed: Notify::new(),
            patience: Patience::new(config.upstream.patience),
            cors: Cors::new(&config.cors).map_err(wrong)?,
            rates: Rates::new(&config.rate),
            identity: Identity::new(&config.http.strip).map_err(wrong)?,
            verifier,
            open,
            budget: RetryBudget::new(config.retries.percent),
            under_way: AtomicUsize::new(0),
            config,
        })
    }

    /// Answers a request, whatever happens, and tells it in one line.
    pub(super) async fn answer(&self, peer: &Peer, request: Request<Incoming>) -> Response<Body> {
        let started = Instant::now();
        let (mut parts, body) = request.into_parts();
        let ids = Ids::of(&parts.headers);
        let origin = self.cors.as_ref().and_then(|_| parts.headers.get(header::ORIGIN).cloned());
        let mut route = None;
        let mut answer = self.handle(peer, &mut parts, body, &ids, &mut route).await;
        if let Some(cors) = &self.cors {
            cors.tell(origin.as_ref(), &mut answer);
        }
        answer.headers_mut().entry(super::edge::CORRELATION).or_insert_with(|| ids.text.clone());
        let (took, status) = (started.elapsed(), answer.status());
        if let Some(route) = &route {
            route.measured.observe(status, took);
        }
        let micros = took.as_micros() as u64;
        let service = route.as_ref().map(|route| route.service.as_str());
        tracing::info!(method = %parts.method, path = parts.uri.path(), status = status.as_u16(), micros, service, correlation = %ids.correlation, "gateway");
        answer
    }

    async fn handle(
        &self,
        peer: &Peer,
        parts: &mut http::request::Parts,
        body: Incoming,
        ids: &Ids,
        route: &mut Option<Arc<Route>>,
    ) -> Response<Body> {
        let under_way = self.under_way.fetch_add(1, Relaxed);
        let _under_way = UnderWay(self);
        if under_way >= self.config.http.max_requests {
            let detail = "the gateway has as many requests as it can have at once; nothing was done; try again later";
            return self.refuse("overloaded", || later(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail, 1, ids));
        }
        if !headers::names_host(parts.version, &parts.headers) {
            let detail = "a request names one `Host`, and no other";
            return self.refuse("host", || problem(StatusCode::BAD_REQUEST, "malformed request", detail, ids));
        }
        let path = parts.uri.path();
        let is_addressed = parts.method != Method::CONNECT && parts.method != Method::TRACE;
        if let Some(wrong) = path::wrong(path).filter(|_| is_addressed && !(parts.method == Method::OPTIONS && path == "*")) {
            let detail = format!("the path is refused: {wrong}");
            return self.refuse("path", || problem(StatusCode::BAD_REQUEST, "malformed request", &detail, ids));
        }
        let client = peer.client(&parts.headers, &self.config.http);
        if let Err(seconds) = self.rates.client(client) {
            return self.refuse("rate", || too_many(seconds, ids));
        }
        let max = self.config.http.max_headers;
        // Hyper looks between two reads of HTTP/1.1 only.
        if parts.version <= Version::HTTP_11 && head_size(&parts.uri, &parts.headers) > max {
            let detail = format!("target and headers have more than {max} bytes");
            let answer = || problem(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "too large", &detail, ids);
            let mut answer = self.refuse("head", answer);
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            return answer;
        }
        // Held until the answer has begun: a guard would hold up nobody, but there are only few of them.
        let mut waiting = self.patience.begin();
        let table = match &mut waiting {
            Some(waiting) if !OWN.contains(&path) => waiting.settled(&self.table).await,
            _ => Some(self.table.load()),
        };
        let Some(table) = table else {
            let detail = "no service runs now; nothing was done; try again later";
            return self.refuse("unavailable", || later(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail, 1, ids));
        };
        let found = match table.find(&parts.method, path) {
            Found::Route(found) => found.clone(),
            Found::OtherMethods(methods) => return self.other_methods(parts, &methods, ids),
            Found::Nothing => return self.own(&parts.method, path, ids),
        };
        if parts.method == Method::OPTIONS
            && let Some(answer) = self.cors.as_ref().and_then(|cors| cors.preflight(&parts.headers, &table.methods(path)))
        {
            return answer;
        }
        drop(table);
        *route = Some(found.clone());
        if !is_addressed {
            return self
                .refuse("method", || problem(StatusCode::METHOD_NOT_ALLOWED, "method not allowed", "this is not possible here", ids));
        }
        if headers::wants_upgrade(&parts.headers) {
            let detail = "the gateway does not change to another protocol";
            return self.refuse("upgrade", || problem(StatusCode::NOT_IMPLEMENTED, "not implemented", detail, ids));
        }
        if headers::is_looping(&parts.headers) {
            let detail = "the request goes in a circle: the address of an instance is that of a gateway";
            return self.refuse("loop", || problem(StatusCode::LOOP_DETECTED, "loop detected", detail, ids));
        }
        if let Err(answer) = self.let_in(&mut parts.headers, &found, ids).await {
            return *answer;
        }
        self.forward(peer, parts, body, ids, found, waiting).await
    }

    async fn forward(
        &self,
        peer: &Peer,
        parts: &mut http::request::Parts,
        body: Incoming,
        ids: &Ids,
        mut route: Arc<Route>,
        mut waiting: Option<Waiting>,
    ) -> Response<Body> {
        let mut headers = std::mem::take(&mut parts.headers);
        let host = host(&parts.uri, &headers, parts.version);
        headers::clean_request(&mut headers, host.as_ref(), peer, &self.identity);
        ids.tell(&mut headers);
        let target = parts.uri.path_and_query().cloned();
        let asked = Asked { method: parts.method.clone(), uri: target.map(Uri::from).unwrap_or_default(), headers };
        let forward = Forward { config: &self.config, budget: &self.budget, retried: &self.metrics.retries };
        let mut body = match forward.begin(&asked, body).await {
            Ok(body) => body,
            Err(refused) => return self.unanswered(&refused, &route, ids),
        };
        loop {
            let refused = match forward.ask(&route.instances, &asked, &mut body).await {
                Ok(answer) => return answer,
                Err(refused) => refused,
            };
            let may_again = matches!(refused, Refused::Unavailable { .. }) && self.wait(&mut waiting, &mut route).await;
            if !may_again {
                return self.unanswered(&refused, &route, ids);
            }
        }
    }

    /// Waits a moment for instances, and says whether to ask again: those that the route has by then.
    async fn wait(&self, waiting: &mut Option<Waiting>, route: &mut Arc<Route>) -> bool {
        let Some(waiting) = waiting else { return false };
        let may_again = waiting.moment().await;
        let table = self.table.load();
        let is_it = |other: &&Arc<Route>| other.service == route.service && other.method == route.method && other.path == route.path;
        // The client may do what it was let in for, and nothing else. As long as the route is not told again, who had it may be back.
        if let Some(again) = table.routes().find(is_it).cloned() {
            *route = again;
        }
        may_again
    }

    /// The answer where no instance gave one. What went wrong inside is told to the operator only.
    fn unanswered(&self, refused: &Refused, route: &Route, ids: &Ids) -> Response<Body> {
        let config = &self.config;
        match refused {
            Refused::Unavailable { retry_after } => {
                let detail = "no instance of the service can be asked now; nothing was done; try again later";
                self.refuse("unavailable", || later(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail, *retry_after, ids))
            }
            Refused::Broken { why } => {
                tracing::warn!(correlation = %ids.correlation, "{} {}: no answer: {why}", route.method, route.path);
                let detail =
                    "the service broke off, and it may have been done: ask again, with the same `Idempotency-Key` if it changes something";
                self.refuse("broken", || problem(StatusCode::BAD_GATEWAY, "bad gateway", detail, ids))
            }
            Refused::Late => {
                let detail =
                    "this took too long, and may have been done: ask again, with the same `Idempotency-Key` if it changes something";
                self.refuse("late", || problem(StatusCode::GATEWAY_TIMEOUT, "gateway timeout", detail, ids))
            }
            Refused::Body(unreadable) => {
                let (status, title, detail) = unreadable.told(config.http.max_body);
                self.refuse("body", || problem(status, title, &detail, ids))
            }
        }
    }

    fn refuse(&self, why: &'static str, answer: impl FnOnce() -> Response<Body>) -> Response<Body> {
        self.metrics.refuse(why);
        answer()
    }

    /// Looks at the token, if there is something to look at it with. On routes of `access.public`, one that is no good counts as none.
    async fn let_in(&self, headers: &mut HeaderMap, route: &Route, ids: &Ids) -> Result<(), Box<Response<Body>>> {
        let Some(verifier) = &self.verifier else { return Ok(()) };
        let unknown = match verify::token(headers) {
            Token::None if !self.config.access.required => return Ok(()),
            Token::None => Unknown::Nobody,
            Token::Other => Unknown::Scheme,
            Token::Malformed(why) => Unknown::Malformed(why),
            Token::Bearer(token) => match verifier.verify(token).await {
                Ok(verified) => {
                    return self.rates.user(&verified.user).map_err(|seconds| Box::new(self.refuse("rate", || too_many(seconds, ids))));
                }
                Err(TokenError::Wrong(why)) => Unknown::Wrong(why),
                Err(TokenError::Unavailable(why)) => {
                    tracing::warn!(correlation = %ids.correlation, "a token cannot be looked at: {why}");
                    Unknown::Unavailable
                }
            },
        };
        if !self.is_open(route) {
            return Err(Box::new(self.refuse("token", || unknown.told(ids))));
        }
        // No service gets a token from the gateway that it has not found good. What another scheme says is for the service to look at.
        if unknown != Unknown::Scheme {
            headers.remove(header::AUTHORIZATION);
        }
        Ok(())
    }

    fn is_open(&self, route: &Route) -> bool {
        let shape = shape(&route.path);
        self.open.iter().any(|(method, path)| *path == shape && (method == "*" || *method == route.method))
    }

    fn other_methods(&self, parts: &http::request::Parts, methods: &str, ids: &Ids) -> Response<Body> {
        if parts.method == Method::OPTIONS {
            if let Some(answer) = self.cors.as_ref().and_then(|cors| cors.preflight(&parts.headers, methods)) {
                return answer;
            }
            let mut answer = Response::new(Body::from(bytes::Bytes::new()));
            *answer.status_mut() = StatusCode::NO_CONTENT;
            return allow(answer, methods);
        }
        let detail = format!("`{}` is not possible here; {methods} are", parts.method);
        let answer = self.refuse("method", || problem(StatusCode::METHOD_NOT_ALLOWED, "method not allowed", &detail, ids));
        allow(answer, methods)
    }

    /// What the gateway answers by itself.
    fn own(&self, method: &Method, path: &str, ids: &Ids) -> Response<Body> {
        let reads = *method == Method::GET || *method == Method::HEAD;
        let (is_public, documents) = (self.config.openapi.serve == Audience::Everybody, &self.documents);
        match path {
            "/health" if reads => document("application/json", "{\"status\":\"up\"}"),
            "/openapi.json" if reads && is_public => document("application/json", documents.text()),
            "/docs" if reads && is_public => page(),
            _ => {
                let detail = format!("there is nothing at `{path}`");
                self.refuse("nothing", || problem(StatusCode::NOT_FOUND, "not found", &detail, ids))
            }
        }
    }
}

/// The page that shows what all services can be asked.
pub(super) fn page() -> Response<Body> {
    let mut answer = document("text/html; charset=utf-8", super::openapi::PAGE);
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    set(&mut answer, header::CONTENT_SECURITY_POLICY, policy);
    answer
}

fn too_many(seconds: u64, ids: &Ids) -> Response<Body> {
    let detail = "this is more than may be asked; nothing was done; try again later";
    later(StatusCode::TOO_MANY_REQUESTS, "too many requests", detail, seconds, ids)
}

fn allow(mut answer: Response<Body>, methods: &str) -> Response<Body> {
    if let Ok(value) = HeaderValue::from_str(methods) {
        answer.headers_mut().insert(header::ALLOW, value);
    }
    answer
}

/// The name under which the client knows the gateway: what stands in the first line goes before the header.
fn host(uri: &Uri, headers: &HeaderMap, version: Version) -> Option<HeaderValue> {
    match uri.authority() {
        Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
        None if version <= Version::HTTP_11 => headers.get(header::HOST).cloned(),
        None => None,
    }
}
