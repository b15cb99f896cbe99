//! Passing on what an operator asks of a service. The service decides whether they may: the gateway has no power there of its own, and adds none.

use super::{
    places::Missing,
    routes::{Asks, Routes},
};
use crate::gateway::{
    app::App,
    config::GatewayConfig,
    edge::{
        Ids, Peer,
        headers::{self, Identity},
        path,
        problem::{later, problem, set},
        verify::{self, Token},
    },
    upstream::{Asked, Body, Forward, Instance, Refused, RetryBudget},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header, request::Parts};
use http_body::Body as _;
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// In a request: which instance is to be asked, if it can be. In an answer: which one has answered. What the gateway says itself is without.
const INSTANCE: HeaderName = HeaderName::from_static("minos-instance");
/// A token for the service, where that takes another one than the gateway.
const SERVICE_TOKEN: HeaderName = HeaderName::from_static("service-authorization");
/// How long an instance may take that is only looked at, before another one is asked.
const LOOK: Duration = Duration::from_secs(10);
/// The longest body of a request: what a step yields.
const MAX_BODY: usize = 1024 * 1024;

/// What is passed on of an answer. An instance sets no cookie here, and leads nobody elsewhere.
const PASSED: [HeaderName; 7] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::ETAG,
    header::RETRY_AFTER,
    header::ALLOW,
    crate::gateway::edge::CORRELATION,
];

/// Whoever has shown that they are the operator here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) enum Viewer {
    /// With the token of this gateway, which is nobody else's.
    OwnToken,
    /// With one that a service may take as well, or with none, where none is needed.
    Theirs,
}

/// Passes on what operators ask.
pub(in crate::gateway) struct Pass {
    routes: Routes,
    identity: Identity,
    budget: RetryBudget,
    /// For what only looks, and for what changes something: that is never asked twice, if an instance may have seen it.
    looks: GatewayConfig,
    changes: GatewayConfig,
}

/// A request that is on its way.
struct Way<'w> {
    service: &'w str,
    /// At its operator's API, as it was sent.
    path: &'w str,
    asks: Asks,
    ids: &'w Ids,
    /// The last instance that was asked, and what came of it.
    tried: Vec<(String, Refused)>,
}

impl Pass {
    pub(in crate::gateway) fn new(config: &GatewayConfig) -> Self {
        let mut looks = config.clone();
        looks.http.max_body = MAX_BODY;
        let mut changes = looks.clone();
        changes.retries.attempts = 0;
        Pass {
            routes: Routes::new(),
            // The gateway does not start with names that are none.
            identity: Identity::new(&config.http.strip).unwrap_or_default(),
            budget: RetryBudget::new(config.retries.percent),
            looks,
            changes,
        }
    }

