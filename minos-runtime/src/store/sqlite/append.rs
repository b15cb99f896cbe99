//! Writes units: many in one transaction, each as a whole or not at all.

use super::{UuidText, errors::Place, rows, saga, statement, time};
use crate::auth::Identity;
use crate::store::{
    Append, CLIENT_KEY, Committed, Lease, Mark, StoreError, StoreResult, Unit,
    commit::{Chore, Writer},
};
use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension};
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

const BEGIN: &str = "BEGIN IMMEDIATE";
const COMMIT: &str = "COMMIT";
const HEAD: &str = "SELECT coalesce(max(version), 0) FROM events WHERE aggregate = ?1 AND uuid = ?2";
const EVENT: &str = "INSERT INTO events (aggregate, uuid, version, name, data, at, correlation, causation, user) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
const MESSAGE: &str = "INSERT INTO outbox (message, topic, key, headers, content) VALUES (?1, ?2, ?3, ?4, ?5)";
const SENT: &str = "DELETE FROM outbox WHERE id = ?1";
const MARKED: &str = "SELECT version FROM inbox WHERE subscriber = ?1 AND key = ?2";
const MARK: &str = "INSERT INTO inbox (subscriber, key, version, answer, at) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (subscriber, key) DO UPDATE SET version = excluded.version, answer = excluded.answer, at = excluded.at";
const FORGET_CLIENTS: &str = "DELETE FROM inbox WHERE answer IS NOT NULL AND version = 0 AND at < ?1 AND substr(key, 1, length(?2)) = ?2";
/// The row stays: it says that the message was handled.
/// Those of steps have a version, and keep their answer.
const FORGET_MESSAGES: &str = "UPDATE inbox SET answer = NULL WHERE answer IS NOT NULL AND version = 0 AND at < ?1";
const CHECKPOINT: &str = "INSERT INTO checkpoints (name, position) VALUES (?1, ?2)
    ON CONFLICT (name) DO UPDATE SET position = max(position, excluded.position)";
const DEAD_LETTER: &str =
    "INSERT INTO dead_letters (at, subscriber, key, topic, headers, content, cause, attempts) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
const PARKED: &str = "SELECT EXISTS (SELECT 1 FROM dead_letters WHERE subscriber = ?1 AND key = ?2)";
const THERE: &str = "SELECT EXISTS (SELECT 1 FROM dead_letters WHERE id = ?1)";
const RESOLVED: &str = "DELETE FROM dead_letters WHERE id = ?1";
const HELD: &str = "SELECT EXISTS (SELECT 1 FROM leases WHERE name = ?1 AND epoch = ?2 AND owner IS NOT NULL)";
/// Times are made and compared by the database. Nothing is returned while somebody else holds the lease.
const ACQUIRE: &str = "INSERT INTO leases (name, owner, epoch, until) VALUES (?1, ?2, 1, strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?3))
    ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until, epoch = epoch + (owner IS NOT excluded.owner)
    WHERE owner IS NULL OR owner = excluded.owner OR until <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    RETURNING epoch";
const RELEASE: &str = "UPDATE leases SET owner = NULL WHERE name = ?1 AND epoch = ?2";

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
    /// It concerns this unit alone, and has ended the transaction of all.
    Ended(StoreError),
    /// The transaction cannot go on.
    Broken(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::TooBig) => Failure::Ended(StoreError::Unstorable(format!("SQLite cannot store this: {error}"))),
            _ => Failure::Broken(error),
        }
    }
}

/// Whether a unit's first row tells by itself that its one stream is new.
fn is_one_new_stream(unit: &Unit) -> bool {
    let others = unit.documents.is_empty()
        && unit.unique.is_empty()
        && unit.new_keys.is_empty()
        && unit.sealed_for.is_empty()
        && unit.forgotten.is_empty();
    others && unit.statements.is_empty() && matches!(&unit.appends[..], [append] if append.expected == 0)
}

impl Appender {
    pub(super) fn new(connection: Connection, place: Place, changes: watch::Sender<u64>) -> StoreResult<Self> {
        Ok(Appender { connection, place, changes, failed: false })
    }

