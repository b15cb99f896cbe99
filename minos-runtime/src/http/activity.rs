//! Whether anything is asked on a connection.
//!
//! With HTTP/1.1 the time for the next head is limited. A client of HTTP/2 that answers pings says nothing else for as long as it likes, and would keep its place for ever.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// How many times as long as the headers of a request may take a connection may be idle.
const IDLE: u32 = 6;

/// When something was last asked on a connection, and not yet answered to its end.
pub struct Activity {
    begun: Instant,
    /// How long the headers of a request may take.
    header_timeout: Duration,
    under_way: AtomicUsize,
    /// Milliseconds from the beginning until the last answer had ended.
    last: AtomicU64,
}

/// Something that is asked, until this is dropped.
pub struct Active(Arc<Activity>);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.last.store(self.0.begun.elapsed().as_millis() as u64, Relaxed);
        self.0.under_way.fetch_sub(1, Relaxed);
    }
}

impl Activity {
    /// For a connection that has just begun, on which the headers of a request may take so long.
    pub fn begin(header_timeout: Duration) -> Arc<Self> {
        Arc::new(Activity { begun: Instant::now(), header_timeout, under_way: AtomicUsize::new(0), last: AtomicU64::new(0) })
    }

    /// Something is asked.
    pub fn asked(self: &Arc<Self>) -> Active {
        self.under_way.fetch_add(1, Relaxed);
        Active(self.clone())
    }

    /// Ends when nothing was under way for too long.
    pub async fn idle(&self) {
        while let Some(left) = self.left(self.header_timeout * IDLE) {
            sleep(left).await;
        }
    }

    /// Ends when a client that was told to go has had time for what it had begun to ask, and is idle all the same.
    pub async fn stuck(&self) {
        sleep(self.header_timeout).await;
        self.idle().await;
    }

    /// How long it takes at least until that is so.
    fn left(&self, patience: Duration) -> Option<Duration> {
        if self.under_way.load(Relaxed) > 0 {
            return Some(patience);
        }
        let quiet = self.begun.elapsed().saturating_sub(Duration::from_millis(self.last.load(Relaxed)));
        patience.checked_sub(quiet).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn idle_is_who_asks_nothing_for_so_long() {
        let activity = Activity::begin(2 * SECOND);
        let begun = Instant::now();
        activity.idle().await;
        assert_eq!(begun.elapsed(), 12 * SECOND);
        let asked = activity.asked();
        let other = activity.clone();
        tokio::spawn(async move {
            sleep(25 * SECOND).await;
            drop(asked);
        });
        other.idle().await;
        assert_eq!(begun.elapsed(), 49 * SECOND, "twelve seconds after the last one has been answered");
        other.stuck().await;
        assert_eq!(begun.elapsed(), 51 * SECOND, "time for a head is given once more");
    }
}
