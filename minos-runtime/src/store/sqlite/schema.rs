//! The tables, and how they came to be.

use super::errors::Place;
use crate::store::StoreError;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

/// The migrations, in order. What is released is never changed; new ones go to the end.
const MIGRATIONS: &[(&str, &str)] = &[
    (
        "events, outbox, inbox, checkpoints and dead letters",
        "
    CREATE TABLE events (
        position    INTEGER PRIMARY KEY,
        aggregate   TEXT NOT NULL,
        uuid        TEXT NOT NULL,
        version     INTEGER NOT NULL,
        name        TEXT NOT NULL,
        data        TEXT NOT NULL,
        at          TEXT NOT NULL,
        correlation TEXT NOT NULL,
        causation   TEXT NOT NULL,
        user        TEXT,
        UNIQUE (aggregate, uuid, version)
    ) STRICT;
    -- AUTOINCREMENT: a number is never given twice, though rows are removed.
    CREATE TABLE outbox (
        id      INTEGER PRIMARY KEY AUTOINCREMENT,
        message TEXT NOT NULL,
        topic   TEXT NOT NULL,
        key     TEXT,
        headers TEXT NOT NULL,
        content TEXT NOT NULL
    ) STRICT;
    CREATE TABLE inbox (
        subscriber TEXT NOT NULL,
        key        TEXT NOT NULL,
        version    INTEGER NOT NULL,
        answer     TEXT,
        at         TEXT NOT NULL,
        PRIMARY KEY (subscriber, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX inbox_answers ON inbox (at) WHERE answer IS NOT NULL AND version = 0;
    CREATE TABLE checkpoints (
        name     TEXT NOT NULL PRIMARY KEY,
        position INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE dead_letters (
        id         INTEGER PRIMARY KEY AUTOINCREMENT,
        at         TEXT NOT NULL,
        subscriber TEXT NOT NULL,
        key        TEXT NOT NULL,
        topic      TEXT NOT NULL,
        headers    TEXT NOT NULL,
        content    BLOB NOT NULL,
        cause      TEXT NOT NULL,
        attempts   INTEGER NOT NULL
    ) STRICT;
    ",
    ),
    (
        "leases, and dead letters by key",
        "
    CREATE INDEX dead_letters_of_key ON dead_letters (subscriber, key);
    CREATE TABLE leases (
        name  TEXT NOT NULL PRIMARY KEY,
        owner TEXT,
        epoch INTEGER NOT NULL,
        until TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    ",
    ),
    ("the service to which all this belongs", "CREATE TABLE minos_service (name TEXT NOT NULL) STRICT"),
    (
        "executions of sagas",
        "
    CREATE TABLE sagas (
        id          TEXT NOT NULL PRIMARY KEY,
        saga        TEXT NOT NULL,
        key         TEXT,
        definition  TEXT NOT NULL,
        status      TEXT NOT NULL,
        ended       INTEGER NOT NULL,
        wake        TEXT,
        version     INTEGER NOT NULL,
        state       TEXT NOT NULL,
        correlation TEXT NOT NULL,
        causation   TEXT NOT NULL,
        user        TEXT,
        started_at  TEXT NOT NULL,
        changed_at  TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX sagas_of_key ON sagas (saga, key) WHERE key IS NOT NULL;
    CREATE INDEX sagas_to_wake ON sagas (wake) WHERE wake IS NOT NULL;
    CREATE INDEX sagas_live ON sagas (saga, definition) WHERE NOT ended;
    CREATE INDEX sagas_by_name ON sagas (saga, id);
    CREATE INDEX sagas_by_status ON sagas (status, id);
    CREATE INDEX sagas_ended ON sagas (changed_at) WHERE ended;
    ",
    ),
    // What caused an execution may be a place in a trace. Rows that were there before have none.
    (
        "executions in their traces, and by age",
        "
    ALTER TABLE sagas ADD COLUMN trace TEXT;
    CREATE INDEX sagas_by_age ON sagas (started_at) WHERE NOT ended;
    ",
    ),
    // Of these `at` says when somebody has to ask.
    (
        "steps that wait for how their saga ends",
        "CREATE INDEX inbox_open ON inbox (at, subscriber, key) WHERE version = 9223372036854775806",
    ),
    (
        "documents, unique values, snapshots and keys of subjects",
        "
    CREATE TABLE documents (
        collection TEXT NOT NULL,
        key        TEXT NOT NULL,
        version    INTEGER NOT NULL,
        body       TEXT NOT NULL,
        PRIMARY KEY (collection, key)
    ) STRICT;
    CREATE TABLE unique_values (
        aggregate TEXT NOT NULL,
        field     TEXT NOT NULL,
        value     TEXT NOT NULL,
        uuid      TEXT NOT NULL,
        PRIMARY KEY (aggregate, field, value)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE snapshots (
        uuid      TEXT NOT NULL,
        aggregate TEXT NOT NULL,
        version   INTEGER NOT NULL,
        schema    TEXT NOT NULL,
        state     TEXT NOT NULL,
        PRIMARY KEY (uuid, aggregate)
    ) STRICT;
    -- In the order in which they come, and never removed: so no row is moved, and no copy of a key stays behind where it was.
    CREATE TABLE subject_keys (
        id           INTEGER PRIMARY KEY,
        subject      TEXT NOT NULL UNIQUE,
        key          BLOB,
        forgotten_at TEXT
    ) STRICT;
    -- A collection is large, and not the ten rows that are assumed of what is not known: so documents are found by the indexes of their fields.
    ANALYZE documents;
    INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('documents', 'sqlite_autoindex_documents_1', '1000000 100000 1');
    ANALYZE sqlite_schema;
    ",
    ),
];

/// The tables that are Minos' own: statements of the user may read them, and not change them.
pub(super) const TABLES: &[&str] = &[
    "events",
    "outbox",
    "inbox",
    "checkpoints",
    "dead_letters",
    "leases",
    "sagas",
    "documents",
    "unique_values",
    "snapshots",
    "subject_keys",
    "minos_schema",
    "minos_service",
];

/// Why the schema could not be brought up to date.
pub(super) enum SchemaError {
    Sqlite(rusqlite::Error),
    Foreign,
    Newer(usize),
    /// It belongs to the service of this name.
    Taken(String),
    Failed(&'static str, rusqlite::Error),
}

impl From<rusqlite::Error> for SchemaError {
    fn from(error: rusqlite::Error) -> Self {
        SchemaError::Sqlite(error)
    }
}

impl SchemaError {
    pub(super) fn at(self, place: &Place) -> StoreError {
        let path = place.path().display();
        match self {
            SchemaError::Sqlite(error) => place.error(error),
            SchemaError::Foreign => StoreError::Corrupt(format!(
                "{path} is a database of something else, and was left as it is: give the service another file with MINOS_STORE_URL"
            )),
            SchemaError::Newer(version) => StoreError::Migration(format!(
                "{path} was written by a newer version of Minos (schema {version}, this one knows {}): use that version, or restore a backup",
                MIGRATIONS.len()
            )),
            SchemaError::Taken(owner) => StoreError::Taken(format!(
                "{path} belongs to the service `{owner}`: give this one another file with MINOS_STORE_URL, or, if it was renamed, change `minos_service`"
            )),
            SchemaError::Failed(what, error) => StoreError::Migration(format!("{path}: {what}: {error}")),
        }
    }
}

/// Brings the schema up to date and claims it for the service, in one transaction: all of it, or an error and nothing.
pub(super) fn prepare(connection: &mut Connection, service: &str) -> Result<(), SchemaError> {
    // Before anything is changed, so that a file of something else stays as it is.
    known(connection)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // Every commit reaches the disk before it is acknowledged.
    connection.pragma_update(None, "synchronous", "full")?;
    // What is moved to another page leaves no copy behind: keys of subjects are to be gone when they are forgotten.
    connection.pragma_update(None, "secure_delete", "fast")?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have migrated it while this one waited for the lock.
    let version = known(&transaction)?;
    if version == 0 {
        transaction
            .execute_batch("CREATE TABLE minos_schema (version INTEGER PRIMARY KEY, what TEXT NOT NULL, at TEXT NOT NULL) STRICT")?;
    }
    for (n, (what, sql)) in MIGRATIONS.iter().enumerate().skip(version) {
        transaction.execute_batch(sql).map_err(|error| SchemaError::Failed(what, error))?;
        let row = (n as i64 + 1, what, super::time(jiff::Timestamp::now()));
        transaction.execute("INSERT INTO minos_schema (version, what, at) VALUES (?1, ?2, ?3)", row)?;
    }
    transaction.execute("INSERT INTO minos_service (name) SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM minos_service)", [service])?;
    let owner: String = transaction.query_row("SELECT name FROM minos_service", [], |row| row.get(0))?;
    if owner != service {
        return Err(SchemaError::Taken(owner));
    }
    Ok(transaction.commit()?)
}

/// How many migrations there are.
pub(super) fn latest() -> usize {
    MIGRATIONS.len()
}

/// The version of the schema, and the service to which it belongs.
pub(super) fn inspect(connection: &Connection) -> Result<(usize, Option<String>), SchemaError> {
    let version = known(connection)?;
    let is_claimed: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'minos_service'", [], |row| row.get(0))?;
    let owner = match is_claimed {
        0 => None,
        _ => connection.query_row("SELECT name FROM minos_service", [], |row| row.get(0)).optional()?,
    };
    Ok((version, owner))
}

/// The version of the schema; 0 for an empty database.
fn known(connection: &Connection) -> Result<usize, SchemaError> {
    let ours: Option<i64> =
        connection.query_row("SELECT 1 FROM sqlite_schema WHERE name = 'minos_schema'", [], |row| row.get(0)).optional()?;
    if ours.is_none() {
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        return if tables == 0 { Ok(0) } else { Err(SchemaError::Foreign) };
    }
    let version: i64 = connection.query_row("SELECT coalesce(max(version), 0) FROM minos_schema", [], |row| row.get(0))?;
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    if version > MIGRATIONS.len() { Err(SchemaError::Newer(version)) } else { Ok(version) }
}
