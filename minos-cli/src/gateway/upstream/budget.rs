//! How much may be asked again: a share of what is asked, so that retries never become the load that keeps a service down.

use super::now;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// What a retry costs: requests pay in hundredths.
const RETRY: i64 = 100;
/// How many retries may be saved up.
const MOST: i64 = 100 * RETRY;
/// Retries in a second that are free, since a share of little is nothing.
const FREE: i64 = 10 * RETRY;

/// Retries that are still to be had.
#[derive(Debug)]
pub(in crate::gateway) struct RetryBudget {
    percent: i64,
    left: AtomicI64,
    /// The second in which the free ones were last given.
    given: AtomicU64,
}

impl RetryBudget {
    pub(in crate::gateway) fn new(percent: usize) -> Self {
        let percent = i64::try_from(percent).unwrap_or(100);
        RetryBudget { percent, left: AtomicI64::new(if percent == 0 { 0 } else { MOST }), given: AtomicU64::new(0) }
    }

    /// A request is made.
    pub(super) fn earn(&self) {
        // Mostly it is full, and nothing is written that all cores share.
        if self.left.load(Relaxed) < MOST {
            self.left.fetch_add(self.percent, Relaxed);
        }
    }

    /// Whether a request may be made again.
    pub(super) fn spend(&self) -> bool {
        let second = now() / 1000;
        if self.percent > 0 && self.given.swap(second, Relaxed) != second {
            self.left.fetch_max(FREE, Relaxed);
        }
        self.left.fetch_update(Relaxed, Relaxed, |left| (left >= RETRY).then(|| left - RETRY)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn retries_are_a_share_of_what_is_asked() {
        let budget = RetryBudget::new(20);
        let spend = |most: usize| (0..most).filter(|_| budget.spend()).count();
        assert_eq!(spend(1000), 100, "what was saved up");
        (0..100).for_each(|_| budget.earn());
        assert_eq!(spend(1000), 20, "a fifth");
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        assert_eq!(spend(1000), 10, "some are free");
        let none = RetryBudget::new(0);
        none.earn();
        assert!(!none.spend());
    }
}
