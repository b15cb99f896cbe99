//! What librdkafka tells, in the service's log: not more often than anybody reads it.

use rdkafka::{ClientContext, config::RDKafkaLogLevel, error::KafkaError};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How often a line of one sort is told.
const EVERY: Duration = Duration::from_secs(10);

/// Passes on the lines of one client.
#[derive(Default)]
pub(super) struct Lines(Mutex<HashMap<String, Told>>);

struct Told {
    at: Instant,
    /// How many were not told since then.
    left_out: u64,
}

impl Lines {
    /// Whether a line of this sort is due, and how many were left out before it.
    fn due(&self, sort: &str) -> Option<u64> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match lines.get_mut(sort) {
            Some(told) if now.duration_since(told.at) < EVERY => {
                told.left_out += 1;
                None
            }
            Some(told) => {
                told.at = now;
                Some(std::mem::take(&mut told.left_out))
            }
            None => {
                lines.insert(sort.to_owned(), Told { at: now, left_out: 0 });
                Some(0)
            }
        }
    }
}

impl ClientContext for Lines {
    fn log(&self, level: RDKafkaLogLevel, sort: &str, message: &str) {
        // A setting of the consumer's is none of the producer's: both get all options.
        if sort == "CONFWARN" || level as i32 > RDKafkaLogLevel::Notice as i32 {
            tracing::debug!(sort, "kafka: {message}");
            return;
        }
        let Some(left_out) = self.due(sort) else { return };
        if level as i32 >= RDKafkaLogLevel::Notice as i32 {
            tracing::info!(sort, left_out, "kafka: {message}");
        } else {
            tracing::warn!(sort, left_out, "kafka: {message}");
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(left_out) = self.due("error") {
            tracing::warn!(%error, left_out, "kafka: {reason}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sort_of_lines_is_told_once_in_a_while() {
        let lines = Lines::default();
        assert_eq!(lines.due("a"), Some(0));
        assert_eq!(lines.due("a"), None);
        assert_eq!(lines.due("b"), Some(0));
        lines.0.lock().unwrap().get_mut("a").unwrap().at -= EVERY;
        assert_eq!(lines.due("a"), Some(1));
    }
}
