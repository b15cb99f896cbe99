//! Reads beside the writer, each on a connection of its own.

use super::{UuidText, connect, errors::Place, time};
use crate::{
    auth::Identity,
    store::{
        Cause, DeadLetter, InboxRow, LogPage, NewDeadLetter, NewMessage, OpenStep, OutboxRow, StoreError, StoreResult, StoredEvent,
        StreamId, number,
    },
    sync::lock,
};
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, types::Type};
use std::{
    str::FromStr,
    sync::{Arc, Mutex},
};
use tokio::sync::Semaphore;

/// How many reads run at once, and how many connections are kept for them.
const READERS: usize = 4;

const STREAM: &str = "SELECT position, aggregate, uuid, version, name, data, at, correlation, causation, user FROM events
    WHERE aggregate = ?1 AND uuid = ?2 AND version > ?3 ORDER BY version";
const LOG: &str = "SELECT position, aggregate, uuid, version, name, data, at, correlation, causation, user FROM events
    WHERE position > ?1 AND position <= ?2 AND (?3 IS NULL OR aggregate IN (SELECT value FROM json_each(?3))) ORDER BY position LIMIT ?4";
const HEAD: &str = "SELECT coalesce(max(position), 0) FROM events";
const OUTBOX: &str = "SELECT id, message, topic, key, headers, content FROM outbox WHERE id > ?1 ORDER BY id LIMIT ?2";
const HANDLED: &str = "SELECT version, answer FROM inbox WHERE subscriber = ?1 AND key = ?2";
/// The number is [`OPEN`](crate::store::OPEN), as the index has it.
const OPEN_STEPS: &str = "SELECT subscriber, key, at, answer FROM inbox
    WHERE version = 9223372036854775806 AND at <= ?1 AND (at, subscriber, key) > (?2, ?3, ?4) ORDER BY at, subscriber, key LIMIT ?5";
const CHECKPOINT: &str = "SELECT position FROM checkpoints WHERE name = ?1";
const DEAD_LETTERS: &str = "SELECT id, at, subscriber, key, topic, headers, content, cause, attempts FROM dead_letters
    WHERE id > ?1 ORDER BY id LIMIT ?2";
const DEAD_LETTERS_OF_KEY: &str = "SELECT id, at, subscriber, key, topic, headers, content, cause, attempts FROM dead_letters
    WHERE id > ?1 AND subscriber = ?3 AND key = ?4 ORDER BY id LIMIT ?2";
const KEYS: &str = "SELECT DISTINCT subscriber, key FROM dead_letters";

/// Connections that only read.
pub(super) struct Readers {
    place: Place,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(place: Place) -> Self {
        Readers { place, idle: Arc::default(), permits: Arc::new(Semaphore::new(READERS)) }
    }

    /// Reads on a thread that may block.
    pub(super) async fn read<T: Send + 'static>(&self, read: impl FnOnce(&mut Connection) -> T + Send + 'static) -> StoreResult<T> {
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let (place, idle) = (self.place.clone(), self.idle.clone());
        let work = move || {
            let connection = lock(&idle).pop();
            let mut connection = match connection {
                Some(connection) => connection,
                None => connect(&place, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
            };
            let answer = read(&mut connection);
            lock(&idle).push(connection);
            drop(permit);
            Ok(answer)
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| StoreError::Unavailable(error.to_string()))?
    }

    /// Waits for the reads that run, and lets go of all connections.
    pub(super) async fn close(&self) {
        // An error says that it is closed already.
        let _all = self.permits.acquire_many(READERS as u32).await;
        self.permits.close();
        lock(&self.idle).clear();
    }
}

pub(super) fn stream(connection: &Connection, stream: StreamId, after: u64) -> rusqlite::Result<Vec<StoredEvent>> {
    let uuid = UuidText::new(stream.uuid);
    let mut statement = connection.prepare_cached(STREAM)?;
    statement.query_map((&*stream.aggregate, uuid.as_str(), number(after)), event)?.collect()
}

pub(super) fn log(
    connection: &Connection,
    after: u64,
    limit: usize,
    aggregates: Option<&[String]>,
) -> rusqlite::Result<StoreResult<LogPage>> {
    // What is committed meanwhile is above it.
    let head: i64 = connection.prepare_cached(HEAD)?.query_row([], |row| row.get(0))?;
    let end = head as u64;
    if after > end {
        return Ok(Err(StoreError::Behind { log: end, reader: after }));
    }
    let names = aggregates.map(|names| serde_json::Value::from(names).to_string());
    if aggregates.is_some_and(<[_]>::is_empty) {
        return Ok(Ok(LogPage { events: Vec::new(), read: end }));
    }
    let events: Vec<_> =
        connection.prepare_cached(LOG)?.query_map((number(after), head, names, limit as i64), event)?.collect::<rusqlite::Result<_>>()?;
    let read = if events.len() == limit { events.last().map_or(after, |event| event.position) } else { end };
    Ok(Ok(LogPage { events, read }))
}

