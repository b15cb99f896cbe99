//! Locks. A panic of somebody who held one leaves nothing half done here, so it is no reason for others to panic, too.

use std::sync::{LockResult, Mutex, MutexGuard};

/// Locks.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    whole(mutex.lock())
}

/// What is behind a lock, whether or not somebody panicked who held it.
pub(crate) fn whole<T>(result: LockResult<T>) -> T {
    result.unwrap_or_else(|poisoned| poisoned.into_inner())
}