    /// Answers `/services/{service}/…`, as one of its instances does.
    pub(in crate::gateway) async fn on(
        &self,
        app: &App,
        peer: &Peer,
        viewer: Viewer,
        request: Request<Incoming>,
        ids: &Ids,
    ) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let method = parts.method.clone();
        let Some((service, path)) = addressed(parts.uri.path()) else {
            let detail = format!("there is nothing at `{}`: what is asked of a service is at `/services/{{service}}/…`", parts.uri.path());
            return problem(StatusCode::NOT_FOUND, "not found", &detail, ids);
        };
        let way = match self.way(&parts, &body, (&service, &path), ids) {
            Ok(way) => way,
            Err(answer) => return *answer,
        };
        let answer = self.ask(app, peer, viewer, parts, body, way).await;
        if method != Method::GET && method != Method::HEAD {
            let instance = answer.headers().get(INSTANCE).and_then(|value| value.to_str().ok()).unwrap_or("nobody");
            let status = answer.status().as_u16();
            tracing::info!(method = %method, service, path, instance, status, correlation = %ids.correlation, "the operator changes something");
        }
        answer
    }

    /// Looks whether this may be asked of any service.
    fn way<'w>(
        &self,
        parts: &Parts,
        body: &Incoming,
        (service, path): (&'w str, &'w str),
        ids: &'w Ids,
    ) -> Result<Way<'w>, Box<Response<Body>>> {
        let refused = |status, title, detail: &str| Err(Box::new(problem(status, title, detail, ids)));
        if let Some(wrong) = path::wrong(parts.uri.path()) {
            return refused(StatusCode::BAD_REQUEST, "malformed request", &format!("the path is refused: {wrong}"));
        }
        if headers::wants_upgrade(&parts.headers) {
            return refused(StatusCode::NOT_IMPLEMENTED, "not implemented", "the gateway does not change to another protocol");
        }
        if headers::is_looping(&parts.headers) {
            let detail = format!("the request goes in a circle: the operator's API of `{service}` is at the address of a gateway");
            return refused(StatusCode::LOOP_DETECTED, "loop detected", &detail);
        }
        match self.routes.asks(&parts.method, path) {
            Asks::Nothing => refused(StatusCode::NOT_FOUND, "not found", &format!("the operator's API of a service has no `{path}`")),
            Asks::Otherwise(methods) => {
                let detail = format!("`{}` is not possible here; {methods} is", parts.method);
                let mut answer = problem(StatusCode::METHOD_NOT_ALLOWED, "method not allowed", &detail, ids);
                if let Ok(value) = HeaderValue::from_str(&methods) {
                    answer.headers_mut().insert(header::ALLOW, value);
                }
                Err(Box::new(answer))
            }
            // It could not be sent to the next one.
            Asks::Looks if !body.is_end_stream() => refused(StatusCode::BAD_REQUEST, "malformed request", "what only looks has no body"),
            asks => Ok(Way { service, path, asks, ids, tried: Vec::new() }),
        }
    }

    async fn ask(&self, app: &App, peer: &Peer, viewer: Viewer, parts: Parts, body: Incoming, mut way: Way<'_>) -> Response<Body> {
        let mut headers = parts.headers;
        let wanted = headers.get(INSTANCE).and_then(|value| value.to_str().ok().map(str::to_owned));
        let table = app.table.load_full();
        match table.operated.missing(way.service) {
            Some(Missing::Service) => {
                let names: Vec<&str> = table.operated.names().collect();
                let detail = format!("there is no service `{}` now; there are: {}", way.service, names.join(", "));
                return problem(StatusCode::NOT_FOUND, "not found", &detail, way.ids);
            }
            Some(Missing::Address(why)) => return problem(StatusCode::NOT_FOUND, "no operator's API", &why, way.ids),
            None => {}
        }
        if let Err(why) = show(&mut headers, viewer) {
            return problem(StatusCode::BAD_REQUEST, "malformed request", why, way.ids);
        }
        let host = headers.get(header::HOST).cloned();
        headers::clean_request(&mut headers, host.as_ref(), peer, &self.identity);
        for name in [header::COOKIE, header::ORIGIN, header::REFERER] {
            headers.remove(name);
        }
        way.ids.tell(&mut headers);
        let target = parts.uri.query().map_or_else(|| way.path.to_owned(), |query| format!("{}?{query}", way.path));
        let Ok(uri) = target.parse::<Uri>() else {
            return problem(StatusCode::BAD_REQUEST, "malformed request", "the path is none", way.ids);
        };
        let asked = Asked { method: parts.method, uri, headers };
        let config = if way.asks == Asks::Looks { &self.looks } else { &self.changes };
        let forward = Forward { config, budget: &self.budget, retried: &app.metrics.retries };
        let mut body = match forward.begin(&asked, body).await {
            Ok(body) => body,
            Err(refused) => return way.refused(&refused, ""),
        };
        for place in table.operated.in_order(way.service, wanted.as_deref()) {
            let asking = forward.ask(std::slice::from_ref(&place), &asked, &mut body);
            let answered = match way.asks {
                Asks::Looks => timeout(LOOK, asking).await.unwrap_or(Err(Refused::Late)),
                _ => asking.await,
            };
            match answered {
                Ok(answer) => return cleaned(answer, &place),
                // Who was not reached has seen nothing, and what only looks can be asked of anybody.
                Err(refused)
                    if matches!(refused, Refused::Unavailable { .. })
                        || (way.asks == Asks::Looks && !matches!(refused, Refused::Body(_))) =>
                {
                    way.tried.push((place.id.clone(), refused));
                }
                Err(refused) => return way.refused(&refused, &place.id),
            }
        }
        way.nobody()
    }
}

impl Way<'_> {
    /// Nobody has answered.
    fn nobody(&self) -> Response<Body> {
        let unreached = |refused: &Refused| matches!(refused, Refused::Unavailable { .. });
        if let Some((id, refused)) = self.tried.iter().find(|(_, refused)| !unreached(refused)) {
            return self.refused(refused, id);
        }
        let ids: Vec<&str> = self.tried.iter().map(|(id, _)| id.as_str()).collect();
        let seconds =
            self.tried.iter().map(|(_, refused)| if let Refused::Unavailable { retry_after } = refused { *retry_after } else { 1 }).min();
        let detail =
            format!("no instance of `{}` can be reached at its operator's API ({}); nothing was done", self.service, ids.join(", "));
        later(StatusCode::SERVICE_UNAVAILABLE, "unavailable", &detail, seconds.unwrap_or(1), self.ids)
    }

    fn refused(&self, refused: &Refused, id: &str) -> Response<Body> {
        let (service, ids) = (self.service, self.ids);
        let known =
            if self.asks == Asks::Looks { "nothing was changed" } else { "whether it was done is not known: look before you ask again" };
        match refused {
            Refused::Unavailable { .. } => self.nobody(),
            Refused::Broken { why } => {
                tracing::warn!(correlation = %ids.correlation, "what the operator asks is not answered: {why}");
                let detail = format!("the instance `{id}` of `{service}` took the request and gave no answer; {known}");
                problem(StatusCode::BAD_GATEWAY, "bad gateway", &detail, ids)
            }
            Refused::Late => {
                let detail = format!("the instance `{id}` of `{service}` did not answer in time; {known}");
                problem(StatusCode::GATEWAY_TIMEOUT, "gateway timeout", &detail, ids)
            }
            Refused::Body(unreadable) => {
                let (status, title, detail) = unreadable.told(MAX_BODY);
                problem(status, title, &detail, ids)
            }
        }
    }
}

