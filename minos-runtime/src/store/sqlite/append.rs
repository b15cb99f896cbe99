//! Writes units: many in one transaction, each as a whole or not at all.

use super::{UuidText, errors::Place, statement, time};
use crate::store::{Committed, Handled, Mark, StoreError, StoreResult, Unit, commit::Writer};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::watch;

const BEGIN: &str = "BEGIN IMMEDIATE";
const COMMIT: &str = "COMMIT";
const HEAD: &str = "SELECT coalesce(max(version), 0) FROM events WHERE aggregate = ?1 AND uuid = ?2";
const EVENT: &str = "INSERT INTO events (aggregate, uuid, version, name, data, at, correlation, causation, user) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
const MESSAGE: &str = "INSERT INTO outbox (message, topic, key, headers, content) VALUES (?1, ?2, ?3, ?4, ?5)";
const SENT: &str = "DELETE FROM outbox WHERE id = ?1";
const MARKED: &str = "SELECT version FROM inbox WHERE subscriber = ?1 AND key = ?2";
const MARK: &str = "INSERT INTO inbox (subscriber, key, version, answer, at) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (subscriber, key) DO UPDATE SET version = excluded.version, at = excluded.at";
const CHECKPOINT: &str = "INSERT INTO checkpoints (name, position) VALUES (?1, ?2)
    ON CONFLICT (name) DO UPDATE SET position = max(position, excluded.position)";
const DEAD_LETTER: &str =
    "INSERT INTO dead_letters (at, subscriber, key, topic, headers, content, cause, attempts) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
const RESOLVED: &str = "DELETE FROM dead_letters WHERE id = ?1";

/// The one writer of a database.
pub(super) struct Appender {
    connection: Connection,
    place: Place,
    changes: watch::Sender<u64>,
    /// Whether the last transaction failed as a whole: then a ping has to prove that writing works again.
    failed: bool,
}

/// Why a unit was not written.
enum Failure {
    /// It concerns this unit alone.
    Refused(StoreError),
    /// The transaction cannot go on.
    Broken(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Failure::Broken(error)
    }
}

impl Appender {
    pub(super) fn new(connection: Connection, place: Place, changes: watch::Sender<u64>) -> StoreResult<Self> {
        Ok(Appender { connection, place, changes, failed: false })
    }

    fn transaction(&mut self, units: &[Unit]) -> rusqlite::Result<Vec<StoreResult<Committed>>> {
        self.connection.prepare_cached(BEGIN)?.execute([])?;
        let mut results = Vec::with_capacity(units.len());
        for unit in units {
            results.push(match self.unit(unit) {
                Ok(committed) => Ok(committed),
                Err(Failure::Refused(error)) => Err(error),
                Err(Failure::Broken(error)) => return Err(error),
            });
        }
        self.connection.prepare_cached(COMMIT)?.execute([])?;
        Ok(results)
    }

    /// Writes one unit. All that can be refused is looked at before anything is written; only statements of the user can fail later, and
    /// have a savepoint for it.
    fn unit(&mut self, unit: &Unit) -> Result<Committed, Failure> {
        if let Some(mark) = &unit.mark {
            self.check_mark(mark)?;
        }
        for append in &unit.appends {
            let uuid = UuidText::new(append.stream.uuid);
            let actual: i64 =
                self.connection.prepare_cached(HEAD)?.query_row((&*append.stream.aggregate, uuid.as_str()), |row| row.get(0))?;
            if actual as u64 != append.expected {
                return Err(Failure::Refused(StoreError::Conflict {
                    stream: append.stream.clone(),
                    expected: append.expected,
                    actual: actual as u64,
                }));
            }
        }
        if !unit.statements.is_empty() {
            self.statements(unit)?;
        }
        self.rows(unit)
    }

    fn check_mark(&self, mark: &Mark) -> Result<(), Failure> {
        let known: Option<i64> =
            self.connection.prepare_cached(MARKED)?.query_row((&*mark.subscriber, mark.handled.key()), |row| row.get(0)).optional()?;
        let duplicate = match (&mark.handled, known) {
            (_, None) => false,
            (Handled::Version { version, .. }, Some(known)) => known as u64 >= *version,
            (Handled::Message { .. }, Some(_)) => true,
        };
        if duplicate {
            return Err(Failure::Refused(StoreError::Duplicate {
                subscriber: mark.subscriber.to_string(),
                key: mark.handled.key().to_owned(),
            }));
        }
        Ok(())
    }

