//! What the store holds beside events: documents, unique values, snapshots and keys of subjects.

use super::{UuidText, read::parsed, time};
use crate::store::{
    CollectionChange, Document, DocumentWrite, Field, Filter, Find, Loaded, NewKey, NewSnapshot, Snapshot, StoreError, StreamId,
    SubjectKey, UniqueWrite, Unit, number,
    query::{Dialect, Parameter, Query},
};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params_from_iter};
use uuid::Uuid;

const VERSION: &str = "SELECT version FROM documents WHERE collection = ?1 AND key = ?2";
const WRITE: &str = "INSERT INTO documents (collection, key, version, body) VALUES (?1, ?2, 1, ?3)
    ON CONFLICT (collection, key) DO UPDATE SET version = version + 1, body = excluded.body";
const REMOVE: &str = "DELETE FROM documents WHERE collection = ?1 AND key = ?2";
const CLEAR: &str = "DELETE FROM documents WHERE collection = ?1";
const REPLACE: &str = "UPDATE documents SET collection = ?1 WHERE collection = ?2";
const DOCUMENT: &str = "SELECT key, version, body FROM documents WHERE collection = ?1 AND key = ?2";
const DOCUMENTS: &str =
    "SELECT key, version, body FROM documents WHERE collection = ?1 AND key IN (SELECT value FROM json_each(?2)) ORDER BY key";
const OWNER: &str = "SELECT uuid FROM unique_values WHERE aggregate = ?1 AND field = ?2 AND value = ?3";
const TAKE: &str = "INSERT INTO unique_values (aggregate, field, value, uuid) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
const RELEASE: &str = "DELETE FROM unique_values WHERE aggregate = ?1 AND field = ?2 AND value = ?3 AND uuid = ?4";
const SNAPSHOT: &str = "SELECT version, schema, state FROM snapshots WHERE uuid = ?1 AND aggregate = ?2";
const PUT_SNAPSHOT: &str = "INSERT INTO snapshots (uuid, aggregate, version, schema, state) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (uuid, aggregate) DO UPDATE SET version = excluded.version, schema = excluded.schema, state = excluded.state
    WHERE excluded.version > version OR excluded.version = version AND excluded.schema <> schema";
const FORGET_SNAPSHOT: &str = "DELETE FROM snapshots WHERE uuid = ?1 AND aggregate = ?2";
const SUBJECT: &str = "SELECT key IS NULL FROM subject_keys WHERE subject = ?1";
const NEW_KEY: &str = "INSERT INTO subject_keys (subject, key) VALUES (?1, ?2)";
const KEYS: &str = "SELECT subject, key, forgotten_at FROM subject_keys WHERE subject IN (SELECT value FROM json_each(?1))";
/// First in its place, so that no copy of it stays.
const OVERWRITE: &str = "UPDATE subject_keys SET key = zeroblob(length(key)) WHERE subject = ?1 AND key IS NOT NULL";
/// Also of whom nothing is known yet: no key may come.
const FORGET: &str = "INSERT INTO subject_keys (subject, key, forgotten_at) VALUES (?1, NULL, ?2)
    ON CONFLICT (subject) DO UPDATE SET key = NULL, forgotten_at = excluded.forgotten_at WHERE key IS NOT NULL";

/// Why what a unit writes of these is refused, if it is.
pub(super) fn check(connection: &Connection, unit: &Unit) -> rusqlite::Result<Option<StoreError>> {
    for DocumentWrite { collection, key, expected, .. } in &unit.documents {
        let Some(expected) = expected else { continue };
        let version: Option<i64> = connection.prepare_cached(VERSION)?.query_row((&**collection, key), |row| row.get(0)).optional()?;
        let actual = version.unwrap_or_default() as u64;
        if actual != *expected {
            return Ok(Some(StoreError::DocumentConflict { collection: collection.to_string(), key: key.clone(), actual }));
        }
    }
    for NewKey { subject, .. } in &unit.new_keys {
        match is_forgotten(connection, *subject)? {
            Some(true) => return Ok(Some(StoreError::Forgotten(*subject))),
            Some(false) => return Ok(Some(StoreError::KeyExists(*subject))),
            None => {}
        }
    }
    for subject in &unit.sealed_for {
        if is_forgotten(connection, *subject)? != Some(false) {
            return Ok(Some(StoreError::Forgotten(*subject)));
        }
    }
    for write in unit.unique.iter().filter(|write| write.takes) {
        let (aggregate, field, value) = write.place();
        let owner = owner_of(connection, aggregate, field, value)?.filter(|owner| *owner != write.uuid);
        let released =
            |owner: &Uuid| unit.unique.iter().any(|other| !other.takes && other.uuid == *owner && other.place() == write.place());
        if let Some(owner) = owner.filter(|owner| !released(owner)) {
            return Ok(Some(write.refused(owner)));
        }
    }
    Ok(None)
}

