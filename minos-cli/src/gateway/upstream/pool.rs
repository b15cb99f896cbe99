//! Connections to an instance that nobody uses now.

use super::connection::Connection;
use std::{
    fmt,
    sync::{Mutex, MutexGuard},
    time::Duration,
};
use tokio::time::Instant;

/// A connection goes from here to a request and to the body of its answer, and is too large to be moved each time.
#[allow(clippy::vec_box, reason = "it would be boxed again")]
type Free = Vec<Box<Connection>>;

/// Free connections, the one that was used last on top: so those that are not needed grow old.
pub(super) struct Pool {
    free: Mutex<Free>,
    most: usize,
}

impl Pool {
    pub(super) fn new(most: usize) -> Self {
        Pool { free: Mutex::default(), most }
    }

    fn lock(&self) -> MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// One that is open, as far as can be known, and was used within this time.
    pub(super) fn take(&self, keep: Duration) -> Option<Box<Connection>> {
        loop {
            let mut connection = self.lock().pop()?;
            if connection.idle_since.elapsed() < keep && connection.is_open() {
                return Some(connection);
            }
        }
    }

    /// Keeps one, if it can be used again and there are not too many.
    pub(super) fn give(&self, mut connection: Box<Connection>) {
        if !connection.is_free() {
            return;
        }
        connection.was_used = true;
        connection.idle_since = Instant::now();
        let mut free = self.lock();
        if free.len() < self.most {
            free.push(connection);
        }
    }

    pub(super) fn clear(&self) {
        let all = std::mem::take(&mut *self.lock());
        // Closed behind the lock.
        drop(all);
    }

    /// Closes those that were not used for too long.
    pub(super) fn tidy(&self, keep: Duration) {
        let mut free = self.lock();
        let young = free.iter().position(|one| one.idle_since.elapsed() < keep).unwrap_or(free.len());
        let old: Vec<_> = free.drain(..young).collect();
        drop(free);
        drop(old);
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} free", self.len())
    }
}
