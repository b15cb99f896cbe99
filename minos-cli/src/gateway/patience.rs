//! Requests that wait for services that are being started again, and are not refused: `upstream.patience`.

use super::table::Table;
use arc_swap::{ArcSwap, Guard};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

/// How often an instance that cannot be reached is tried again, though nobody tells of another one: it may be back at its place.
const TRY: Duration = Duration::from_millis(100);

/// How long requests wait, and what for.
pub(super) struct Patience {
    longest: Duration,
    changed: watch::Sender<()>,
}

/// The patience with one request.
pub(super) struct Waiting {
    until: Instant,
    changed: watch::Receiver<()>,
}

impl Patience {
    pub(super) fn new(longest: Duration) -> Self {
        Patience { longest, changed: watch::Sender::new(()) }
    }

    /// The table is another one.
    pub(super) fn renewed(&self) {
        self.changed.send_replace(());
    }

    /// For a request that has just come; none if it is not to wait at all.
    pub(super) fn begin(&self) -> Option<Waiting> {
        (!self.longest.is_zero()).then(|| Waiting { until: Instant::now() + self.longest, changed: self.changed.subscribe() })
    }
}

impl Waiting {
    /// The table as soon as it has any instance at all; none if that takes too long.
    pub(super) async fn settled(&mut self, table: &ArcSwap<Table>) -> Option<Guard<Arc<Table>>> {
        loop {
            let there = table.load();
            if !there.instances.is_empty() {
                return Some(there);
            }
            drop(there);
            let left = self.until.checked_duration_since(Instant::now())?;
            // Nobody who could tell is left only when the gateway itself has gone.
            timeout(left, self.changed.changed()).await.ok()?.ok()?;
        }
    }

    /// Waits a moment, and says whether it is worth while to ask again.
    pub(super) async fn moment(&mut self) -> bool {
        let Some(left) = self.until.checked_duration_since(Instant::now()) else { return false };
        let _ = timeout(left.min(TRY), self.changed.changed()).await;
        true
    }
}
