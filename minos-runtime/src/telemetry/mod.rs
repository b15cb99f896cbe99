//! Logs.

mod lines;

use crate::config::{LogConfig, LogFormat};
use lines::Lines;
use std::{io, sync::OnceLock};
use tracing_subscriber::{Layer, filter::Targets, fmt::writer::BoxMakeWriter, layer::SubscriberExt, util::SubscriberInitExt};

/// Standard error is one for all services of a process.
static LINES: OnceLock<Option<Lines>> = OnceLock::new();

/// Writes logs to standard error. Does nothing if the program has set up its own way already.
pub(crate) fn init(config: &LogConfig) {
    let filter: Targets = match config.level.parse() {
        Ok(filter) => filter,
        Err(error) => {
            // The logs are what would tell it.
            eprintln!("`log.level` is `{}`, which makes no sense ({error}); `info` is used", config.level);
            Targets::new().with_default(tracing::Level::INFO)
        }
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(writer()).with_target(false);
    let lines = match config.format {
        LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // An error says that there is a subscriber already: the program's own, or that of another service in it.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
}

fn writer() -> BoxMakeWriter {
    match LINES.get_or_init(|| Lines::to(io::stderr()).ok()) {
        Some(lines) => {
            let lines = lines.clone();
            BoxMakeWriter::new(move || lines.clone())
        }
        // Without a thread for it, each line is written by who logs it.
        None => BoxMakeWriter::new(io::stderr),
    }
}

/// Waits until all lines are written: before the program ends.
pub(crate) fn flush() {
    if let Some(Some(lines)) = LINES.get() {
        lines.flush();
    }
}
