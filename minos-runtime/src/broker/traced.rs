//! The spans of messages: sent, handled, asked.

use super::BrokerResult;
use crate::{
    message::{Envelope, MessageKind},
    telemetry::{Span, SpanKind, Spans},
};

/// Begins the span of a message on its way to the broker, and has the message name it. An event gets the place of what has led to it.
pub(super) fn sending(spans: &Spans, message: &mut Envelope) -> Span {
    if message.traceparent.is_none() && message.kind == MessageKind::Event {
        message.traceparent = spans.place_of_cause(message.correlation, message.causation);
    }
    match message.traceparent {
        None => Span::none(None),
        Some(_) => begin(spans, SpanKind::Producer, "send", message),
    }
}

/// Begins the span of a message that is handled here, and has the message name it: so what follows from it belongs there.
pub(super) fn handling(spans: &Spans, message: &mut Envelope) -> Span {
    begin(spans, SpanKind::Consumer, "process", message)
}

/// Begins the span of a question, which lasts until it is answered.
pub(super) fn asking(spans: &Spans, message: &mut Envelope) -> Span {
    begin(spans, SpanKind::Client, "ask", message)
}

fn begin(spans: &Spans, kind: SpanKind, operation: &'static str, message: &mut Envelope) -> Span {
    if !spans.are_kept() {
        return Span::none(message.traceparent);
    }
    let about = (kind == SpanKind::Consumer).then_some(message.id);
    let mut span = spans.begin(kind, message.traceparent, message.correlation, about, || format!("{operation} {}", message.topic));
    message.traceparent = span.place();
    if span.is_kept() {
        span.set("messaging.system", spans.broker());
        span.set("messaging.operation.name", operation);
        // Of the types that the conventions know.
        span.set("messaging.operation.type", if kind == SpanKind::Consumer { "process" } else { "send" });
        span.set("messaging.destination.name", message.topic.clone());
        span.set("messaging.message.id", message.id);
        span.set("messaging.message.conversation_id", message.correlation);
        span.set("messaging.message.body.size", i64::try_from(message.content.len()).unwrap_or(i64::MAX));
        span.set("minos.message.name", message.name.clone());
        if let Some(call) = &message.saga {
            span.set("minos.saga.execution", call.execution);
            span.set("minos.saga.step", call.to_string());
        }
    }
    span
}

/// Says what became of it.
pub(super) fn end(span: &mut Span, result: &BrokerResult) {
    if let Err(error) = result {
        span.fail(|| error.to_string());
    }
}
