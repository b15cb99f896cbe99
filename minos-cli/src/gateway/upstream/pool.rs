//! Connections to an instance that nobody uses now.

use super::connection::Connection;
use crate::gateway::workers;
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
    /// What each worker has, and before them the one of all other threads: who opened a connection is told what happens on it.
    free: Box<[Mutex<Free>]>,
    /// How many each of them keeps.
    most: usize,
}

impl Pool {
    /// Keeps so many, for so many workers.
    pub(super) fn new(most: usize, workers: usize) -> Self {
        Pool { free: (0..=workers).map(|_| Mutex::default()).collect(), most: most.div_ceil(workers.max(1)) }
    }

    fn own(&self) -> MutexGuard<'_, Free> {
        lock(&self.free[workers::place() % self.free.len()])
    }

    /// One that is open, as far as can be known, and was used within this time.
    pub(super) fn take(&self, keep: Duration) -> Option<Box<Connection>> {
        loop {
            let mut connection = self.own().pop()?;
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
        let mut free = self.own();
        if free.len() < self.most {
            free.push(connection);
        }
    }

    pub(super) fn clear(&self) {
        for free in &self.free {
            let all = std::mem::take(&mut *lock(free));
            // Closed behind the lock.
            drop(all);
        }
    }

    /// Closes those that were not used for too long.
    pub(super) fn tidy(&self, keep: Duration) {
        for free in &self.free {
            let mut free = lock(free);
            let young = free.iter().position(|one| one.idle_since.elapsed() < keep).unwrap_or(free.len());
            let old: Vec<_> = free.drain(..young).collect();
            drop(free);
            drop(old);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.free.iter().map(|free| lock(free).len()).sum()
    }
}

fn lock(free: &Mutex<Free>) -> MutexGuard<'_, Free> {
    free.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} free", self.len())
    }
}
