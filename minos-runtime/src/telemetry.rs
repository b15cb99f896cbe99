//! Logs.

use crate::config::{LogConfig, LogFormat};
use tracing_subscriber::{Layer, filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

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
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines = match config.format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // An error says that there is a subscriber already: the program's own, or that of another service in it.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
}