/// Whether a subject was forgotten; none if it never had a key.
fn is_forgotten(connection: &Connection, subject: Uuid) -> rusqlite::Result<Option<bool>> {
    connection.prepare_cached(SUBJECT)?.query_row([UuidText::new(subject).as_str()], |row| row.get(0)).optional()
}

pub(super) fn write(connection: &Connection, unit: &Unit) -> rusqlite::Result<()> {
    for change in &unit.collections {
        match change {
            CollectionChange::Clear { collection } => connection.prepare_cached(CLEAR)?.execute([&**collection])?,
            CollectionChange::Replace { collection, with } => {
                connection.prepare_cached(CLEAR)?.execute([&**collection])?;
                connection.prepare_cached(REPLACE)?.execute([&**collection, &**with])?
            }
        };
    }
    for DocumentWrite { collection, key, body, .. } in &unit.documents {
        match body {
            Some(body) => connection.prepare_cached(WRITE)?.execute((&**collection, key, body))?,
            None => connection.prepare_cached(REMOVE)?.execute((&**collection, key))?,
        };
    }
    for takes in [false, true] {
        for UniqueWrite { aggregate, field, value, uuid, .. } in unit.unique.iter().filter(|write| write.takes == takes) {
            let sql = if takes { TAKE } else { RELEASE };
            connection.prepare_cached(sql)?.execute((&**aggregate, &**field, value, UuidText::new(*uuid).as_str()))?;
        }
    }
    put_snapshots(connection, &unit.snapshots)?;
    for NewKey { subject, key } in &unit.new_keys {
        connection.prepare_cached(NEW_KEY)?.execute((UuidText::new(*subject).as_str(), key))?;
    }
    if !unit.forgotten.is_empty() {
        forget(connection, &unit.forgotten, unit.at)?;
    }
    Ok(())
}

fn put_snapshots(connection: &Connection, snapshots: &[NewSnapshot]) -> rusqlite::Result<()> {
    for NewSnapshot { stream, version, schema, state } in snapshots {
        let uuid = UuidText::new(stream.uuid);
        connection.prepare_cached(PUT_SNAPSHOT)?.execute((uuid.as_str(), &*stream.aggregate, number(*version), schema, state))?;
    }
    Ok(())
}

pub(super) fn forget_snapshot(connection: &Connection, stream: &StreamId) -> rusqlite::Result<()> {
    connection.prepare_cached(FORGET_SNAPSHOT)?.execute((UuidText::new(stream.uuid).as_str(), &*stream.aggregate)).map(|_| ())
}

pub(super) fn index(connection: &Connection, collection: &str, field: &Field) -> rusqlite::Result<()> {
    connection.execute_batch(&Dialect::Sqlite.index("", collection, field).1)
}

/// Forgets keys so that their bytes are nowhere in the file. Behind the transaction, somebody has to [end the log](end_log).
fn forget(connection: &Connection, subjects: &[Uuid], at: Timestamp) -> rusqlite::Result<()> {
    connection.pragma_update(None, "secure_delete", "on")?;
    let forget_all = || {
        for subject in subjects {
            let subject = UuidText::new(*subject);
            connection.prepare_cached(OVERWRITE)?.execute([subject.as_str()])?;
            connection.prepare_cached(FORGET)?.execute((subject.as_str(), time(at)))?;
        }
        Ok(())
    };
    let forgotten = forget_all();
    connection.pragma_update(None, "secure_delete", "fast")?;
    forgotten
}

/// Ends the log beside the file, in which keys may stand that were forgotten.
pub(super) fn end_log(connection: &Connection) -> rusqlite::Result<()> {
    // Readers may hold a part of the log for a moment; the busy timeout waits for them.
    let busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy {
        tracing::warn!(
            "a key was forgotten, and its bytes are still in the write-ahead log: somebody reads from it for long; they go with its next end"
        );
    }
    Ok(())
}

pub(super) fn document(connection: &Connection, collection: &str, key: &str) -> rusqlite::Result<Option<Document>> {
    connection.prepare_cached(DOCUMENT)?.query_row([collection, key], read_document).optional()
}

pub(super) fn documents_of(connection: &Connection, collection: &str, keys: &[String]) -> rusqlite::Result<Vec<Document>> {
    let keys = serde_json::Value::from(keys).to_string();
    connection.prepare_cached(DOCUMENTS)?.query_map([collection, &keys], read_document)?.collect()
}

fn read_document(row: &Row<'_>) -> rusqlite::Result<Document> {
    Ok(Document { key: row.get(0)?, version: row.get::<_, i64>(1)? as u64, body: row.get(2)? })
}

pub(super) fn find(connection: &Connection, find: &Find) -> rusqlite::Result<Vec<Document>> {
    let mut found = Vec::new();
    for Query { sql, parameters } in Dialect::Sqlite.find("documents", find) {
        let mut statement = connection.prepare_cached(&sql)?;
        let rest = find.limit - found.len();
        let rows = statement.query_map(params_from_iter(parameters.iter().map(bound)), read_document)?;
        for document in rows.take(rest) {
            found.push(document?);
        }
        if found.len() == find.limit {
            break;
        }
    }
    Ok(found)
}

