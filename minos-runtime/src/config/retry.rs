//! When what failed is tried again.

use super::BrokerConfig;
use std::time::Duration;

/// When what failed is tried again, and how often: a message whose handler fails, or an event that a projection cannot take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often it is tried before it is put among the dead letters.
    pub attempts: u32,
    /// The pause after the first attempt. It doubles with each.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy { attempts: 10, first_pause: Duration::from_millis(100), longest_pause: Duration::from_secs(30) }
    }
}

impl RetryPolicy {
    /// What the configuration says.
    pub fn of(config: &BrokerConfig) -> Self {
        let attempts = u32::try_from(config.attempts).unwrap_or(u32::MAX);
        RetryPolicy { attempts, first_pause: config.first_pause, longest_pause: config.longest_pause }
    }

    /// The pause after this attempt (from 1), with jitter that spreads what failed together.
    pub(crate) fn pause(&self, attempt: u32) -> Duration {
        let full = self.first_pause.saturating_mul(1 << attempt.saturating_sub(1).min(20)).min(self.longest_pause);
        full.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}
