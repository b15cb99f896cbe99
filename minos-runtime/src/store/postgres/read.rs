//! What is read, on connections of its own.

use super::{
    connection::{Link, Role, Server, Session},
    errors, statement,
};
use crate::{
    auth::Identity,
    store::{
        Cause, DeadLetter, InboxRow, LiveDefinition, NewDeadLetter, NewMessage, OpenStep, OutboxRow, SagaFilter, SagaRow, Snapshot,
        Statement, StoreError, StoreResult, StoredEvent, StreamId, number, query::Query,
    },
    trace::Trace,
};
use serde_json::Value as Json;
use std::sync::{Arc, atomic::Ordering};
use tokio::sync::Semaphore;
use tokio_postgres::{Error, Row, types::ToSql};

/// Casts of what has a type of its own in the database, but not here.
macro_rules! events {
    ($rest:literal) => {
        concat!(
            r#"SELECT position, aggregate, uuid, version, name, data::text, at, correlation, causation, "user" FROM {s}.events "#,
            $rest
        )
    };
}
macro_rules! dead_letters {
    ($rest:literal) => {
        concat!("SELECT id, at, subscriber, key, topic, headers, content, cause, attempts FROM {s}.dead_letters ", $rest)
    };
}

pub(super) const STREAM: &str = events!("WHERE uuid = $1 AND aggregate = $2 AND version > $3 ORDER BY version");
/// The beginnings of many streams: at most `$4` events of each, none behind `$5` bytes. The sizes are those of the stored bytes, which are known without
/// reading them.
pub(super) const BEGINNINGS: &str = r#"SELECT e.position, e.aggregate, e.uuid, e.version, e.name, e.data::text, e.at, e.correlation, e.causation, e."user", s.n
    FROM unnest($1::uuid[], $2::text[], $3::bigint[]) WITH ORDINALITY AS s(uuid, aggregate, after, n), LATERAL (
        SELECT *, sum(pg_column_size(data)) OVER (ORDER BY version ROWS UNBOUNDED PRECEDING) - pg_column_size(data) AS before
        FROM {s}.events WHERE uuid = s.uuid AND aggregate = s.aggregate AND version > s.after ORDER BY version LIMIT $4
    ) AS e WHERE e.before < $5"#;
/// The same, behind the snapshots of those that want one (`$6`), which come as if they were events: see [`snapshot`].
pub(super) const STATES: &str = r#"WITH s AS (
        SELECT s.*, p.version AS at, p.schema, p.state
        FROM unnest($1::uuid[], $2::text[], $3::bigint[], $6::boolean[]) WITH ORDINALITY AS s(uuid, aggregate, after, wanted, n)
        LEFT JOIN {s}.snapshots p ON s.wanted AND p.uuid = s.uuid AND p.aggregate = s.aggregate
    )
    SELECT e.position, e.aggregate, e.uuid, e.version, e.name, e.data::text, e.at, e.correlation, e.causation, e."user", s.n
    FROM s, LATERAL (
        SELECT *, sum(pg_column_size(data)) OVER (ORDER BY version ROWS UNBOUNDED PRECEDING) - pg_column_size(data) AS before
        FROM {s}.events WHERE uuid = s.uuid AND aggregate = s.aggregate AND version > greatest(s.after, s.at) ORDER BY version LIMIT $4
    ) AS e WHERE e.before < $5
    UNION ALL
    SELECT NULL, s.aggregate, s.uuid, s.at, s.schema, s.state, NULL, NULL, NULL, NULL, s.n FROM s WHERE s.at IS NOT NULL"#;
pub(super) const SNAPSHOT: &str = "SELECT version, schema, state FROM {s}.snapshots WHERE uuid = $1 AND aggregate = $2";
/// Which column of these says whose beginning it is, counted from 1.
pub(super) const BEGINNING_OF: usize = 10;
pub(super) const LOG: &str = events!("WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3");
pub(super) const LOG_OF: &str = events!("WHERE position > $1 AND position <= $2 AND aggregate = ANY ($4) ORDER BY position LIMIT $3");
pub(super) const OUTBOX: &str =
    "SELECT id, message, topic, key, headers, content FROM {s}.outbox WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3";
