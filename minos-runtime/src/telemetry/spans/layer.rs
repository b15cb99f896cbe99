//! Spans that users make with the library `tracing`, within what Minos does for them.

use super::{Span, SpanKind, SpanValue, Spans};
use crate::trace::Trace;
use std::fmt;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer, Registry,
    filter::FilterFn,
    layer::Context,
    registry::{ExtensionsMut, LookupSpan},
};

/// Whose spans belong where: stands in the extensions of a span of `tracing`.
#[derive(Clone)]
struct Here {
    spans: Spans,
    place: Trace,
}

/// Spans that are made within this one become parts of it.
pub(super) fn put(span: &tracing::Span, spans: &Spans, place: Trace) {
    span.with_subscriber(|(id, dispatch)| {
        // A program may have a subscriber of its own that keeps no spans in such a registry: then its spans stay with it.
        let found = dispatch.downcast_ref::<Registry>().and_then(|registry| registry.span(id));
        if let Some(found) = found {
            found.extensions_mut().replace(Here { spans: spans.clone(), place });
        }
    });
}

/// The layer that takes them. Spans below `info` are those of libraries, and too many.
pub(in crate::telemetry) fn layer<S: Subscriber + for<'l> LookupSpan<'l>>() -> impl Layer<S> {
    let is_span = |metadata: &Metadata<'_>| metadata.is_span() && *metadata.level() <= Level::INFO;
    let is_error = |metadata: &Metadata<'_>| metadata.is_event() && *metadata.level() == Level::ERROR;
    UserSpans.with_filter(FilterFn::new(move |metadata| is_span(metadata) || is_error(metadata)))
}

struct UserSpans;

impl<S: Subscriber + for<'l> LookupSpan<'l>> Layer<S> for UserSpans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(new) = context.span(id) else { return };
        let Some(Here { spans, place }) = new.parent().and_then(|parent| parent.extensions().get::<Here>().cloned()) else { return };
        let mut span = spans.begin(SpanKind::Internal, Some(place), place.id(), None, || attributes.metadata().name());
        attributes.record(&mut Values(&mut span));
        let mut extensions: ExtensionsMut<'_> = new.extensions_mut();
        if let Some(place) = span.place() {
            extensions.replace(Here { spans, place });
        }
        extensions.replace(span);
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        if let Some(found) = context.span(id)
            && let Some(span) = found.extensions_mut().get_mut::<Span>()
        {
            record.record(&mut Values(span));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if let Some(found) = context.event_span(event)
            && let Some(span) = found.extensions_mut().get_mut::<Span>()
        {
            let mut message = Message(String::new());
            event.record(&mut message);
            span.fail(|| message.0);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if let Some(closed) = context.span(&id) {
            drop(closed.extensions_mut().remove::<Span>());
        }
    }
}

/// Fields become values.
struct Values<'s>(&'s mut Span);

impl Visit for Values<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.set(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.set(field.name(), value.to_owned());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.set(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.set(field.name(), i64::try_from(value).unwrap_or(i64::MAX));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.set(field.name(), SpanValue::Fraction(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.set(field.name(), SpanValue::Switch(value));
    }
}

/// What a line of the log says.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