/// The service and the path in `/services/{service}/…`. The path is left as it was sent.
fn addressed(path: &str) -> Option<(String, String)> {
    let (service, _) = path.strip_prefix("/services/")?.split_once('/')?;
    let rest = path.get("/services/".len() + service.len()..)?;
    let service = percent_decode_str(service).decode_utf8().ok()?;
    (!service.is_empty()).then(|| (service.into_owned(), rest.to_owned()))
}

/// Makes the token for the service that of the request: the one that is meant for it, or the one that was shown here. That of the gateway itself goes to nobody.
fn show(headers: &mut HeaderMap, viewer: Viewer) -> Result<(), &'static str> {
    let mut own = HeaderMap::new();
    for value in headers.get_all(SERVICE_TOKEN) {
        own.append(header::AUTHORIZATION, value.clone());
    }
    headers.remove(SERVICE_TOKEN);
    match verify::token(&own) {
        Token::None if viewer == Viewer::OwnToken => drop(headers.remove(header::AUTHORIZATION)),
        Token::None => {}
        Token::Bearer(_) => {
            headers.remove(header::AUTHORIZATION);
            headers.extend(own);
        }
        Token::Other | Token::Malformed(_) => return Err("`Service-Authorization` is one `Bearer …`, as `Authorization` is"),
    }
    Ok(())
}

/// The answer as it is passed on. Opened by itself it is no page, and runs nothing, whatever it is.
fn cleaned(answer: Response<Body>, place: &Arc<Instance>) -> Response<Body> {
    let (mut parts, body) = answer.into_parts();
    let asks_for_token = parts.headers.contains_key(header::WWW_AUTHENTICATE);
    let mut passed = HeaderMap::new();
    for name in PASSED {
        for value in parts.headers.get_all(&name) {
            passed.append(name.clone(), value.clone());
        }
    }
    parts.headers = passed;
    let mut answer = Response::from_parts(parts, body);
    if asks_for_token {
        set(&mut answer, header::WWW_AUTHENTICATE, "Bearer");
    }
    set(&mut answer, header::CACHE_CONTROL, "no-store");
    set(&mut answer, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(&mut answer, header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; sandbox");
    if let Ok(id) = HeaderValue::from_str(&place.id) {
        answer.headers_mut().insert(INSTANCE, id);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_of_whom() {
        let told = |path| addressed(path).map(|(service, rest)| format!("{service} {rest}"));
        assert_eq!(told("/services/order/sagas/1").as_deref(), Some("order /sagas/1"));
        assert_eq!(told("/services/order/streams/A/b%2Fc").as_deref(), Some("order /streams/A/b%2Fc"));
        assert_eq!(told("/services/a%20b/overview").as_deref(), Some("a b /overview"));
        assert_eq!(told("/services/order/").as_deref(), Some("order /"));
        for path in ["/services", "/services/", "/services/order", "/services//overview", "/services/%ff/overview", "/instances/order/a"] {
            assert_eq!(told(path), None, "{path}");
        }
    }

    #[test]
    fn the_token_of_the_gateway_goes_to_nobody() {
        let shown = |viewer, values: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in values {
                headers.append(*name, value.parse().unwrap());
            }
            show(&mut headers, viewer)?;
            assert!(!headers.contains_key(SERVICE_TOKEN));
            let all: Vec<_> = headers.get_all(header::AUTHORIZATION).iter().map(|value| value.to_str().unwrap().to_owned()).collect();
            Ok::<_, &str>(all.join(", "))
        };
        let (theirs, own) = (("authorization", "Bearer theirs"), ("service-authorization", "Bearer own"));
        assert_eq!(shown(Viewer::Theirs, &[theirs]).unwrap(), "Bearer theirs");
        assert_eq!(shown(Viewer::OwnToken, &[theirs]).unwrap(), "");
        assert_eq!(shown(Viewer::OwnToken, &[theirs, own]).unwrap(), "Bearer own");
        assert_eq!(shown(Viewer::Theirs, &[theirs, own]).unwrap(), "Bearer own");
        assert_eq!(shown(Viewer::Theirs, &[]).unwrap(), "");
        assert!(shown(Viewer::Theirs, &[theirs, own, own]).is_err(), "it cannot be said which one is meant");
        assert!(shown(Viewer::Theirs, &[("service-authorization", "Basic eDp5")]).is_err());
    }
}
