//! From a request of a client to an answer of an instance, with as many attempts as are safe.

use super::{
    RetryBudget, balance,
    body::{self, Body},
    connection::{Broken, Connection},
    instance::{Instance, Standing, UnderWay},
    outgoing::{Outgoing, Unread, Upload},
};
use crate::gateway::{config::GatewayConfig, edge::headers};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use http_body::Body as _;
use hyper::body::Incoming;
use prometheus_client::metrics::counter::Counter;
use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};
use tokio::time::Instant;

/// How often a request is sent again of which no instance has seen anything: each time on another connection.
const UNSENT: usize = 8;

/// What is forwarded, and within which limits.
pub(in crate::gateway) struct Forward<'g> {
    pub(in crate::gateway) config: &'g GatewayConfig,
    pub(in crate::gateway) budget: &'g RetryBudget,
    /// Counts requests that are sent again.
    pub(in crate::gateway) retried: &'g Counter,
}

/// What an instance is asked.
pub(in crate::gateway) struct Asked {
    pub(in crate::gateway) method: Method,
    /// Path and query.
    pub(in crate::gateway) uri: Uri,
    pub(in crate::gateway) headers: HeaderMap,
}

/// Why there is no answer.
#[derive(Debug)]
pub(in crate::gateway) enum Refused {
    /// Nobody can be asked; in so many seconds perhaps.
    Unavailable { retry_after: u64 },
    /// An instance took the request, and gave no answer.
    Broken { why: String },
    /// It took too long.
    Late,
    /// The body of the request did not come as it should.
    Body(Unreadable),
}

/// What is wrong with the body of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) enum Unreadable {
    TooLarge,
    TooSlow,
    BrokeOff,
}

impl Unreadable {
    /// What its client is told.
    pub(in crate::gateway) fn told(self, max_body: usize) -> (StatusCode, &'static str, String) {
        match self {
            Unreadable::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too large", format!("the body is larger than {max_body} bytes")),
            Unreadable::TooSlow => (StatusCode::REQUEST_TIMEOUT, "request timeout", "the body did not arrive in time".to_owned()),
            Unreadable::BrokeOff => (StatusCode::BAD_REQUEST, "malformed request", "the body broke off".to_owned()),
        }
    }
}

impl From<Unread> for Refused {
    fn from(unread: Unread) -> Self {
        Refused::Body(match unread {
            Unread::TooLarge => Unreadable::TooLarge,
            Unread::TooSlow => Unreadable::TooSlow,
            Unread::BrokeOff => Unreadable::BrokeOff,
        })
    }
}

enum Failure {
    Late,
    Broken(Broken),
}

/// What was tried so far.
#[derive(Default)]
struct Tried {
    /// Who is not asked again.
    instances: Vec<Arc<Instance>>,
    /// Sent again although an instance may have seen it.
    again: usize,
    unsent: usize,
    /// No connection is taken that was used before: it may be as dead as the last one.
    fresh: bool,
}

impl Tried {
    fn has(&self, instance: &Instance) -> bool {
        self.instances.iter().any(|one| std::ptr::eq(&**one, instance))
    }
}

/// Whether it comes to the same if it is done twice.
fn is_idempotent(asked: &Asked) -> bool {
    matches!(asked.method, Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE)
        || asked.headers.contains_key("idempotency-key")
}

