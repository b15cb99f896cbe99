//! Spans: who did what, for how long, and on whose behalf, over all services that a request crosses.
//!
//! A span's place is the [`Trace`] that goes along with requests, messages and executions. The number of a span that others have to find again follows from the
//! id of what it is about: so an event, which keeps no trace, leads back to the handler that recorded it, and the steps of a saga to their execution, though
//! days and other processes lie between.
//!
//! Without an [`Export`] nothing is recorded, and traces of callers are passed on as they are.

#[cfg(feature = "otel")]
mod layer;
#[cfg(feature = "otel")]
mod otlp;
#[cfg_attr(not(any(test, feature = "otel")), allow(dead_code, reason = "nothing is kept"))]
mod sample;
#[cfg(test)]
mod tests;

#[cfg(feature = "otel")]
pub(super) use layer::layer;

use crate::{config::Config, error::Result, trace::Trace};
use sample::Sample;
use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, SystemTime},
};
use uuid::Uuid;

/// Which side of what a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpanKind {
    /// Answers somebody.
    Server,
    /// Waits for the answer of somebody.
    Client,
    /// Sends a message.
    Producer,
    /// Takes a message.
    Consumer,
    /// Works.
    Internal,
}

/// What is told of a span beside its name.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(not(feature = "otel"), allow(dead_code, reason = "users' own spans have these"))]
pub(crate) enum SpanValue {
    /// A text.
    Text(Cow<'static, str>),
    /// A number.
    Number(i64),
    /// A fraction.
    Fraction(f64),
    /// A switch.
    Switch(bool),
}

impl From<&'static str> for SpanValue {
    fn from(text: &'static str) -> Self {
        SpanValue::Text(text.into())
    }
}

impl From<String> for SpanValue {
    fn from(text: String) -> Self {
        SpanValue::Text(text.into())
    }
}

impl From<Uuid> for SpanValue {
    fn from(uuid: Uuid) -> Self {
        SpanValue::Text(uuid.to_string().into())
    }
}

impl From<i64> for SpanValue {
    fn from(number: i64) -> Self {
        SpanValue::Number(number)
    }
}

/// A span that has ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EndedSpan {
    /// Which one it is.
    pub(crate) place: Trace,
    /// The span that it is a part of, if it is not the first.
    pub(crate) parent: Option<u64>,
    /// Whether that may be in another process.
    pub(crate) is_remote: bool,
    pub(crate) kind: SpanKind,
    pub(crate) name: Cow<'static, str>,
    pub(crate) start: SystemTime,
    pub(crate) end: SystemTime,
    pub(crate) values: Vec<(Cow<'static, str>, SpanValue)>,
    /// Why it has failed, if it has.
    pub(crate) error: Option<String>,
}

/// Takes spans that have ended, and never waits.
pub(crate) trait Export: Send + Sync + 'static {
    fn take(&self, span: EndedSpan);

    /// Hands over all that was taken, and ends: within this time, or some of it is lost. Blocks its thread.
    fn close(&self, within: Duration);
}

/// Makes the spans of one service, or none. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Spans(Option<Arc<Source>>);

struct Source {
    service: String,
    sample: Sample,
    /// The kind of broker, as traces name it.
    broker: String,
    export: Box<dyn Export>,
}

/// Opens what the configuration asks for.
///
/// # Errors
/// If this build has no export, or the address makes no sense.
#[cfg(feature = "otel")]
pub(crate) fn open(config: &Config) -> Result<Spans> {
    let Some(export) = otlp::open(config)? else { return Ok(Spans::default()) };
    Ok(Spans::new(config, Box::new(export)))
}

/// Opens what the configuration asks for.
///
/// # Errors
/// If it asks for an export, which this build does not have.
#[cfg(not(feature = "otel"))]
pub(crate) fn open(config: &Config) -> Result<Spans> {
    match config.telemetry.otlp.is_empty() {
        true => Ok(Spans::default()),
        false => Err(crate::Error::invalid("`telemetry.otlp` needs a build with the feature `otel` of `minos`")),
    }
}

impl Spans {
    /// Spans of this service that go there.
    #[cfg(any(test, feature = "otel"))]
    fn new(config: &Config, export: Box<dyn Export>) -> Self {
        let broker = match config.broker.url.split(':').next() {
            Some("local") | None => "minos",
            Some(scheme) => scheme,
        };
        Spans(Some(Arc::new(Source {
            service: config.service.name.clone(),
            sample: Sample::of(&config.telemetry),
            broker: broker.to_owned(),
            export,
        })))
    }

    /// Whether anybody keeps records.
    #[inline]
    pub(crate) fn are_kept(&self) -> bool {
        self.0.is_some()
    }

    /// The kind of broker that messages go over.
    pub(crate) fn broker(&self) -> String {
        self.0.as_ref().map_or_else(String::new, |source| source.broker.clone())
    }