    fn transaction(&mut self, units: &[Unit]) -> Result<Vec<StoreResult<Committed>>, Failure> {
        self.connection.prepare_cached(BEGIN)?.execute([])?;
        let mut results = Vec::with_capacity(units.len());
        for unit in units {
            results.push(match self.unit(unit) {
                Ok(committed) => Ok(committed),
                Err(Failure::Refused(error)) => Err(error),
                Err(failure) => return Err(failure),
            });
        }
        self.connection.prepare_cached(COMMIT)?.execute([])?;
        if units.iter().any(|unit| !unit.forgotten.is_empty())
            && let Err(error) = rows::end_log(&self.connection)
        {
            // It is committed all the same.
            tracing::warn!(%error, "a key was forgotten, and its bytes may stand in the write-ahead log until its next end");
        }
        Ok(results)
    }

    /// Writes one unit. All that can be refused is looked at before anything is written; only statements of the user can fail later, and
    /// have a savepoint for it.
    fn unit(&mut self, unit: &Unit) -> Result<Committed, Failure> {
        if let Some(lease) = &unit.fence
            && !self.is(HELD, (&lease.name, lease.epoch as i64))?
        {
            return Err(Failure::Refused(StoreError::Fenced(lease.name.clone())));
        }
        if let Some(mark) = &unit.mark {
            self.check_mark(mark)?;
        }
        for letter in unit.dead_letters.iter().filter(|letter| letter.attempts == 0) {
            if !self.is(PARKED, (&letter.subscriber, &letter.key))? {
                return Err(Failure::Refused(StoreError::NotParked { subscriber: letter.subscriber.clone(), key: letter.key.clone() }));
            }
        }
        for id in &unit.resolved {
            if !self.is(THERE, [*id as i64])? {
                return Err(Failure::Refused(StoreError::Resolved(*id)));
            }
        }
        for write in &unit.sagas {
            if let Some(refused) = saga::check(&self.connection, write)? {
                return Err(Failure::Refused(refused));
            }
        }
        // A stream that is to be new is looked for by its first row, which is the first of all, too: the index says whether it is there.
        if !is_one_new_stream(unit) {
            unit.appends.iter().try_for_each(|append| self.check_version(append))?;
        }
        if let Some(refused) = rows::check(&self.connection, unit)? {
            return Err(Failure::Refused(refused));
        }
        if !unit.statements.is_empty() {
            self.statements(unit)?;
        }
        self.rows(unit)
    }

    fn check_version(&self, append: &Append) -> Result<(), Failure> {
        let uuid = UuidText::new(append.stream.uuid);
        let actual: i64 = self.connection.prepare_cached(HEAD)?.query_row((&*append.stream.aggregate, uuid.as_str()), |row| row.get(0))?;
        if actual as u64 != append.expected {
            let (stream, expected) = (append.stream.clone(), append.expected);
            return Err(Failure::Refused(StoreError::Conflict { stream, expected, actual: actual as u64 }));
        }
        Ok(())
    }

    /// What a query with one truth value says.
    fn is(&self, query: &str, parameters: impl rusqlite::Params) -> rusqlite::Result<bool> {
        self.connection.prepare_cached(query)?.query_row(parameters, |row| row.get(0))
    }

    fn check_mark(&self, mark: &Mark) -> Result<(), Failure> {
        let known: Option<i64> =
            self.connection.prepare_cached(MARKED)?.query_row((&*mark.subscriber, mark.handled.key()), |row| row.get(0)).optional()?;
        if known.is_some_and(|known| mark.handled.above().is_none_or(|version| known as u64 >= version)) {
            return Err(Failure::Refused(StoreError::Duplicate {
                subscriber: mark.subscriber.to_string(),
                key: mark.handled.key().to_owned(),
            }));
        }
        if let Some(lane) = &mark.lane
            && self.is(PARKED, (&*mark.subscriber, lane))?
        {
            return Err(Failure::Refused(StoreError::Parked { subscriber: mark.subscriber.to_string(), key: lane.clone() }));
        }
        Ok(())
    }

    fn statements(&mut self, unit: &Unit) -> Result<(), Failure> {
        self.connection.execute_batch("SAVEPOINT unit")?;
        for user in &unit.statements {
            if let Err(error) = statement::execute(&mut self.connection, user) {
                // Some statements can end the transaction, such as `INSERT OR ROLLBACK`.
                if self.connection.is_autocommit() {
                    return Err(Failure::Ended(error));
                }
                self.connection.execute_batch("ROLLBACK TO unit; RELEASE unit")?;
                return Err(Failure::Refused(error));
            }
        }
        Ok(self.connection.execute_batch("RELEASE unit")?)
    }

