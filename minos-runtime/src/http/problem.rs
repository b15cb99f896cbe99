//! Errors as problem documents (RFC 9457).

use crate::{
    aggregate::{HoldError, ValidationError},
    error::{Error, ErrorKind},
    store::StoreError,
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;
use uuid::Uuid;

/// An answer with its body.
pub(super) type Answer = http::Response<Full<Bytes>>;

/// The type of a problem that says no more than its status.
const NO_TYPE: &str = "about:blank";
/// The type of the problem that a saga holds an aggregate: it passes when the saga has ended.
const HELD: &str = "urn:minos:held";

/// What a client is told about an error.
#[derive(Serialize)]
struct Problem<'p> {
    r#type: &'static str,
    title: &'p str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'p str>,
    /// What is wrong with which field: an extension member of ours.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Wrong<'p>>,
    /// By this, the operator finds the whole story in the logs.
    correlation_id: Uuid,
}

/// One rule that does not hold, as in the example of RFC 9457.
#[derive(Serialize)]
struct Wrong<'p> {
    pointer: String,
    detail: &'p str,
    rule: &'p str,
}

/// All rules that do not hold, if it is these that an error tells.
fn wrong(error: &Error) -> Vec<Wrong<'_>> {
    let violations = error.downcast_ref().map_or(&[][..], ValidationError::violations);
    violations.iter().map(|one| Wrong { pointer: one.pointer(), detail: &one.message, rule: one.rule }).collect()
}

/// The answer for an error. What went wrong inside is not told: it is in the logs, under the correlation id.
pub(super) fn answer(error: &Error, correlation: Uuid) -> Answer {
    let status = error.status();
    let detail = if status.is_server_error() { hint(error).map(str::to_owned) } else { Some(error.to_string()) };
    let held = matches!(error.downcast_ref(), Some(HoldError::Held { .. }));
    let (r#type, title) = if held { (HELD, "held by a saga") } else { (NO_TYPE, error.kind().title()) };
    write(&Problem { r#type, title, status: status.as_u16(), detail: detail.as_deref(), errors: wrong(error), correlation_id: correlation })
}

/// What a client may know of an error inside.
fn hint(error: &Error) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::Unavailable if matches!(error.downcast_ref(), Some(StoreError::Unknown(_))) => {
            Some("it may have been done: ask again with the same `Idempotency-Key`, and it is done once")
        }
        ErrorKind::Unavailable => Some("something that this needs is not available; nothing was changed; try again later"),
        ErrorKind::Timeout => {
            Some("this took too long, and may have been done: ask again, with the same `Idempotency-Key` if it changes something")
        }
        _ => None,
    }
}

/// The answer for an error of HTTP itself.
pub(super) fn with_status(status: StatusCode, title: &str, detail: Option<&str>, correlation: Uuid) -> Answer {
    write(&Problem { r#type: NO_TYPE, title, status: status.as_u16(), detail, errors: Vec::new(), correlation_id: correlation })
}

fn write(problem: &Problem<'_>) -> Answer {
    // Only strings and numbers: there is nothing that JSON cannot say.
    let body = serde_json::to_vec(problem).unwrap_or_default();
    let mut answer = http::Response::new(Full::new(body.into()));
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::store_error;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn what_may_have_been_done_is_not_called_undone() {
        for (error, told) in [
            (StoreError::Unavailable("down".to_owned()), "nothing was changed"),
            (StoreError::Unknown("the connection was lost".to_owned()), "it may have been done: ask again with the same `Idempotency-Key`"),
        ] {
            let answer = answer(&store_error(error).context("while saving"), Uuid::nil());
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            let text = std::str::from_utf8(&body).unwrap();
            assert!(text.contains(told), "{text}");
        }
    }
}