    /// Begins a span at this place of a trace, or that of a new trace, which has the id of the correlation.
    ///
    /// `about` is the id of what is done, if others have to find the span by it. The name is made only if a record is kept.
    #[inline]
    pub(crate) fn begin<N: Into<Cow<'static, str>>>(
        &self,
        kind: SpanKind,
        parent: Option<Trace>,
        correlation: Uuid,
        about: Option<Uuid>,
        name: impl FnOnce() -> N,
    ) -> Span {
        match &self.0 {
            None => Span { open: None, place: parent },
            Some(source) => source.begin(kind, parent, correlation, about, || name().into()),
        }
    }

    /// Tells a span that has passed, and which is known by the id of what it was about.
    pub(crate) fn tell(&self, passed: Passed, values: impl FnOnce() -> Vec<(Cow<'static, str>, SpanValue)>) {
        let (Some(source), Some(parent)) = (&self.0, passed.parent.filter(|parent| parent.is_sampled())) else { return };
        source.export.take(EndedSpan {
            place: parent.moved_to(source.number(passed.about)),
            parent: Some(parent.span()),
            is_remote: false,
            kind: passed.kind,
            name: passed.name,
            start: passed.start,
            end: passed.end,
            values: values(),
            error: passed.error,
        });
    }

    /// The place of what is known by this id, in the same trace.
    pub(crate) fn place_of(&self, trace: Option<Trace>, about: Uuid) -> Option<Trace> {
        match (&self.0, trace) {
            (Some(source), Some(trace)) if trace.is_sampled() => Some(trace.moved_to(source.number(about))),
            _ => trace,
        }
    }

    /// The place of what has led to an event of this service: it keeps no trace, but the ids from which that follows.
    pub(crate) fn place_of_cause(&self, correlation: Uuid, causation: Uuid) -> Option<Trace> {
        let source = self.0.as_ref().filter(|source| !correlation.is_nil() && source.sample.takes(correlation))?;
        Some(Trace::at(correlation, source.number(causation), true))
    }

    /// Hands over all that was kept, within this time.
    pub(crate) async fn close(&self, within: Duration) {
        let Some(source) = self.0.clone() else { return };
        let closing = tokio::task::spawn_blocking(move || source.export.close(within));
        if tokio::time::timeout(within, closing).await.is_err() {
            tracing::warn!("the collector of traces did not take the last ones in time; they are lost");
        }
    }
}

/// A span that is told when all of it has passed.
pub(crate) struct Passed {
    pub(crate) kind: SpanKind,
    pub(crate) name: Cow<'static, str>,
    pub(crate) parent: Option<Trace>,
    pub(crate) about: Uuid,
    pub(crate) start: SystemTime,
    pub(crate) end: SystemTime,
    pub(crate) error: Option<String>,
}

impl Source {
    /// The number of the span of this service that is about what has this id. Never 0, by the bits that say which version of uuid it is.
    fn number(&self, about: Uuid) -> u64 {
        Uuid::new_v5(&about, self.service.as_bytes()).as_u64_pair().1
    }

    fn begin(
        self: &Arc<Self>,
        kind: SpanKind,
        parent: Option<Trace>,
        correlation: Uuid,
        about: Option<Uuid>,
        name: impl FnOnce() -> Cow<'static, str>,
    ) -> Span {
        let id = parent.map_or(correlation, Trace::id);
        let is_sampled = parent.map_or_else(|| self.sample.takes(id), Trace::is_sampled);
        if !is_sampled {
            let place = parent.or_else(|| (!id.is_nil()).then(|| Trace::at(id, fastrand::u64(1..), false)));
            return Span { open: None, place };
        }
        let number = about.map_or_else(|| fastrand::u64(1..), |about| self.number(about));
        let place = Trace::at(id, number, true);
        let ended = EndedSpan {
            place,
            parent: parent.map(Trace::span),
            is_remote: matches!(kind, SpanKind::Server | SpanKind::Consumer),
            kind,
            name: name(),
            start: SystemTime::now(),
            end: SystemTime::UNIX_EPOCH,
            values: Vec::new(),
            error: None,
        };
        Span { open: Some(Box::new(Open { source: self.clone(), ended })), place: Some(place) }
    }
}

/// A span that is under way: it ends when it is dropped.
#[must_use = "it ends when it is dropped"]
pub(crate) struct Span {
    open: Option<Box<Open>>,
    place: Option<Trace>,
}

struct Open {
    source: Arc<Source>,
    ended: EndedSpan,
}

impl Span {
    /// None, at this place.
    #[inline]
    pub(crate) fn none(place: Option<Trace>) -> Self {
        Span { open: None, place }
    }

    /// The place in the trace at which what it does goes on: its own, or that of whoever asked if no record of it is kept.
    #[inline]
    pub(crate) fn place(&self) -> Option<Trace> {
        self.place
    }

    /// Whether a record is kept.
    #[inline]
    pub(crate) fn is_kept(&self) -> bool {
        self.open.is_some()
    }

    /// Adds what is known, under its name in the semantic conventions of OpenTelemetry.
    #[inline]
    pub(crate) fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<SpanValue>) {
        if let Some(open) = &mut self.open {
            open.ended.values.push((name.into(), value.into()));
        }
    }

    /// It fails, for this reason.
    pub(crate) fn fail(&mut self, why: impl FnOnce() -> String) {
        if let Some(open) = &mut self.open {
            open.ended.error = Some(why());
        }
    }

    /// The same for the library `tracing`: spans that are made within it become parts of this one, and lines of the log say which trace they belong to.
    #[inline]
    pub(crate) fn entered(&self) -> tracing::Span {
        match &self.open {
            None => tracing::Span::none(),
            Some(open) => open.entered(),
        }
    }
}

impl Open {
    fn entered(&self) -> tracing::Span {
        let span =
            tracing::info_span!("handling", trace = %self.ended.place.id().simple(), span = format!("{:016x}", self.ended.place.span()));
        #[cfg(feature = "otel")]
        layer::put(&span, &Spans(Some(self.source.clone())), self.ended.place);
        span
    }
}

impl Drop for Span {
    #[inline]
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            let Open { source, mut ended } = *open;
            ended.end = SystemTime::now().max(ended.start);
            source.export.take(ended);
        }
    }
}
