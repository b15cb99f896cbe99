//! What only the embedded store does: files, and statements of the user.

use super::*;
use crate::store::{Append, Cause, CollectionChange, DocumentWrite, NewEvent, NewKey, SagaWrite, SharedStore};
use serde_json::json;
use tempfile::TempDir;

async fn in_new_directory() -> SharedStore {
    let directory = tempfile::tempdir().unwrap().keep();
    Arc::new(open(directory.join("suite.db")).unwrap())
}

crate::store_suite!(suite, in_new_directory);

fn metrics() -> Metrics {
    Metrics::new("test")
}

fn open(path: PathBuf) -> StoreResult<SqliteStore> {
    SqliteStore::open(path, "test", &metrics())
}

fn directory() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("foo.db");
    (directory, path)
}

fn refused(path: &Path) -> String {
    open(path.to_owned()).err().expect("it does not open").to_string()
}

fn unit() -> Unit {
    Unit::new(Timestamp::now(), Cause { correlation: Uuid::now_v7(), causation: Uuid::now_v7(), user: None, trace: None })
}

fn creating(data: &str) -> (StreamId, Unit) {
    let stream = StreamId::new("Foo", Uuid::now_v7());
    let events = vec![NewEvent { name: "FooCreated".into(), data: data.to_owned() }];
    (stream.clone(), Unit { appends: vec![Append { stream, expected: 0, events }], ..unit() })
}