    fn rows(&self, unit: &Unit) -> Result<Committed, Failure> {
        let connection = &self.connection;
        let (at, user) = (time(unit.at), unit.cause.user.as_ref().map(Identity::text));
        let (correlation, causation) = (UuidText::new(unit.cause.correlation), UuidText::new(unit.cause.causation));
        let mut committed = Committed::default();
        for append in &unit.appends {
            let mut insert = connection.prepare_cached(EVENT)?;
            let uuid = UuidText::new(append.stream.uuid);
            for (event, version) in append.events.iter().zip(append.expected as i64 + 1..) {
                let inserted = insert.execute((
                    &*append.stream.aggregate,
                    uuid.as_str(),
                    version,
                    &*event.name,
                    &event.data,
                    &at,
                    correlation.as_str(),
                    causation.as_str(),
                    user,
                ));
                if let Err(error) = inserted {
                    if version == 1 && is_one_new_stream(unit) && error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) {
                        self.check_version(append)?;
                    }
                    return Err(error.into());
                }
                committed.position = connection.last_insert_rowid() as u64;
            }
        }
        for message in &unit.messages {
            let id = UuidText::new(message.id);
            connection.prepare_cached(MESSAGE)?.execute((id.as_str(), &message.topic, &message.key, &message.headers, &message.content))?;
        }
        if let Some(Mark { subscriber, handled, .. }) = &unit.mark {
            let (version, answer) = handled.becomes();
            let at = time(handled.time(unit.at));
            connection.prepare_cached(MARK)?.execute((&**subscriber, handled.key(), version as i64, answer, at))?;
        }
        for write in &unit.sagas {
            saga::write(connection, write)?;
        }
        rows::write(connection, unit)?;
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
            Err(Failure::Refused(error) | Failure::Ended(error)) => {
                self.roll_back();
                if units.len() == 1 {
                    return Ok(vec![Err(error)]);
                }
                // Only the one that did it is refused.
                let mut results = Vec::with_capacity(units.len());
                for unit in units.chunks(1) {
                    results.extend(Box::pin(self.commit(unit)).await.unwrap_or_else(|error| vec![Err(error)]));
                }
                Ok(results)
            }
            Err(Failure::Broken(error)) => {
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
        let before = time(before);
        let of_clients = self.connection.execute(FORGET_CLIENTS, (&before, CLIENT_KEY));
        let of_messages = of_clients.and_then(|count| Ok(count + self.connection.execute(FORGET_MESSAGES, [&before])?));
        of_messages.map(|count| count as u64).map_err(|error| self.place.error(error))
    }

    async fn chore(&mut self, chore: Chore) -> StoreResult<bool> {
        let connection = &mut self.connection;
        let done = match chore {
            Chore::ForgetSnapshot(stream) => rows::forget_snapshot(connection, &stream).map(|()| true),
            Chore::Index(collection, field) => rows::index(connection, &collection, &field).map(|()| true),
        };
        done.map_err(|error| self.place.error(error))
    }

    async fn wake_saga(&mut self, id: Uuid, version: u64, at: Timestamp) -> StoreResult<()> {
        saga::wake(&self.connection, id, version, at).map_err(|error| self.place.error(error))
    }

    async fn forget_sagas(&mut self, before: Timestamp) -> StoreResult<u64> {
        saga::forget(&self.connection, before).map_err(|error| self.place.error(error))
    }

    async fn acquire(&mut self, name: &str, owner: Uuid, ttl: Duration) -> StoreResult<Option<Lease>> {
        let owner = UuidText::new(owner);
        let ttl = format!("+{:.3} seconds", ttl.as_secs_f64());
        let acquire = || self.connection.prepare_cached(ACQUIRE)?.query_row((name, owner.as_str(), ttl), |row| row.get(0)).optional();
        let epoch: Option<i64> = acquire().map_err(|error| self.place.error(error))?;
        Ok(epoch.map(|epoch| Lease { name: name.to_owned(), epoch: epoch as u64 }))
    }

    async fn release(&mut self, lease: &Lease) -> StoreResult<()> {
        let release = || self.connection.prepare_cached(RELEASE)?.execute((&lease.name, lease.epoch as i64));
        release().map(|_| ()).map_err(|error| self.place.error(error))
    }
}
