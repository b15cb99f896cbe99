//! Room for what runs, which what waits does not need.

use crate::sync::lock;
use std::{
    future::Future,
    sync::{Arc, Mutex},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The permission of one handler to run, where only so many do at once.
pub struct Permit {
    room: Arc<Semaphore>,
    taken: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Permit {
    /// Waits until there is room.
    pub(crate) async fn take(room: &Arc<Semaphore>) -> Arc<Self> {
        // Nobody closes it.
        let taken = room.clone().acquire_owned().await.ok();
        Arc::new(Permit { room: room.clone(), taken: Mutex::new(taken) })
    }

    /// Lets others run while this one waits, and waits for room then.
    pub(super) async fn without<T>(&self, wait: impl Future<Output = T>) -> T {
        drop(lock(&self.taken).take());
        let done = wait.await;
        let taken = self.room.clone().acquire_owned().await.ok();
        *lock(&self.taken) = taken;
        done
    }
}

impl std::fmt::Debug for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Permit")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_lets_others_run() {
        let room = Arc::new(Semaphore::new(1));
        let first = Permit::take(&room).await;
        assert_eq!(room.available_permits(), 0);
        first.without(async { drop(Permit::take(&room).await) }).await;
        assert_eq!(room.available_permits(), 0, "it has its room again");
        drop(first);
        assert_eq!(room.available_permits(), 1);
    }
}
