//! What SQLite's errors mean to the operator.

use crate::store::StoreError;
use rusqlite::ErrorCode;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where a database is: errors name it.
#[derive(Clone)]
pub(super) struct Place(Arc<PathBuf>);

impl Place {
    pub(super) fn new(path: PathBuf) -> Self {
        Place(Arc::new(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// What an error of the database means.
    pub(super) fn error(&self, error: rusqlite::Error) -> StoreError {
        let path = self.path().display();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StoreError::Full(format!("free some space on the disk of {path}; it goes on by itself then")),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                StoreError::Locked(format!("another program holds a lock on {path} for too long: let it finish or end it"))
            }
            Some(ErrorCode::NotADatabase) => StoreError::Corrupt(format!(
                "{path} is no SQLite database: move it away, or give the service another file with MINOS_STORE_URL"
            )),
            Some(ErrorCode::DatabaseCorrupt) => {
                StoreError::Corrupt(format!("{path} is damaged ({error}): restore a backup, or try `sqlite3 {path} .recover`"))
            }
            Some(ErrorCode::CannotOpen) => {
                StoreError::Unavailable(format!("{path} cannot be opened: is its directory there, and may it be written?"))
            }
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                StoreError::Unavailable(format!("{path} cannot be written: check its permissions"))
            }
            _ => StoreError::Unavailable(format!("{path}: {error}")),
        }
    }

    /// What an error of the file system means.
    pub(super) fn io(&self, error: &std::io::Error) -> StoreError {
        let path = self.path().display();
        match error.kind() {
            std::io::ErrorKind::NotFound => StoreError::Unavailable(format!("{path} cannot be opened: create its directory")),
            std::io::ErrorKind::StorageFull => StoreError::Full(format!("free some space on the disk of {path}")),
            _ => StoreError::Unavailable(format!("{path}: {error}")),
        }
    }
}
