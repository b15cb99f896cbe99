//! `sagas.lock` beside the code of a user.

use minos::saga::{LockError, check_lock};

/// This very program has two sagas of one name, twice, so its lock is made of none of them; another one's text stands here.
#[test]
fn two_sagas_of_one_name_cannot_be_locked() {
    let error = check_lock("sagas.lock").unwrap_err();
    assert!(matches!(error, LockError::DoubleName("MoveMoney" | "Stay")), "{error}");
}
