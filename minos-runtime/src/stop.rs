//! The word to stop, for tasks that run until it comes.

use std::{future::Future, time::Duration};
use tokio::sync::watch;

/// Hears the word to stop.
#[derive(Clone)]
pub struct Stop(watch::Receiver<bool>);

/// Says the word to stop.
pub struct Stopper(watch::Sender<bool>);

impl Stopper {
    /// Nothing said yet.
    pub fn new() -> Self {
        Stopper(watch::Sender::new(false))
    }

    /// Says it to all who hear, now or later.
    pub fn say(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was said.
    pub fn was_said(&self) -> bool {
        *self.0.borrow()
    }

    /// Somebody who hears it.
    pub fn hear(&self) -> Stop {
        Stop(self.0.subscribe())
    }
}

impl Default for Stopper {
    fn default() -> Self {
        Stopper::new()
    }
}

impl Stop {
    /// Whether it was said. That nobody is left who could say it counts as said.
    pub fn was_said(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Waits so long, but no longer than until it is said; returns whether to go on.
    pub async fn pause(&self, pause: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(pause) => true,
            () = self.said() => false,
        }
    }

    /// Ends when it is said, or nobody is left who could say it.
    pub fn said(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut receiver = self.0.clone();
        async move {
            let _ = receiver.wait_for(|said| *said).await;
        }
    }
}
