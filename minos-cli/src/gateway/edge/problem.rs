//! What the gateway says itself: problem documents (RFC 9457), as services say them.

use super::{CORRELATION, Ids};
use crate::gateway::upstream::Body;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::json;

/// An answer that is a problem.
pub(in crate::gateway) fn problem(status: StatusCode, title: &str, detail: &str, ids: &Ids) -> Response<Body> {
    let text = json!({
        "type": "about:blank",
        "title": title,
        "status": status.as_u16(),
        "detail": detail,
        "correlation_id": ids.correlation,
    });
    let mut answer = Response::new(Body::from(Bytes::from(text.to_string())));
    *answer.status_mut() = status;
    set(&mut answer, header::CONTENT_TYPE, "application/problem+json");
    answer.headers_mut().insert(CORRELATION, ids.text.clone());
    answer
}

/// A problem that passes.
pub(in crate::gateway) fn later(status: StatusCode, title: &str, detail: &str, seconds: u64, ids: &Ids) -> Response<Body> {
    let mut answer = problem(status, title, detail, ids);
    answer.headers_mut().insert(header::RETRY_AFTER, seconds.max(1).into());
    answer
}

/// A document of the gateway itself.
pub(in crate::gateway) fn document(kind: &'static str, text: impl Into<Bytes>) -> Response<Body> {
    let mut answer = Response::new(Body::from(text.into()));
    set(&mut answer, header::CONTENT_TYPE, kind);
    set(&mut answer, header::CACHE_CONTROL, "no-store");
    set(&mut answer, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    answer
}

pub(in crate::gateway) fn set(answer: &mut Response<Body>, name: HeaderName, value: &'static str) {
    answer.headers_mut().insert(name, HeaderValue::from_static(value));
}