pub(super) fn count(connection: &Connection, collection: &str, filter: &Filter) -> rusqlite::Result<u64> {
    let Query { sql, parameters } = Dialect::Sqlite.count("documents", collection, filter);
    let count = |row: &Row<'_>| row.get::<_, i64>(0);
    connection.prepare_cached(&sql)?.query_row(params_from_iter(parameters.iter().map(bound)), count).map(|count| count as u64)
}

fn bound(parameter: &Parameter) -> impl ToSql {
    match parameter {
        Parameter::Text(text) => text.clone(),
        #[cfg(feature = "postgres")]
        Parameter::List(texts) => serde_json::Value::from(&texts[..]).to_string(),
    }
}

pub(super) fn owner_of(connection: &Connection, aggregate: &str, field: &str, value: &str) -> rusqlite::Result<Option<Uuid>> {
    connection.prepare_cached(OWNER)?.query_row([aggregate, field, value], |row| parsed(row, 0)).optional()
}

pub(super) fn load(connection: &Connection, stream: StreamId) -> rusqlite::Result<Loaded> {
    let uuid = UuidText::new(stream.uuid);
    let read = |row: &Row<'_>| Ok(Snapshot { version: row.get::<_, i64>(0)? as u64, schema: row.get(1)?, state: row.get(2)? });
    let snapshot = connection.prepare_cached(SNAPSHOT)?.query_row((uuid.as_str(), &*stream.aggregate), read).optional()?;
    // Events are never removed, so those behind it are there, whatever is written meanwhile.
    let events = super::read::stream(connection, stream, snapshot.as_ref().map_or(0, |snapshot| snapshot.version))?;
    Ok(Loaded { snapshot, events })
}

pub(super) fn keys_of(connection: &Connection, subjects: &[Uuid]) -> rusqlite::Result<Vec<(Uuid, SubjectKey)>> {
    let subjects = serde_json::Value::from_iter(subjects.iter().map(Uuid::to_string)).to_string();
    let read = |row: &Row<'_>| {
        let key = match row.get(1)? {
            Some(key) => SubjectKey::Known(key),
            None => SubjectKey::Forgotten(parsed(row, 2)?),
        };
        Ok((parsed(row, 0)?, key))
    };
    connection.prepare_cached(KEYS)?.query_map([subjects], read)?.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Cursor, Direction, Kind, Op, Order};
    use serde_json::json;

    fn plan(connection: &Connection, Query { sql, parameters }: &Query) -> Vec<String> {
        let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let rows = explain.query_map(params_from_iter(parameters.iter().map(bound)), |row| row.get(3)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn what_is_indexed_is_found_by_its_index() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert!(super::super::schema::prepare(&mut connection, "test").is_ok());
        for (kind, value) in
            [(Kind::Text, json!("a")), (Kind::Number, json!(1)), (Kind::Time, json!("2026-01-01T00:00:00Z")), (Kind::Bool, json!(true))]
        {
            let field = Field::new(["in", "o'd\"d"], kind);
            index(&connection, "it's", &field).unwrap();
            let (name, _) = Dialect::Sqlite.index("", "it's", &field);
            let compare = |op| Filter::Compare { field: field.clone(), op, value: value.clone() };
            // Without an order of its own, the order of the keys may count for more.
            let mut ranges = vec![compare(Op::Gt), compare(Op::Le)];
            if kind == Kind::Text {
                ranges.push(Filter::StartsWith { path: field.path.clone(), prefix: "a".to_owned() });
            }
            let order = Order { field: field.clone(), direction: Direction::Descending };
            let ordered = |filter| Find { filter, order: vec![order.clone()], ..Find::all("it's", 10) };
            let equal = Find { filter: compare(Op::Eq), ..Find::all("it's", 10) };
            for find in ranges.into_iter().map(ordered).chain([equal]) {
                for query in Dialect::Sqlite.find("documents", &find) {
                    let plan = plan(&connection, &query);
                    assert!(plan[0].starts_with("SEARCH documents USING") && plan[0].contains(&name), "{find:?}: {plan:?}");
                }
            }
            for (direction, value) in [(Direction::Ascending, Some(&value)), (Direction::Descending, Some(&value))] {
                let order = vec![Order { field: field.clone(), direction }];
                let after = value.map(|value| Cursor { values: vec![value.clone()], key: "k".to_owned() });
                for query in Dialect::Sqlite.find("documents", &Find { order, after, ..Find::all("it's", 10) }) {
                    let plan = plan(&connection, &query);
                    // Nulls are sorted by their keys, and nothing else is.
                    let is_sorted = plan.len() > 1 && !query.sql.contains("IS NULL");
                    assert!(!is_sorted && plan[0].contains(&name), "nothing is sorted: {direction:?} {value:?}: {plan:?}");
                    assert!(value.is_none() || plan[0].starts_with("SEARCH"), "it begins where the last page ended: {plan:?}");
                }
            }
        }
    }
}