pub(super) const HANDLED: &str = "SELECT version, answer FROM {s}.inbox WHERE subscriber = $1 AND key = $2";
/// The number is [`OPEN`](crate::store::OPEN), as the index has it.
pub(super) const OPEN_STEPS: &str = "SELECT subscriber, key, at, answer FROM {s}.inbox
    WHERE version = 9223372036854775806 AND at <= $1 AND (at, subscriber, key) > ($2, $3, $4) ORDER BY at, subscriber, key LIMIT $5";
pub(super) const CHECKPOINT: &str = "SELECT position FROM {s}.checkpoints WHERE name = $1";
pub(super) const DEAD_LETTERS: &str = dead_letters!("WHERE id > $1 ORDER BY id LIMIT $2");
pub(super) const DEAD_LETTERS_OF_KEY: &str = dead_letters!("WHERE id > $1 AND subscriber = $3 AND key = $4 ORDER BY id LIMIT $2");
pub(super) const PARKED: &str = "SELECT DISTINCT subscriber, key FROM {s}.dead_letters ORDER BY subscriber, key";
pub(super) const KEYS_OF: &str = "SELECT subscriber, key FROM {s}.dead_letters WHERE id = ANY ($1)";
pub(super) const ACQUIRE: &str = "SELECT of_epoch FROM {s}.acquire_v1($1, $2, $3, $4)";
pub(super) const RELEASE: &str = "UPDATE {s}.leases SET owner = NULL WHERE name = $1 AND epoch = $2";
/// Some at once, so that none of it takes long. The rows of messages stay: they say that these were handled.
pub(super) const FORGET: &str = "WITH old AS (
        SELECT subscriber, key FROM {s}.inbox WHERE answer IS NOT NULL AND version = 0 AND at < $1 LIMIT 1000 FOR UPDATE SKIP LOCKED
    ), of_clients AS (
        DELETE FROM {s}.inbox i USING old WHERE i.subscriber = old.subscriber AND i.key = old.key AND starts_with(i.key, $2) RETURNING 1
    ), of_messages AS (
        UPDATE {s}.inbox i SET answer = NULL FROM old WHERE i.subscriber = old.subscriber AND i.key = old.key AND NOT starts_with(i.key, $2) RETURNING 1
    ) SELECT (SELECT count(*) FROM of_clients) + (SELECT count(*) FROM of_messages)";

macro_rules! sagas {
    ($rest:literal) => {
        concat!(
            r#"SELECT id, saga, key, definition, status, ended, wake, version, state, correlation, causation, "user", started_at, changed_at, trace FROM {s}.sagas "#,
            $rest
        )
    };
}

pub(super) const SAGA: &str = sagas!("WHERE id = $1");
pub(super) const SAGA_OF_KEY: &str = sagas!("WHERE saga = $1 AND key = $2");
/// One for each filter, so that each has a plan of its own: only what is asked for is read.
const SAGAS: &str = sagas!("WHERE id >= $1 AND $2::text IS NULL AND $3::text IS NULL ORDER BY id LIMIT $4");
const SAGAS_OF_NAME: &str = sagas!("WHERE id >= $1 AND saga = $2 AND $3::text IS NULL ORDER BY id LIMIT $4");
const SAGAS_OF_STATUS: &str = sagas!("WHERE id >= $1 AND $2::text IS NULL AND status = $3 ORDER BY id LIMIT $4");
const SAGAS_OF_BOTH: &str = sagas!("WHERE id >= $1 AND saga = $2 AND status = $3 ORDER BY id LIMIT $4");
pub(super) const SAGA_WAKES: &str = "SELECT wake, id FROM {s}.sagas WHERE wake IS NOT NULL ORDER BY wake LIMIT $1";
pub(super) const LIVE_SAGAS: &str =
    "SELECT started_at, id FROM {s}.sagas WHERE NOT ended AND started_at > $1 ORDER BY started_at, id LIMIT $2";
pub(super) const WAKE_SAGA: &str = "UPDATE {s}.sagas SET wake = $3 WHERE id = $1 AND version = $2 AND NOT ended";
pub(super) const LIVE_DEFINITIONS: &str =
    "SELECT saga, definition, count(*) FROM {s}.sagas WHERE NOT ended GROUP BY saga, definition ORDER BY saga, definition";
