//! Room for what runs, which what waits does not need.

use std::{future::Future, sync::Arc};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

/// The permission of one handler to run, where only so many do at once.
pub struct Permit {
    room: Arc<Semaphore>,
    /// Locked while it waits for room: of two waits of one handler that end at once, one takes it.
    taken: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Permit {
    /// Waits until there is room.
    pub(crate) async fn take(room: &Arc<Semaphore>) -> Arc<Self> {
        // Nobody closes it.
        let taken = room.clone().acquire_owned().await.ok();
        Arc::new(Permit { room: room.clone(), taken: Mutex::new(taken) })
    }

    /// Lets others run while this one waits, and waits for room then, unless another wait of the same handler has taken it again.
    pub(super) async fn without<T>(&self, wait: impl Future<Output = T>) -> T {
        drop(self.taken.lock().await.take());
        let done = wait.await;
        let mut taken = self.taken.lock().await;
        if taken.is_none() {
            *taken = self.room.clone().acquire_owned().await.ok();
        }
        drop(taken);
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
    use std::time::Duration;
    use tokio::sync::Barrier;

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

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_two_things_at_once_has_its_room_again_once() {
        let room = Arc::new(Semaphore::new(1));
        let handler = Permit::take(&room).await;
        let end = Barrier::new(2);
        let both = async { tokio::join!(handler.without(end.wait()), handler.without(end.wait())) };
        tokio::time::timeout(Duration::from_secs(1), both).await.expect("it does not wait for room that it has itself");
        assert_eq!(room.available_permits(), 0);
        drop(handler);
        assert_eq!(room.available_permits(), 1);
    }
}