fn is_failure(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

impl Forward<'_> {
    /// Takes a request, with its body as it will be sent.
    pub(in crate::gateway) async fn begin(&self, asked: &Asked, body: Incoming) -> Result<Outgoing, Refused> {
        let body = self.outgoing(body, is_idempotent(asked)).await?;
        self.budget.earn();
        Ok(body)
    }

    /// Asks one of these instances, or several one after the other. If nobody can be asked, the body is still there.
    pub(in crate::gateway) async fn ask(
        &self,
        instances: &[Arc<Instance>],
        asked: &Asked,
        body: &mut Outgoing,
    ) -> Result<Response<Body>, Refused> {
        let deadline = Instant::now() + self.config.upstream.total_timeout;
        let is_idempotent = is_idempotent(asked);
        let mut next = std::mem::replace(body, Outgoing::Nothing);
        let mut tried = Tried::default();
        loop {
            let Some(place) = self.choose(instances, &tried) else {
                *body = next;
                let soonest = instances.iter().map(|one| one.out_for()).min().unwrap_or_default();
                return Err(Refused::Unavailable { retry_after: soonest.div_ceil(1000).max(1) });
            };
            let instance = place.0.clone();
            let Some(mut connection) = self.connect(&instance, &mut tried).await else { continue };
            let kept = next.again();
            let upload = if let Outgoing::Stream(upload) = &next { Some(upload.clone()) } else { None };
            let request = self.request(asked, &instance, next);
            let is_left = || balance::others(instances, &instance);
            let broken = match head(&mut connection, request, upload.as_deref(), deadline).await {
                Ok(response) => {
                    let is_bad = is_failure(response.status());
                    if is_bad {
                        instance.failed(response.status().as_str(), is_left());
                    } else {
                        instance.succeeded();
                    }
                    if let Some(again) = kept.filter(|_| is_bad && is_idempotent && is_left())
                        && self.may_again(&mut tried)
                    {
                        tried.instances.push(instance);
                        next = again;
                        continue;
                    }
                    return self.answer(response, connection, place, deadline).await;
                }
                Err(Failure::Late) => {
                    instance.failed("no answer in time", is_left());
                    return Err(Refused::Late);
                }
                Err(Failure::Broken(broken)) => broken,
            };
            if let Some(unread) = upload.as_ref().and_then(|upload| upload.unread()) {
                return Err(unread.into());
            }
            // A connection that was used before may have been closed by then, which says nothing about the instance.
            if connection.was_used {
                tried.fresh = true;
            } else {
                instance.failed(&broken.why, is_left());
                // If there is nobody else, it is asked again.
                if is_left() {
                    tried.instances.push(instance.clone());
                }
            }
            // What was taken of the body meanwhile is gone.
            let kept = kept.and_then(|kept| kept.again());
            next = match kept {
                Some(again) if broken.unsent && tried.unsent < UNSENT => {
                    tried.unsent += 1;
                    again
                }
                Some(again) if is_idempotent && self.may_again(&mut tried) => again,
                _ => return Err(Refused::Broken { why: format!("{} of `{}`: {}", instance.url, instance.service, broken.why) }),
            };
            self.retried.inc();
        }
    }

    fn may_again(&self, tried: &mut Tried) -> bool {
        let may = tried.again < self.config.retries.attempts && self.budget.spend();
        tried.again += usize::from(may);
        may
    }

    /// Who is asked next. If nobody is in, who is out may be back all the same, and costs no more than an attempt to connect.
    fn choose(&self, instances: &[Arc<Instance>], tried: &Tried) -> Option<UnderWay> {
        balance::choose(instances, |one| !tried.has(one)).or_else(|| {
            let out = instances.iter().filter(|one| !tried.has(one) && one.standing() != Standing::In);
            out.min_by_key(|one| one.out_for()).map(Instance::take_anyway)
        })
    }

    /// A connection; or nothing, and the next instance is to be asked.
    async fn connect(&self, instance: &Arc<Instance>, tried: &mut Tried) -> Option<Box<Connection>> {
        if !tried.fresh
            && let Some(connection) = instance.pool.take(instance.settings.keep_idle)
        {
            return Some(connection);
        }
        match Connection::open(instance).await {
            Ok(connection) => Some(connection),
            Err(broken) => {
                instance.unreachable(&broken.why);
                tried.instances.push(instance.clone());
                None
            }
        }
    }

    /// The body as it is sent: what is small and may be sent again is read first.
    async fn outgoing(&self, body: Incoming, is_idempotent: bool) -> Result<Outgoing, Refused> {
        if body.is_end_stream() {
            return Ok(Outgoing::Nothing);
        }
        let (http, hint) = (&self.config.http, body.size_hint());
        if hint.lower() > http.max_body as u64 {
            return Err(Refused::Body(Unreadable::TooLarge));
        }
        let is_small = hint.exact().is_some_and(|length| length <= self.config.retries.max_body as u64);
        let upload = Upload::new(body, http);
        if !is_idempotent || !is_small {
            return Ok(Outgoing::Stream(Arc::new(upload)));
        }
        let whole = body::collect(Reading(upload), self.config.retries.max_body).await?;
        Ok(Outgoing::Whole(whole.unwrap_or_default()))
    }

    fn request(&self, asked: &Asked, instance: &Instance, body: Outgoing) -> Request<Outgoing> {
        let mut request = Request::new(body);
        *request.method_mut() = asked.method.clone();
        *request.uri_mut() = asked.uri.clone();
        *request.headers_mut() = asked.headers.clone();
        request.headers_mut().insert(header::HOST, instance.host.clone());
        request
    }

    async fn answer(
        &self,
        response: Response<Incoming>,
        connection: Box<Connection>,
        place: UnderWay,
        deadline: Instant,
    ) -> Result<Response<Body>, Refused> {
        let (mut parts, incoming) = response.into_parts();
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Refused::Broken { why: format!("{} changes the protocol, which nobody has asked for", place.0.url) });
        }
        if headers::clean_answer(&mut parts.headers) {
            place.0.leaves();
        }
        Ok(Response::from_parts(parts, Body::passing(incoming, connection, place, deadline).await))
    }
}

/// The head of the answer, unless that takes too long from when the instance has the request.
async fn head(
    connection: &mut Connection,
    request: Request<Outgoing>,
    upload: Option<&Upload>,
    deadline: Instant,
) -> Result<Response<Incoming>, Failure> {
    let (patience, timer) = (connection.first_byte, connection.timer.clone());
    let mut sending = pin!(connection.send(request));
    if let Poll::Ready(sent) = poll_fn(|cx| Poll::Ready(sending.as_mut().poll(cx))).await {
        return sent.map_err(Failure::Broken);
    }
    let begun = Instant::now();
    loop {
        // As long as a client sends its body, there is a reason why there is no answer.
        let since = upload.map_or(begun, |upload| upload.came().max(begun));
        let until = (since + patience).min(deadline);
        tokio::select! {
            biased;
            sent = sending.as_mut() => return sent.map_err(Failure::Broken),
            () = timer.until(until) => {
                let came = upload.map_or(begun, |upload| upload.came().max(begun));
                if until == deadline || came <= since {
                    return Err(Failure::Late);
                }
            }
        }
    }
}

/// An upload that is read here, and not sent on.
struct Reading(Upload);

impl http_body::Body for Reading {
    type Data = Bytes;
    type Error = Unread;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Option<Result<http_body::Frame<Bytes>, Unread>>> {
        self.0.poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_sent_twice() {
        let asked = |method: Method, key: bool| {
            let mut headers = HeaderMap::new();
            if key {
                headers.insert("idempotency-key", "k".parse().unwrap());
            }
            Asked { method, uri: Uri::from_static("/"), headers }
        };
        for (method, key, expected) in [
            (Method::GET, false, true),
            (Method::PUT, false, true),
            (Method::DELETE, false, true),
            (Method::POST, false, false),
            (Method::PATCH, false, false),
            (Method::POST, true, true),
        ] {
            assert_eq!(is_idempotent(&asked(method.clone(), key)), expected, "{method} {key}");
        }
    }
}