fn executing(sql: &str, parameters: Vec<serde_json::Value>) -> Unit {
    Unit { statements: vec![Statement { sql: sql.to_owned(), parameters }], ..unit() }
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_restart_and_readable() {
    let (_directory, path) = directory();
    let store = open(path.clone()).unwrap();
    let (stream, unit) = creating(r#"{"bar":"x"}"#);
    store.commit(unit.clone()).await.unwrap();
    store.close().await;
    let row = Connection::open(&path)
        .unwrap()
        .query_row("SELECT uuid, data, at FROM events", [], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
        })
        .unwrap();
    assert_eq!(row, (stream.uuid.to_string(), r#"{"bar":"x"}"#.to_owned(), time(unit.at)));
    let again = open(path).unwrap();
    assert_eq!(again.stream(stream, 0).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_file_belongs_to_one_process_at_a_time() {
    let (_directory, path) = directory();
    let store = open(path.clone()).unwrap();
    assert!(refused(&path).contains("in use by another process"), "{}", refused(&path));
    store.close().await;
    assert!(open(path).is_ok());
}

#[test]
fn what_is_no_database_of_minos_is_refused_and_left_alone() {
    let (directory, path) = directory();
    std::fs::write(&path, "this is no database, but it is long enough to be looked at as one".repeat(100)).unwrap();
    assert!(refused(&path).contains("is no SQLite database"), "{}", refused(&path));
    let foreign = directory.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE their_own (x)").unwrap();
    let before = std::fs::read(&foreign).unwrap();
    assert!(refused(&foreign).contains("a database of something else"), "{}", refused(&foreign));
    assert_eq!(std::fs::read(&foreign).unwrap(), before);
    let missing = directory.path().join("no/such/directory/foo.db");
    assert!(refused(&missing).contains("create its directory"), "{}", refused(&missing));
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let (_directory, path) = directory();
    open(path.clone()).unwrap().close().await;
    Connection::open(&path).unwrap().execute("INSERT INTO minos_schema VALUES (99, 'from the future', 'then')", []).unwrap();
    assert!(refused(&path).contains("written by a newer version"), "{}", refused(&path));
}

#[tokio::test]
async fn a_damaged_file_is_told() {
    let (_directory, path) = directory();
    let store = open(path.clone()).unwrap();
    for _ in 0..50 {
        store.commit(creating(&format!("\"{}\"", "x".repeat(4000))).1).await.unwrap();
    }
    store.close().await;
    let mut bytes = std::fs::read(&path).unwrap();
    for byte in bytes.iter_mut().skip(4096) {
        *byte = 0xa5;
    }
    std::fs::write(&path, bytes).unwrap();
    let error = match open(path) {
        Err(error) => error,
        Ok(store) => store.log(0, 1000, None).await.expect_err("it cannot be read"),
    };
    assert!(matches!(&error, StoreError::Corrupt(text) if text.contains("is damaged")), "{error}");
}

#[tokio::test]
async fn a_lock_of_another_program_only_delays() {
    let (_directory, path) = directory();
    let store = open(path.clone()).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (stream, unit) = creating("{}");
    let commit = store.commit(unit);
    let release = tokio::task::spawn_blocking(move || other.execute_batch("COMMIT").unwrap());
    commit.await.unwrap();
    release.await.unwrap();
    assert_eq!(store.stream(stream, 0).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_full_disk_fails_and_recovers() {
    let (_directory, path) = directory();
    let store =
        SqliteStore::open_with(path, "test", &metrics(), |connection| connection.pragma_update(None, "max_page_count", 40)).unwrap();
    let mut acknowledged = Vec::new();
    let error = loop {
        let (stream, unit) = creating(&format!("\"{}\"", "x".repeat(10_000)));
        match store.commit(unit).await {
            Ok(_) => acknowledged.push(stream),
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, StoreError::Full(text) if text.contains("free some space")), "{error}");
    assert!(!acknowledged.is_empty());
    for stream in &acknowledged {
        assert_eq!(store.stream(stream.clone(), 0).await.unwrap().len(), 1, "what was acknowledged is there");
    }
    let letters = Unit { mark: None, ..executing("DROP TABLE IF EXISTS none", vec![]) };
    store.commit(letters).await.expect("what needs no space still works");
    store.ping().await.expect("and so it is well again");
}

#[tokio::test]
async fn statements_run_in_the_transaction_of_their_unit() {
    let (_directory, path) = directory();
    let store = open(path).unwrap();
    store.commit(executing("CREATE TABLE foos (uuid TEXT PRIMARY KEY, n INTEGER)", vec![])).await.unwrap();
    store.commit(executing("INSERT INTO foos VALUES (?1, ?2)", vec![json!("a"), json!(1)])).await.unwrap();
    let (stream, mut unit) = creating("{}");
    unit.statements = executing("UPDATE foos SET n = 2", vec![]).statements;
    unit.statements.extend(executing("INSERT INTO foos VALUES ('a', 3)", vec![]).statements);
    let error = store.commit(unit).await.unwrap_err();
    assert!(matches!(&error, StoreError::Statement { reason, .. } if reason.contains("UNIQUE")), "{error}");
    assert!(store.stream(stream, 0).await.unwrap().is_empty());
    let rows =
        store.select(Statement { sql: "SELECT uuid, n FROM foos WHERE uuid = ?1".to_owned(), parameters: vec![json!("a")] }).await.unwrap();
    assert_eq!(rows, [json!({ "uuid": "a", "n": 1 })]);
}

#[tokio::test]
async fn statements_stay_away_from_what_is_minos_own() {
    let (_directory, path) = directory();
    let store = open(path).unwrap();
    let (stream, unit) = creating("{}");
    store.commit(unit).await.unwrap();
    for sql in [
        "COMMIT",
        "ROLLBACK",
        "BEGIN",
        "SAVEPOINT x",
        "DELETE FROM events",
        "UPDATE inbox SET version = 0",
        "DROP TABLE outbox",
        "PRAGMA journal_mode = delete",
        "ATTACH 'x' AS y",
    ] {
        let error = store.commit(executing(sql, vec![])).await.unwrap_err();
        assert!(matches!(error, StoreError::Statement { .. }), "{sql}: {error}");
    }
    let write = Statement { sql: "DELETE FROM events".to_owned(), parameters: vec![] };
    assert!(store.select(write).await.is_err());
    assert_eq!(store.stream(stream, 0).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_file_belongs_to_the_service_that_opened_it_first() {
    let (_directory, path) = directory();
    open(path.clone()).unwrap().close().await;
    let error = SqliteStore::open(path.clone(), "other", &metrics()).err().expect("it is taken");
    assert!(matches!(&error, StoreError::Taken(text) if text.contains("belongs to the service `test`")), "{error}");
    // As an earlier version has left it.
    Connection::open(&path)
        .unwrap()
        .execute_batch("DROP TABLE minos_service; DROP TABLE sagas; DROP INDEX inbox_open; DROP TABLE documents; DROP TABLE unique_values; DROP TABLE snapshots; DROP TABLE subject_keys; DELETE FROM minos_schema WHERE version >= 3")
        .unwrap();
    SqliteStore::open(path.clone(), "other", &metrics()).unwrap().close().await;
    assert!(refused(&path).contains("belongs to the service `other`"), "{}", refused(&path));
}

#[tokio::test]
async fn executions_of_an_earlier_version_are_read() {
    let (_directory, path) = directory();
    let row = super::super::suite::execution();
    let store = open(path.clone()).unwrap();
    store.commit(Unit { sagas: vec![SagaWrite { expected: 0, row: row.clone() }], ..unit() }).await.unwrap();
    store.close().await;
    let back = "DROP INDEX sagas_by_age; ALTER TABLE sagas DROP COLUMN trace; DROP INDEX inbox_open; DROP TABLE documents; DROP TABLE unique_values; DROP TABLE snapshots; DROP TABLE subject_keys; DELETE FROM minos_schema WHERE version >= 5";
    Connection::open(&path).unwrap().execute_batch(back).unwrap();
    let store = open(path).unwrap();
    let cause = Cause { trace: None, ..row.cause.clone() };
    assert_eq!(store.saga(row.id).await.unwrap(), Some(SagaRow { cause, ..row.clone() }));
    assert_eq!(store.live_sagas(Timestamp::UNIX_EPOCH, 10).await.unwrap(), [(row.started_at, row.id)]);
    store.close().await;
}

/// A statement that ends the transaction of all, beside others in one batch.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_rolls_back_refuses_its_unit_only() {
    let (_directory, path) = directory();
    let store = Arc::new(open(path).unwrap());
    store.commit(executing("CREATE TABLE foos (n INTEGER PRIMARY KEY)", vec![])).await.unwrap();
    store.commit(executing("INSERT INTO foos VALUES (0)", vec![])).await.unwrap();
    let mut units: Vec<_> = (0..40)
        .map(|n| {
            let (stream, unit) = creating("{}");
            let statements = if n % 10 == 7 { executing("INSERT OR ROLLBACK INTO foos VALUES (0)", vec![]).statements } else { vec![] };
            (n, stream, Unit { statements, ..unit })
        })
        .collect();
    // All wait before the first is taken: they become few batches.
    let commits: Vec<_> = units.iter_mut().map(|(_, _, unit)| store.commit(std::mem::replace(unit, self::unit()))).collect();
    let results = futures_util::future::join_all(commits).await;
    for ((n, stream, _), result) in units.into_iter().zip(results) {
        let guilty = n % 10 == 7;
        assert_eq!(store.stream(stream, 0).await.unwrap().len(), usize::from(!guilty), "{n}: {result:?}");
        match result {
            Err(StoreError::Statement { sql, .. }) if guilty => assert!(sql.contains("ROLLBACK")),
            result => assert!(result.is_ok() && !guilty, "{n}: {result:?}"),
        }
    }
    assert_eq!(store.log(0, 100, None).await.unwrap().events.len(), 36);
}

#[tokio::test]
async fn who_gave_up_does_not_wait_any_more() {
    let (_directory, path) = directory();
    let metrics = metrics();
    let store = SqliteStore::open(path, "test", &metrics).unwrap();
    for _ in 0..10 {
        assert!(futures_util::FutureExt::now_or_never(store.commit(creating("{}").1)).is_none());
    }
    store.ping().await.unwrap();
    assert_eq!(metrics.queue.get(), 0);
}

/// Where these bytes are in the files of a database.
fn holding(path: &Path, bytes: &[u8]) -> Vec<PathBuf> {
    let files = ["", "-wal"].map(|end| PathBuf::from(format!("{}{end}", path.display())));
    let holds = |file: &PathBuf| std::fs::read(file).is_ok_and(|all| all.windows(bytes.len()).any(|part| part == bytes));
    files.into_iter().filter(holds).collect()
}

#[tokio::test]
async fn a_forgotten_key_is_nowhere_in_the_files() {
    let (_directory, path) = directory();
    let store = open(path.clone()).unwrap();
    let keys: Vec<_> = (0..300).map(|_| NewKey { subject: Uuid::now_v7(), key: Uuid::new_v4().into_bytes().repeat(2) }).collect();
    for new_keys in keys.chunks(7) {
        store.commit(Unit { new_keys: new_keys.to_vec(), ..unit() }).await.unwrap();
        // Others are removed and written between them.
        let clear = CollectionChange::Clear { collection: "foos".into() };
        let key = new_keys[0].subject.to_string();
        let document = DocumentWrite { collection: "foos".into(), key, body: Some("{}".to_owned()), expected: None };
        store.commit(Unit { collections: vec![clear], documents: vec![document], ..unit() }).await.unwrap();
    }
    for NewKey { key, .. } in &keys {
        assert!(!holding(&path, key).is_empty(), "it is seen while it is there");
    }
    let (forgotten, kept) = keys.split_at(200);
    for NewKey { subject, .. } in forgotten {
        store.commit(Unit { forgotten: vec![*subject], ..unit() }).await.unwrap();
    }
    for NewKey { key, .. } in forgotten {
        assert_eq!(holding(&path, key), Vec::<PathBuf>::new());
    }
    for NewKey { key, .. } in kept {
        assert!(!holding(&path, key).is_empty());
    }
    store.close().await;
}