    fn statements(&mut self, unit: &Unit) -> Result<(), Failure> {
        self.connection.execute_batch("SAVEPOINT unit")?;
        for user in &unit.statements {
            if let Err(error) = statement::execute(&mut self.connection, user) {
                self.connection.execute_batch("ROLLBACK TO unit; RELEASE unit")?;
                return Err(Failure::Refused(error));
            }
        }
        Ok(self.connection.execute_batch("RELEASE unit")?)
    }

    fn rows(&self, unit: &Unit) -> Result<Committed, Failure> {
        let connection = &self.connection;
        let (at, user) = (time(unit.at), unit.cause.user.as_deref());
        let (correlation, causation) = (UuidText::new(unit.cause.correlation), UuidText::new(unit.cause.causation));
        let mut committed = Committed::default();
        for append in &unit.appends {
            let mut insert = connection.prepare_cached(EVENT)?;
            let uuid = UuidText::new(append.stream.uuid);
            for (event, version) in append.events.iter().zip(append.expected as i64 + 1..) {
                insert.execute((
                    &*append.stream.aggregate,
                    uuid.as_str(),
                    version,
                    &*event.name,
                    &event.data,
                    &at,
                    correlation.as_str(),
                    causation.as_str(),
                    user,
                ))?;
                committed.position = connection.last_insert_rowid() as u64;
            }
        }
        for message in &unit.messages {
            let id = UuidText::new(message.id);
            connection.prepare_cached(MESSAGE)?.execute((id.as_str(), &message.topic, &message.key, &message.headers, &message.content))?;
        }
        if let Some(Mark { subscriber, handled }) = &unit.mark {
            let (version, answer) = match handled {
                Handled::Version { version, .. } => (*version as i64, None),
                Handled::Message { answer, .. } => (0, Some(answer)),
            };
            connection.prepare_cached(MARK)?.execute((&**subscriber, handled.key(), version, answer, &at))?;
        }
        for letter in &unit.dead_letters {
            let row =
                (&at, &letter.subscriber, &letter.key, &letter.topic, &letter.headers, &letter.content, &letter.cause, letter.attempts);
            connection.prepare_cached(DEAD_LETTER)?.execute(row)?;
        }
        for id in &unit.resolved {
            connection.prepare_cached(RESOLVED)?.execute([*id as i64])?;
        }
        for (name, position) in &unit.checkpoints {
            connection.prepare_cached(CHECKPOINT)?.execute((name, *position as i64))?;
        }
        for id in &unit.sent {
            connection.prepare_cached(SENT)?.execute([*id as i64])?;
        }
        Ok(committed)
    }

    /// Ends a transaction that failed, if SQLite has not done so itself.
    fn roll_back(&mut self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a failed transaction could not be rolled back");
        }
    }

    /// A transaction that writes: when the last one failed, only that proves that the next one can succeed.
    fn prove(&mut self) -> rusqlite::Result<()> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        if self.failed {
            self.connection.prepare_cached(CHECKPOINT)?.execute(("ping", 0))?;
            self.connection.execute("UPDATE checkpoints SET position = position + 1 WHERE name = 'ping'", [])?;
            self.connection.execute_batch("COMMIT")
        } else {
            self.connection.execute_batch("ROLLBACK")
        }
    }
}

impl Writer for Appender {
    async fn commit(&mut self, units: &[Unit]) -> StoreResult<Vec<StoreResult<Committed>>> {
        match self.transaction(units) {
            Ok(results) => {
                self.failed = false;
                if units.iter().any(|unit| !unit.appends.is_empty() || !unit.messages.is_empty()) {
                    self.changes.send_modify(|count| *count += 1);
                }
                Ok(results)
            }
            Err(error) => {
                self.failed = true;
                self.roll_back();
                Err(self.place.error(error))
            }
        }
    }

    async fn ping(&mut self) -> StoreResult<()> {
        match self.prove() {
            Ok(()) => {
                self.failed = false;
                Ok(())
            }
            Err(error) => {
                self.roll_back();
                Err(self.place.error(error))
            }
        }
    }

    async fn forget_answers(&mut self, before: Timestamp) -> StoreResult<u64> {
        let removed = self.connection.execute("DELETE FROM inbox WHERE answer IS NOT NULL AND at < ?1", [time(before)]);
        removed.map(|count| count as u64).map_err(|error| self.place.error(error))
    }
}
