//! The time, as a port: tests and simulations bring their own.

use jiff::Timestamp;
use std::sync::Arc;

/// Tells the time. Handlers ask it through [`Context::now`](crate::Context::now).
pub trait Clock: Send + Sync + 'static {
    /// The current time, in UTC.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // Stores keep microseconds: with more, what was just created would differ from what is loaded.
        let now = Timestamp::now();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }
}

/// The machine's clock, shared.
pub fn system() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}
