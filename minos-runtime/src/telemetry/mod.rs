//! Logs and traces.

mod lines;
mod request;
mod spans;
mod text;

pub(crate) use request::RequestLine;
pub(crate) use spans::{Passed, Span, SpanKind, Spans, open};

use crate::config::{LogConfig, LogFormat};
use lines::Lines;
use std::{io, sync::OnceLock};
use text::{Fields, Time};
use tracing_subscriber::{
    Layer, Registry,
    filter::Targets,
    fmt::{MakeWriter, writer::EitherWriter},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// Standard error is one for all services of a process.
static LINES: OnceLock<Option<Lines>> = OnceLock::new();

/// Writes logs to standard error, and takes the spans that are made with `tracing` if traces are kept. Does nothing if the program has set up its own way
/// already.
pub fn init(config: &LogConfig) {
    let filter: Targets = match config.level.parse() {
        Ok(filter) => filter,
        Err(error) => {
            // The logs are what would tell it.
            eprintln!("`log.level` is `{}`, which makes no sense ({error}); `info` is used", config.level);
            Targets::new().with_default(tracing::Level::INFO)
        }
    };
    let is_short = config.format == LogFormat::Text && !io::IsTerminal::is_terminal(&io::stderr());
    let lines = tracing_subscriber::fmt::layer().with_writer(Output).with_target(false);
    let lines = match config.format {
        LogFormat::Text if is_short => lines.with_ansi(false).with_timer(Time).fmt_fields(Fields).boxed(),
        LogFormat::Text => lines.with_ansi(true).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // An error says that there is a subscriber already: the program's own, or that of another service in it.
    let is_ours = subscriber(lines.with_filter(filter.clone())).try_init().is_ok();
    if is_ours
        && is_short
        && let Some(lines) = output()
    {
        request::take_short_way(lines, &filter);
    }
}

#[cfg(feature = "otel")]
fn subscriber(lines: impl Layer<Registry> + Send + Sync) -> impl SubscriberInitExt {
    tracing_subscriber::registry().with(lines).with(spans::layer())
}

#[cfg(not(feature = "otel"))]
fn subscriber(lines: impl Layer<Registry> + Send + Sync) -> impl SubscriberInitExt {
    tracing_subscriber::registry().with(lines)
}

fn output() -> Option<&'static Lines> {
    LINES.get_or_init(|| Lines::to(io::stderr()).ok()).as_ref()
}

/// Where lines go.
struct Output;

impl MakeWriter<'_> for Output {
    type Writer = EitherWriter<&'static Lines, io::Stderr>;

    fn make_writer(&self) -> Self::Writer {
        match output() {
            Some(lines) => EitherWriter::A(lines),
            // Without a thread for it, each line is written by who logs it.
            None => EitherWriter::B(io::stderr()),
        }
    }
}

/// Waits until all lines are written: before the program ends.
pub fn flush() {
    if let Some(Some(lines)) = LINES.get() {
        lines.flush();
    }
}
