//! What PostgreSQL's errors mean to the operator.

use crate::store::StoreError;
use std::{error::Error as _, sync::Arc};
use tokio_postgres::{Error, error::SqlState};

/// Where a database is: errors name it.
#[derive(Clone)]
pub(super) struct Place(Arc<str>);

impl Place {
    pub(super) fn new(place: &str) -> Self {
        Place(place.into())
    }

    pub(super) fn name(&self) -> &str {
        &self.0
    }

    /// What an error of the database or of the way to it means.
    pub(super) fn error(&self, error: &Error) -> StoreError {
        let place = self.name();
        let Some(database) = error.as_db_error() else {
            let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            if is_of_the_client(error) {
                return StoreError::Unstorable(format!("PostgreSQL cannot be given this: {error}: {reason}"));
            }
            if is_of_certificate(error) {
                return StoreError::Unavailable(format!("{place} cannot be verified ({reason}): check `sslrootcert=` and the host's name"));
            }
            return StoreError::Unavailable(format!("{place}: {reason}: is the server there, and is MINOS_STORE_URL right?"));
        };
        let said = database.message();
        match database.code() {
            &SqlState::DISK_FULL => StoreError::Full(format!("{place}: free some space on the server's disk; it goes on by itself then")),
            &SqlState::TOO_MANY_CONNECTIONS => StoreError::Unavailable(format!(
                "{place} has too many clients ({said}): raise its `max_connections`, or give each replica fewer with `connections=` in MINOS_STORE_URL"
            )),
            &SqlState::OUT_OF_MEMORY => {
                StoreError::Unavailable(format!("{place} is out of memory ({said}): raise its `max_locks_per_transaction`"))
            }
            &SqlState::READ_ONLY_SQL_TRANSACTION => {
                StoreError::Unavailable(format!("{place} can only be read: it may be a standby; let MINOS_STORE_URL name the primary"))
            }
            &SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                StoreError::Unavailable(format!("{place} refuses this user or password ({said}): check MINOS_STORE_URL"))
            }
            &SqlState::INVALID_CATALOG_NAME => {
                StoreError::Unavailable(format!("{place} cannot be used ({said}): create it with `createdb`, or check MINOS_STORE_URL"))
            }
            &SqlState::INSUFFICIENT_PRIVILEGE => StoreError::Unavailable(format!(
                "{place}: {said}: give the user the right to it, or an existing schema of its own with `schema=` in MINOS_STORE_URL"
            )),
            &SqlState::LOCK_NOT_AVAILABLE => {
                StoreError::Locked(format!("{place}: another transaction holds a lock for too long: see `pg_locks`"))
            }
            &SqlState::DATA_CORRUPTED | &SqlState::INDEX_CORRUPTED => {
                StoreError::Corrupt(format!("{place} is damaged ({said}): restore a backup"))
            }
            &SqlState::CHARACTER_NOT_IN_REPERTOIRE | &SqlState::UNTRANSLATABLE_CHARACTER => {
                StoreError::Unstorable(format!("PostgreSQL cannot store this text, which may have a NUL character in it: {said}"))
            }
            &SqlState::INVALID_TEXT_REPRESENTATION => StoreError::Unstorable(format!("PostgreSQL cannot store this as JSON: {said}")),
            // Bad values, and limits of the program.
            code if ["22", "54"].iter().any(|class| code.code().starts_with(class)) => {
                StoreError::Unstorable(format!("PostgreSQL cannot store this: {said} ({})", code.code()))
            }
            code => StoreError::Unavailable(format!("{place}: {said} ({})", code.code())),
        }
    }
}

/// Whether the connection is gone, so that nobody can say what became of what was under way.
pub(super) fn is_loss(error: &Error) -> bool {
    match error.code() {
        None => !is_of_the_client(error),
        Some(code) => {
            [&SqlState::ADMIN_SHUTDOWN, &SqlState::CRASH_SHUTDOWN, &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT].contains(&code)
        }
    }
}

/// Whether it was found on this side, on a connection that goes on: a value that cannot be written for the server or is too large, a wrong number of
/// parameters, a column that cannot be read. The kind is only told as text.
pub(super) fn is_of_the_client(error: &Error) -> bool {
    let text = error.to_string();
    let kinds = ["error serializing parameter", "error encoding message", "expected ", "error deserializing column", "invalid column"];
    error.code().is_none() && kinds.iter().any(|kind| text.starts_with(kind))
}

fn is_of_certificate(error: &Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>()).and_then(std::io::Error::get_ref);
    cause.and_then(|cause| cause.downcast_ref::<rustls::Error>()).is_some_and(|cause| matches!(cause, rustls::Error::InvalidCertificate(_)))
}

/// Whether it may go well in a while, with nobody doing anything.
pub(super) fn may_pass(error: &Error) -> bool {
    match error.code() {
        // A wrong certificate does not become right.
        None => !is_of_certificate(error),
        Some(code) => {
            [&SqlState::TOO_MANY_CONNECTIONS, &SqlState::CANNOT_CONNECT_NOW, &SqlState::ADMIN_SHUTDOWN, &SqlState::CRASH_SHUTDOWN]
                .contains(&code)
        }
    }
}

/// Whether the same would go well, or be refused for what it is, if it were done again at once.
pub(super) fn is_collision(error: &Error) -> bool {
    error.code().is_some_and(|code| [&SqlState::T_R_DEADLOCK_DETECTED, &SqlState::T_R_SERIALIZATION_FAILURE].contains(&code))
        || is_version_conflict(error)
}

/// Whether a version of a stream is there already that was to be written: somebody wrote it who does not lock streams, behind the look for it.
pub(super) fn is_version_conflict(error: &Error) -> bool {
    error.as_db_error().is_some_and(|error| {
        // While it is rebuilt, the index has a longer name.
        is_unique_violation(error.code())
            && error.table() == Some("events")
            && error.constraint().is_some_and(|index| index.starts_with("events_uuid_aggregate_version_key"))
    })
}

pub(super) fn is_unique_violation(code: &SqlState) -> bool {
    *code == SqlState::UNIQUE_VIOLATION
}

/// Whether it comes of writing at once with somebody else, in whatever way that shows where nothing is locked before.
pub(super) fn is_contention(error: &Error) -> bool {
    is_collision(error) || error.code().is_some_and(|code| is_unique_violation(code) || *code == SqlState::LOCK_NOT_AVAILABLE)
}

/// Whether it concerns all, and not only what was asked: no space, no memory, a lock that is not given, a server that ends or is damaged.
pub(super) fn is_of_all(error: &Error) -> bool {
    let all = [
        &SqlState::LOCK_NOT_AVAILABLE,
        &SqlState::READ_ONLY_SQL_TRANSACTION,
        &SqlState::INSUFFICIENT_PRIVILEGE,
        &SqlState::UNDEFINED_FUNCTION,
    ];
    error.code().is_some_and(|code| all.contains(&code) || ["53", "57", "58", "XX"].iter().any(|class| code.code().starts_with(class)))
}

/// The same for a statement of the user's, which may bring its own rights, time limits and bugs along.
pub(super) fn is_of_all_beside_a_statement(error: &Error) -> bool {
    let own = |code: &SqlState| {
        *code == SqlState::QUERY_CANCELED
            || *code == SqlState::INSUFFICIENT_PRIVILEGE
            || *code == SqlState::UNDEFINED_FUNCTION
            || code.code().starts_with("XX")
    };
    is_of_all(error) && !error.code().is_some_and(own)
}