fn event(row: &Row<'_>) -> rusqlite::Result<StoredEvent> {
    Ok(StoredEvent {
        position: row.get::<_, i64>(0)? as u64,
        stream: StreamId { aggregate: row.get::<_, String>(1)?.into(), uuid: parsed(row, 2)? },
        version: row.get::<_, i64>(3)? as u64,
        name: row.get(4)?,
        data: row.get(5)?,
        at: parsed(row, 6)?,
        cause: Cause {
            correlation: parsed(row, 7)?,
            causation: parsed(row, 8)?,
            user: row.get::<_, Option<String>>(9)?.map(Identity::of_text),
            trace: None,
        },
    })
}

pub(super) fn outbox(connection: &Connection, after: u64, limit: usize) -> rusqlite::Result<Vec<OutboxRow>> {
    let row = |row: &Row<'_>| {
        let message = NewMessage { id: parsed(row, 1)?, topic: row.get(2)?, key: row.get(3)?, headers: row.get(4)?, content: row.get(5)? };
        Ok(OutboxRow { id: row.get::<_, i64>(0)? as u64, message })
    };
    connection.prepare_cached(OUTBOX)?.query_map((number(after), limit as i64), row)?.collect()
}

pub(super) fn handled(connection: &Connection, subscriber: &str, key: &str) -> rusqlite::Result<Option<InboxRow>> {
    let row = |row: &Row<'_>| Ok(InboxRow { version: row.get::<_, i64>(0)? as u64, answer: row.get(1)? });
    connection.prepare_cached(HANDLED)?.query_row((subscriber, key), row).optional()
}

pub(super) fn open_steps(
    connection: &Connection,
    ask_by: Timestamp,
    after: Option<&OpenStep>,
    limit: usize,
) -> rusqlite::Result<Vec<OpenStep>> {
    let row = |row: &Row<'_>| {
        let answer: Option<String> = row.get(3)?;
        Ok(OpenStep { subscriber: row.get(0)?, key: row.get(1)?, ask_at: parsed(row, 2)?, answer: answer.unwrap_or_default() })
    };
    // Every time is above the empty text.
    let (at, subscriber, key) = after.map_or((String::new(), "", ""), |step| (time(step.ask_at), &step.subscriber, &step.key));
    connection.prepare_cached(OPEN_STEPS)?.query_map((time(ask_by), at, subscriber, key, limit as i64), row)?.collect()
}

pub(super) fn checkpoint(connection: &Connection, name: &str) -> rusqlite::Result<u64> {
    let position: Option<i64> = connection.prepare_cached(CHECKPOINT)?.query_row([name], |row| row.get(0)).optional()?;
    Ok(position.unwrap_or_default() as u64)
}

pub(super) fn parked(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    connection.prepare_cached(KEYS)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

pub(super) fn dead_letters(
    connection: &Connection,
    of: Option<(String, String)>,
    after: u64,
    limit: usize,
) -> rusqlite::Result<Vec<DeadLetter>> {
    let row = |row: &Row<'_>| {
        let letter = NewDeadLetter {
            subscriber: row.get(2)?,
            key: row.get(3)?,
            topic: row.get(4)?,
            headers: row.get(5)?,
            content: row.get(6)?,
            cause: row.get(7)?,
            attempts: row.get(8)?,
        };
        Ok(DeadLetter { id: row.get::<_, i64>(0)? as u64, at: parsed(row, 1)?, letter })
    };
    match of {
        None => connection.prepare_cached(DEAD_LETTERS)?.query_map((number(after), limit as i64), row)?.collect(),
        Some((subscriber, key)) => {
            connection.prepare_cached(DEAD_LETTERS_OF_KEY)?.query_map((number(after), limit as i64, subscriber, key), row)?.collect()
        }
    }
}

/// A column whose text is something else: an id or a time.
pub(super) fn parsed<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    text.parse().map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_steps_are_found_by_their_index() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert!(super::super::schema::prepare(&mut connection, "test").is_ok());
        assert!(OPEN_STEPS.contains(&format!("version = {}", crate::store::OPEN)));
        let explain = format!("EXPLAIN QUERY PLAN {OPEN_STEPS}");
        let mut explain = connection.prepare(&explain).unwrap();
        let plan = explain.query_map(("", "", "", "", 1), |row| row.get::<_, String>(3)).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
        assert_eq!(plan, ["SEARCH inbox USING INDEX inbox_open ((at,subscriber,key)>(?,?,?) AND at<?)"]);
    }
}