pub(super) const FORGET_SAGAS: &str = "WITH old AS (
        DELETE FROM {s}.sagas WHERE id IN (SELECT id FROM {s}.sagas WHERE ended AND changed_at < $1 LIMIT 10000 FOR UPDATE SKIP LOCKED) RETURNING 1
    ) SELECT count(*) FROM old";

/// The connections that read.
pub(super) struct Readers {
    /// For what Minos reads, which is quick: several at once on one.
    own: Vec<Link>,
    /// For queries of the user, which may be slow: one at once on one.
    users: Vec<Link>,
    turns: Semaphore,
}

impl Readers {
    pub(super) fn new(server: &Arc<Server>, own: usize, users: usize) -> Self {
        let links = |count, role| (0..count).map(|_| Link::new(server.clone(), role)).collect();
        Readers { own: links(own, Role::Internal), users: links(users, Role::Reader), turns: Semaphore::new(users) }
    }

    /// The rows of a statement of Minos.
    pub(super) async fn query(&self, sql: &'static str, parameters: &[&(dyn ToSql + Sync)]) -> StoreResult<Vec<Row>> {
        let Some(link) = self.own.iter().min_by_key(|link| (link.users.load(Ordering::Relaxed), link.connected().is_none())) else {
            return Err(StoreError::Closed);
        };
        let _using = link.using();
        match link.query(sql, parameters).await {
            // The server may have no room for one more: another one may be connected already.
            Err(StoreError::Unavailable(reason)) => match self.own.iter().find(|link| link.connected().is_some()) {
                Some(other) => other.query(sql, parameters).await,
                None => Err(StoreError::Unavailable(reason)),
            },
            result => result,
        }
    }

    /// The rows of a query of the user's own.
    pub(super) async fn select(&self, statement: &Statement) -> StoreResult<Vec<Json>> {
        self.slow(|session| async move { statement::select(&session, statement).await }).await
    }

    /// The rows of a question for documents.
    pub(super) async fn made(&self, query: &Query) -> StoreResult<Vec<Row>> {
        let failure = |error| if errors::is_loss(&error) { statement::Failure::Lost(error) } else { statement::Failure::OfAll(error) };
        self.slow(|session| async move { session.made(query).await.map_err(failure) }).await
    }

    /// Runs what may be slow. It is run again when its connection was lost.
    async fn slow<T, F>(&self, run: impl Fn(Arc<Session>) -> F) -> StoreResult<T>
    where
        F: Future<Output = Result<T, statement::Failure>>,
    {
        let _turn = self.turns.acquire().await.map_err(|_| StoreError::Closed)?;
        let Some(link) = self.users.iter().min_by_key(|link| (link.users.load(Ordering::Relaxed), link.connected().is_none())) else {
            return Err(StoreError::Closed);
        };
        let _using = link.using();
        let mut again = true;
        loop {
            let session = link.session().await?;
            let running = Running { link, session: Some(session.clone()) };
            let result = run(session.clone()).await;
            running.ended();
            match result {
                Ok(rows) => return Ok(rows),
                Err(statement::Failure::Refused(error)) => {
                    session.forget_prepared();
                    return Err(error);
                }
                Err(statement::Failure::Lost(_)) if again => link.discard(&session),
                Err(statement::Failure::OfAll(error) | statement::Failure::Lost(error)) => return Err(link.error(&error)),
            }
            again = false;
        }
    }

    pub(super) fn close(&self) {
        self.turns.close();
        for link in self.own.iter().chain(&self.users) {
            link.close();
        }
    }
}

/// A query that runs. When nobody waits for it any more, it is ended, and its connection with it: so the end can hit no other query.
struct Running<'l> {
    link: &'l Link,
    session: Option<Arc<Session>>,
}

impl Running<'_> {
    fn ended(mut self) {
        self.session = None;
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            self.link.abandon(&session);
        }
    }
}

pub(super) fn event(row: &Row) -> Result<StoredEvent, Error> {
    Ok(StoredEvent {
        position: row.try_get::<_, i64>(0)? as u64,
        stream: StreamId { aggregate: row.try_get::<_, String>(1)?.into(), uuid: row.try_get(2)? },
        version: row.try_get::<_, i64>(3)? as u64,
        name: row.try_get(4)?,
        data: row.try_get(5)?,
        at: row.try_get(6)?,
        cause: Cause {
            correlation: row.try_get(7)?,
            causation: row.try_get(8)?,
            user: row.try_get::<_, Option<&str>>(9)?.map(Identity::of_text),
            trace: None,
        },
    })
}

