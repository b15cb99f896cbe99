//! Leases: who of several replicas does what only one may do.

use super::{SharedStore, StoreResult};
use std::{borrow::Cow, time::Duration};
use tokio::time::Instant;
use uuid::Uuid;

/// A lease that was acquired.
///
/// It may have passed to somebody else at any time. What must not happen then is committed with it as [`Unit::fence`](super::Unit::fence).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Its name.
    pub name: String,
    /// Rises with each change of owner: a lower one is not held any more.
    pub epoch: u64,
}

/// For how long a lease is taken. When its holder dies, another one takes over after that.
const TTL: Duration = Duration::from_secs(5);
/// How often it is renewed meanwhile.
const RENEW: Duration = Duration::from_millis(1500);

/// Holds a lease for as long as it can.
pub struct Tenure {
    store: SharedStore,
    name: Cow<'static, str>,
    owner: Uuid,
    /// What is held, and since when.
    held: Option<(Lease, Instant)>,
}

impl Tenure {
    /// Nothing held yet. The owner is new: a process that is started again is another one.
    pub fn new(store: SharedStore, name: impl Into<Cow<'static, str>>) -> Self {
        Tenure { store, name: name.into(), owner: Uuid::now_v7(), held: None }
    }

    /// The lease, acquired or renewed if it is time for it; `None` while somebody else holds it. If it has another epoch than the last time,
    /// it was lost meanwhile.
    ///
    /// # Errors
    /// If the store does not answer. The lease may be held then, or not.
    pub async fn hold(&mut self) -> StoreResult<Option<&Lease>> {
        if self.due() <= Instant::now() {
            // From before the question, so that it ends here no later than there.
            let now = Instant::now();
            self.held = self.store.acquire(&self.name, self.owner, TTL).await?.map(|lease| (lease, now));
        }
        Ok(self.held.as_ref().map(|(lease, _)| lease))
    }

    /// When to call [`hold`](Tenure::hold) again.
    pub fn due(&self) -> Instant {
        self.held.as_ref().map_or_else(Instant::now, |(_, since)| *since + RENEW)
    }

    /// Gives the lease back, so that nobody waits for its end.
    pub async fn give_back(&mut self) {
        if let Some((lease, _)) = self.held.take()
            && let Err(error) = self.store.release(lease).await
        {
            tracing::debug!(%error, "a lease could not be given back; it ends by itself");
        }
    }
}
