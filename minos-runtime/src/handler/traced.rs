//! The span of each run of a handler.

use super::Job;
use crate::{
    error::Error,
    telemetry::{Span, SpanKind, Spans},
};

/// Begins the span of a handler. Others find it by the id of what it handles, unless that is a message, whose own span they find.
pub(super) fn begin(spans: &Spans, job: &Job<'_>) -> Span {
    let (parts, def) = (job.request.parts(), job.def);
    if !spans.are_kept() {
        return Span::none(parts.trace);
    }
    let about = job.request.is_strict().then_some(parts.id);
    let mut span = spans.begin(SpanKind::Internal, parts.trace, parts.correlation, about, || def.function);
    if span.is_kept() {
        span.set("code.function.name", format!("{}::{}", def.module, def.function));
        span.set("minos.handler.kind", def.kind.name());
        span.set("minos.correlation_id", parts.correlation);
    }
    span
}

/// Says why a handler fails. That the asker is wrong is no failure of ours.
pub(super) fn fail(span: &mut Span, error: &Error) {
    if !span.is_kept() {
        return;
    }
    span.set("error.type", error.kind().title());
    if error.status().is_server_error() {
        span.fail(|| error.chain());
    }
}