/// Whether a row of [`STATES`] is a snapshot.
pub(super) fn is_snapshot(row: &Row) -> bool {
    row.try_get::<_, Option<i64>>(0).is_ok_and(|position| position.is_none())
}

/// The snapshot of a row of [`STATES`].
pub(super) fn snapshot(row: &Row) -> Result<Snapshot, Error> {
    Ok(Snapshot { version: row.try_get::<_, i64>(3)? as u64, schema: row.try_get(4)?, state: row.try_get(5)? })
}

/// That of a row of [`SNAPSHOT`].
pub(super) fn snapshot_alone(row: &Row) -> Result<Snapshot, Error> {
    Ok(Snapshot { version: row.try_get::<_, i64>(0)? as u64, schema: row.try_get(1)?, state: row.try_get(2)? })
}

pub(super) fn outbox_row(row: &Row) -> Result<OutboxRow, Error> {
    let message = NewMessage {
        id: row.try_get(1)?,
        topic: row.try_get(2)?,
        key: row.try_get(3)?,
        headers: row.try_get(4)?,
        content: row.try_get(5)?,
    };
    Ok(OutboxRow { id: row.try_get::<_, i64>(0)? as u64, message })
}

pub(super) fn saga(row: &Row) -> Result<SagaRow, Error> {
    Ok(SagaRow {
        id: row.try_get(0)?,
        saga: row.try_get(1)?,
        key: row.try_get(2)?,
        definition: row.try_get(3)?,
        status: row.try_get(4)?,
        ended: row.try_get(5)?,
        wake: row.try_get(6)?,
        version: row.try_get::<_, i64>(7)? as u64,
        state: row.try_get(8)?,
        cause: Cause {
            correlation: row.try_get(9)?,
            causation: row.try_get(10)?,
            user: row.try_get::<_, Option<&str>>(11)?.map(Identity::of_text),
            trace: row.try_get::<_, Option<&str>>(14)?.and_then(Trace::parse),
        },
        started_at: row.try_get(12)?,
        changed_at: row.try_get(13)?,
    })
}

/// The statement for a filter: its parameters are the lowest id, the saga, the status and the limit.
pub(super) fn sagas(filter: &SagaFilter) -> &'static str {
    match (&filter.saga, &filter.status) {
        (None, None) => SAGAS,
        (Some(_), None) => SAGAS_OF_NAME,
        (None, Some(_)) => SAGAS_OF_STATUS,
        (Some(_), Some(_)) => SAGAS_OF_BOTH,
    }
}

pub(super) fn live(row: &Row) -> Result<LiveDefinition, Error> {
    Ok(LiveDefinition { saga: row.try_get(0)?, definition: row.try_get(1)?, executions: row.try_get::<_, i64>(2)? as u64 })
}

pub(super) fn inbox_row(row: &Row) -> Result<InboxRow, Error> {
    Ok(InboxRow { version: row.try_get::<_, i64>(0)? as u64, answer: row.try_get(1)? })
}

pub(super) fn open_step(row: &Row) -> Result<OpenStep, Error> {
    let answer: Option<String> = row.try_get(3)?;
    Ok(OpenStep { subscriber: row.try_get(0)?, key: row.try_get(1)?, ask_at: row.try_get(2)?, answer: answer.unwrap_or_default() })
}

pub(super) fn dead_letter(row: &Row) -> Result<DeadLetter, Error> {
    let letter = NewDeadLetter {
        subscriber: row.try_get(2)?,
        key: row.try_get(3)?,
        topic: row.try_get(4)?,
        headers: row.try_get(5)?,
        content: row.try_get(6)?,
        cause: row.try_get(7)?,
        attempts: row.try_get::<_, i32>(8)?.unsigned_abs(),
    };
    Ok(DeadLetter { id: row.try_get::<_, i64>(0)? as u64, at: row.try_get(1)?, letter })
}

pub(super) fn pair(row: &Row) -> Result<(String, String), Error> {
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// How many rows, as the database counts.
pub(super) fn limit(limit: usize) -> i64 {
    number(limit as u64)
}
