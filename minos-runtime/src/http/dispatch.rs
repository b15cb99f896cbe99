//! From an HTTP request to a handler's.

use super::{app::App, body, guard::Refusal, problem::Answer, route::Target};
use crate::{
    auth::User,
    error::{Error, ErrorKind, Result},
    handler::{Content, Job, Kind, Once, Parts, PathSource, Request, Response},
    store::CLIENT_KEY,
    trace::Trace,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use http_body_util::Full;
use tokio::time::Instant;
use uuid::{NoContext, Uuid};

// As names and not as texts, which would be parsed for each request.
pub(super) const CORRELATION: HeaderName = HeaderName::from_static("x-correlation-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The ids of a request: its own, and those of all it belongs to.
#[derive(Clone, Copy)]
pub(super) struct Ids {
    pub(super) id: Uuid,
    pub(super) correlation: Uuid,
    /// Its place in a trace.
    pub(super) trace: Option<Trace>,
}

impl Ids {
    /// A new id; and the caller's correlation id, or its W3C trace, or else the same one.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        // Without a counter that would keep the order of requests of one millisecond: nothing depends on it, and all cores would meet there.
        let id = Uuid::new_v7(uuid::Timestamp::now(NoContext));
        let text = |name: HeaderName| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let given = text(CORRELATION).and_then(|text| Uuid::try_parse(text).ok());
        let trace = text(TRACEPARENT).and_then(Trace::parse);
        let traced = || trace.map(Trace::id);
        Ids { id, correlation: given.or_else(traced).filter(|id| !id.is_nil()).unwrap_or(id), trace }
    }
}

/// What is known of a request before its body has come.
pub(super) struct Head<'r> {
    pub(super) ids: Ids,
    /// Who asks, as far as it is known.
    pub(super) user: User,
    pub(super) method: &'r Method,
    pub(super) uri: &'r Uri,
    pub(super) headers: HeaderMap,
    /// When it is cut off.
    pub(super) deadline: Option<Instant>,
}

/// Why there is no answer of a handler.
pub(super) enum Refused {
    /// An error with its kind.
    Error(Error),
    /// An error of HTTP.
    Http(body::Unread),
    /// Who asks may not.
    Guard(Refusal),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Refused::Error(error)
    }
}

/// Runs a handler for a request of HTTP.
pub(super) async fn run<B>(app: &App, target: &Target, params: PathSource, head: &mut Head<'_>, content: B) -> Result<Answer, Refused>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<body::BoxError>,
{
    // Until the handler has ended, which keeps the body.
    let mut memory = app.bodies().nothing();
    let content = body::read(content, app.limits().max_body, app.limits().body_timeout, &mut memory).await.map_err(Refused::Http)?;
    if !content.is_empty() {
        content_type(&head.headers)?;
    }
    let once = if target.def.kind == Kind::Command { idempotency(head, &content)? } else { None };
    // A request that is repeated under its key has the same id, and so have its effects outside, even if the first one never was committed.
    let id = match &once {
        Some(Once::Key { key, fingerprint: Some(fingerprint) }) => Uuid::new_v5(fingerprint, key.as_bytes()),
        _ => head.ids.id,
    };
    let handled = Some(&target.measured(&app.runner().environment().metrics).handled);
    let job = Job { once, deadline: head.deadline, handled, ..Job::new(target.def, request(id, params, head, content)) };
    Ok(answer(app.runner().run(job).await?))
}

/// The request as a handler sees it.
fn request(id: Uuid, path: PathSource, head: &mut Head<'_>, content: Bytes) -> Request {
    let query = head.uri.query();
    let content = match (content.is_empty(), head.method) {
        (false, _) => Content::Json(content),
        (true, method) if *method == Method::GET || *method == Method::HEAD || query.is_some() => Content::Form,
        (true, _) => Content::None,
    };
    Request::new(Parts {
        user: std::mem::take(&mut head.user),
        trace: head.ids.trace,
        content,
        path,
        query: query.map(str::to_owned),
        headers: std::mem::take(&mut head.headers),
        ..Parts::new(id, head.ids.correlation)
    })
}

/// JSON under its own name, or under those that `curl` and browsers give to anything.
fn content_type(headers: &HeaderMap) -> Result<(), Refused> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let name = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let known = matches!(name.as_str(), "" | "application/json" | "text/json" | "text/plain" | "application/x-www-form-urlencoded");
    if known || name.ends_with("+json") {
        return Ok(());
    }
    Err(Refused::Http(body::Unread {
        status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
        title: "unsupported media type",
        detail: format!("the body has to be `application/json`, not `{name}`"),
    }))
}

/// That a request with an `Idempotency-Key` is handled once. Its fingerprint tells another request under the same key.
fn idempotency(head: &Head<'_>, content: &[u8]) -> Result<Option<Once>> {
    let Some(value) = head.headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=255).contains(&key.len()));
    let Some(key) = key else {
        return Err(Error::new(ErrorKind::Malformed, "an `Idempotency-Key` is 1 to 255 visible ASCII characters"));
    };
    let mut asked = format!("{} {}\n", head.method, head.uri).into_bytes();
    asked.extend_from_slice(content);
    // Whoever else has the same key means something else, and is not told what this one was answered.
    let owner = head.user.id().map(|id| format!("{}/", Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes()))).unwrap_or_default();
    // Apart from the ids of messages, which are keys of the same handler.
    Ok(Some(Once::Key { key: format!("{CLIENT_KEY}{owner}{key}"), fingerprint: Some(Uuid::new_v5(&Uuid::NAMESPACE_URL, &asked)) }))
}

/// A handler's answer, on its way out.
fn answer(response: Response) -> Answer {
    let (status, headers, content) = response.into_parts();
    let has_content = !content.is_empty();
    let mut answer = http::Response::new(Full::new(content));
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    if has_content {
        answer.headers_mut().entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    fn correlation(name: HeaderName, value: &str) -> Option<String> {
        let headers = HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())]);
        let Ids { id, correlation, .. } = Ids::of(&headers);
        (correlation != id).then(|| correlation.simple().to_string())
    }

    #[test]
    fn a_correlation_is_taken_over_from_who_asks() {
        let uuid = Uuid::try_parse(TRACE).unwrap().to_string();
        assert_eq!(correlation(CORRELATION, &uuid).as_deref(), Some(TRACE));
        assert_eq!(correlation(TRACEPARENT, &format!("00-{TRACE}-b7ad6b7169203331-01")).as_deref(), Some(TRACE));
    }

    #[test]
    fn what_is_no_id_goes_no_further() {
        for value in ["", "x", &"a".repeat(60_000), &format!("{TRACE}0"), "00000000-0000-0000-0000-000000000000"] {
            assert_eq!(correlation(CORRELATION, value), None, "{value:.50}");
        }
        assert_eq!(correlation(TRACEPARENT, &format!("00-{TRACE}")), None);
    }
}
