//! Executions of sagas.

use super::{UuidText, read::parsed, time};
use crate::{
    auth::Identity,
    store::{Cause, LiveDefinition, SagaFilter, SagaRow, SagaWrite, StoreError},
    trace::Trace,
};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

const VERSION: &str = "SELECT version FROM sagas WHERE id = ?1";
const KEY: &str = "SELECT EXISTS (SELECT 1 FROM sagas WHERE saga = ?1 AND key = ?2)";
const NEW: &str = "INSERT INTO sagas (id, definition, status, ended, wake, version, state, changed_at, saga, key, started_at, correlation, causation, user, trace)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
const CHANGED: &str =
    "UPDATE sagas SET definition = ?2, status = ?3, ended = ?4, wake = ?5, version = ?6, state = ?7, changed_at = ?8 WHERE id = ?1";
const WAKE: &str = "UPDATE sagas SET wake = ?3 WHERE id = ?1 AND version = ?2 AND NOT ended";
const FORGET: &str = "DELETE FROM sagas WHERE id IN (SELECT id FROM sagas WHERE ended AND changed_at < ?1 LIMIT 10000)";

macro_rules! sagas {
    ($rest:literal) => {
        concat!(
            "SELECT id, saga, key, definition, status, ended, wake, version, state, correlation, causation, user, started_at, changed_at, trace FROM sagas ",
            $rest
        )
    };
}

const BY_ID: &str = sagas!("WHERE id = ?1");
const BY_KEY: &str = sagas!("WHERE saga = ?1 AND key = ?2");
/// One for each filter, so that each has a plan of its own: the order of an index is that of the answer, and only what is asked for is read.
const LIST: &str = sagas!("WHERE id > ?1 AND ?2 IS NULL AND ?3 IS NULL ORDER BY id LIMIT ?4");
const LIST_SAGA: &str = sagas!("WHERE id > ?1 AND saga = ?2 AND ?3 IS NULL ORDER BY id LIMIT ?4");
const LIST_STATUS: &str = sagas!("WHERE id > ?1 AND ?2 IS NULL AND status = ?3 ORDER BY id LIMIT ?4");
/// By the index of the status, which says more than the saga.
const LIST_BOTH: &str = sagas!("WHERE id > ?1 AND +saga = ?2 AND status = ?3 ORDER BY id LIMIT ?4");
const WAKES: &str = "SELECT wake, id FROM sagas WHERE wake IS NOT NULL ORDER BY wake LIMIT ?1";
const LIVE_SINCE: &str = "SELECT started_at, id FROM sagas WHERE NOT ended AND started_at > ?1 ORDER BY started_at, id LIMIT ?2";
const LIVE: &str = "SELECT saga, definition, count(*) FROM sagas WHERE NOT ended GROUP BY saga, definition ORDER BY saga, definition";

/// Why a write is refused, if it is.
pub(super) fn check(connection: &Connection, SagaWrite { expected, row }: &SagaWrite) -> rusqlite::Result<Option<StoreError>> {
    let known: Option<i64> =
        connection.prepare_cached(VERSION)?.query_row([UuidText::new(row.id).as_str()], |row| row.get(0)).optional()?;
    let actual = known.unwrap_or_default() as u64;
    if actual != *expected {
        return Ok(Some(StoreError::SagaMoved { id: row.id, expected: *expected, actual }));
    }
    let Some(key) = row.key.as_ref().filter(|_| *expected == 0) else { return Ok(None) };
    let taken: bool = connection.prepare_cached(KEY)?.query_row((&row.saga, key), |row| row.get(0))?;
    Ok(taken.then(|| StoreError::SagaExists { saga: row.saga.clone(), key: key.clone() }))
}

pub(super) fn write(connection: &Connection, SagaWrite { expected, row }: &SagaWrite) -> rusqlite::Result<()> {
    let (id, wake, changed_at) = (UuidText::new(row.id), row.wake.map(time), time(row.changed_at));
    if *expected > 0 {
        let change = (id.as_str(), &row.definition, &row.status, row.ended, wake, row.version as i64, &row.state, changed_at);
        return connection.prepare_cached(CHANGED)?.execute(change).map(|_| ());
    }
    let Cause { correlation, causation, user, trace } = &row.cause;
    let (correlation, causation) = (UuidText::new(*correlation), UuidText::new(*causation));
    let new = (
        id.as_str(),
        &row.definition,
        &row.status,
        row.ended,
        wake,
        row.version as i64,
        &row.state,
        changed_at,
        &row.saga,
        &row.key,
        time(row.started_at),
        correlation.as_str(),
        causation.as_str(),
        user.as_ref().map(Identity::text),
        trace.map(|trace| trace.to_string()),
    );
    connection.prepare_cached(NEW)?.execute(new).map(|_| ())
}

pub(super) fn wake(connection: &Connection, id: Uuid, version: u64, at: Timestamp) -> rusqlite::Result<()> {
    connection.prepare_cached(WAKE)?.execute((UuidText::new(id).as_str(), version as i64, time(at))).map(|_| ())
}

