//! Whether the service lives, and whether it is ready.

use super::problem::Answer;
use crate::{health::Health, metrics::Metrics};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body_util::Full;
use serde_json::json;

/// The service answers, so it lives.
pub(super) fn live() -> Answer {
    json_answer(StatusCode::OK, &json!({ "status": "up" }))
}

/// Whether all vital parts work, and when each last did. Why one does not is in the logs.
pub(super) fn ready(health: &Health) -> Answer {
    let ready = health.is_ready();
    let parts: serde_json::Map<_, _> = health
        .parts()
        .into_iter()
        .map(|(name, part)| (name, json!({ "works": part.works(), "vital": part.vital, "succeeded_at": part.succeeded_at })))
        .collect();
    let (status, word) = if ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    json_answer(status, &json!({ "status": word, "parts": parts }))
}

/// What the service measures of itself.
pub(super) fn metrics(metrics: &Metrics) -> Answer {
    let mut answer = http::Response::new(Full::new(Bytes::from(metrics.text())));
    let content_type = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, content_type);
    answer
}

fn json_answer(status: StatusCode, value: &serde_json::Value) -> Answer {
    let mut answer = http::Response::new(Full::new(Bytes::from(value.to_string())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
