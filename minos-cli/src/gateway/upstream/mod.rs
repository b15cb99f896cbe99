//! Asking instances: connections, who is asked, and what is asked again.

mod balance;
mod body;
mod budget;
mod connection;
mod fetch;
mod forward;
mod instance;
mod outgoing;
mod pool;

pub(super) use body::{Body, BoxError};
pub(super) use budget::RetryBudget;
pub(super) use fetch::fetch;
pub(super) use forward::{Asked, Forward, Refused};
pub(super) use instance::{Instance, Standing};

use std::{sync::OnceLock, time::Duration};
use tokio::time::Instant;

/// Milliseconds since this program first asked, at least 1: what fits into an atomic.
fn now() -> u64 {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    1 + millis(BEGIN.get_or_init(Instant::now).elapsed())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