pub(super) fn forget(connection: &Connection, before: Timestamp) -> rusqlite::Result<u64> {
    connection.execute(FORGET, [time(before)]).map(|count| count as u64)
}

pub(super) fn by_id(connection: &Connection, id: Uuid) -> rusqlite::Result<Option<SagaRow>> {
    connection.prepare_cached(BY_ID)?.query_row([UuidText::new(id).as_str()], row).optional()
}

pub(super) fn by_key(connection: &Connection, saga: &str, key: &str) -> rusqlite::Result<Option<SagaRow>> {
    connection.prepare_cached(BY_KEY)?.query_row([saga, key], row).optional()
}

pub(super) fn list(connection: &Connection, filter: &SagaFilter, after: Option<Uuid>, limit: usize) -> rusqlite::Result<Vec<SagaRow>> {
    let list = match (&filter.saga, &filter.status) {
        (None, None) => LIST,
        (Some(_), None) => LIST_SAGA,
        (None, Some(_)) => LIST_STATUS,
        (Some(_), Some(_)) => LIST_BOTH,
    };
    let after = after.map(UuidText::new);
    // Every id is above the empty text.
    let parameters = (after.as_ref().map_or("", UuidText::as_str), &filter.saga, &filter.status, limit as i64);
    connection.prepare_cached(list)?.query_map(parameters, row)?.collect()
}

pub(super) fn wakes(connection: &Connection, limit: usize) -> rusqlite::Result<Vec<(Timestamp, Uuid)>> {
    connection.prepare_cached(WAKES)?.query_map([limit as i64], |row| Ok((parsed(row, 0)?, parsed(row, 1)?)))?.collect()
}

pub(super) fn live_since(connection: &Connection, after: Timestamp, limit: usize) -> rusqlite::Result<Vec<(Timestamp, Uuid)>> {
    let row = |row: &Row<'_>| Ok((parsed(row, 0)?, parsed(row, 1)?));
    connection.prepare_cached(LIVE_SINCE)?.query_map((time(after), limit as i64), row)?.collect()
}

pub(super) fn live(connection: &Connection) -> rusqlite::Result<Vec<LiveDefinition>> {
    let row = |row: &Row<'_>| Ok(LiveDefinition { saga: row.get(0)?, definition: row.get(1)?, executions: row.get::<_, i64>(2)? as u64 });
    connection.prepare_cached(LIVE)?.query_map([], row)?.collect()
}

fn row(row: &Row<'_>) -> rusqlite::Result<SagaRow> {
    let wake = row.get_ref(6)?.as_str_or_null()?.map(|_| parsed(row, 6)).transpose()?;
    Ok(SagaRow {
        id: parsed(row, 0)?,
        saga: row.get(1)?,
        key: row.get(2)?,
        definition: row.get(3)?,
        status: row.get(4)?,
        ended: row.get(5)?,
        wake,
        version: row.get::<_, i64>(7)? as u64,
        state: row.get(8)?,
        cause: Cause {
            correlation: parsed(row, 9)?,
            causation: parsed(row, 10)?,
            user: row.get::<_, Option<String>>(11)?.map(Identity::of_text),
            trace: row.get_ref(14)?.as_str_or_null()?.and_then(Trace::parse),
        },
        started_at: parsed(row, 12)?,
        changed_at: parsed(row, 13)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_found_by_an_index() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert!(super::super::schema::prepare(&mut connection, "test").is_ok());
        let plan = |sql: &str| {
            let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            for n in 1..=explain.parameter_count() {
                explain.raw_bind_parameter(n, "").unwrap();
            }
            let mut rows = explain.raw_query();
            let mut lines = Vec::new();
            while let Some(row) = rows.next().unwrap() {
                lines.push(row.get::<_, String>(3).unwrap());
            }
            lines.join("; ")
        };
        let expected = [
            (LIST, "SEARCH sagas USING PRIMARY KEY (id>?)"),
            (LIST_SAGA, "SEARCH sagas USING INDEX sagas_by_name (saga=? AND id>?)"),
            (LIST_STATUS, "SEARCH sagas USING INDEX sagas_by_status (status=? AND id>?)"),
            (LIST_BOTH, "SEARCH sagas USING INDEX sagas_by_status (status=? AND id>?)"),
            (WAKES, "SEARCH sagas USING COVERING INDEX sagas_to_wake (wake>?)"),
            (LIVE_SINCE, "SEARCH sagas USING INDEX sagas_by_age (started_at>?)"),
            (LIVE, "SCAN sagas USING INDEX sagas_live"),
            (BY_KEY, "SEARCH sagas USING INDEX sagas_of_key (saga=? AND key=?)"),
        ];
        for (sql, expected) in expected {
            assert_eq!(plan(sql), expected, "{sql}");
        }
        assert!(plan(FORGET).contains("SEARCH sagas USING INDEX sagas_ended (changed_at<?)"), "{}", plan(FORGET));
    }
}
