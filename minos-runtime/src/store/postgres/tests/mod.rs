//! What only the store on PostgreSQL does, on a real server.

mod events;
mod faults;
mod fence;
mod held;
mod inspect;
mod load;
mod pipelined;
mod proxy;
mod rows;
mod server;

use super::*;
use crate::store::{Append, Cause, Handled, Mark, NewDeadLetter, NewEvent, NewMessage, SagaWrite, SharedStore};
use serde_json::json;
use std::time::Instant;
use tokio::task::JoinSet;
use tokio_postgres::types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked};

async fn in_new_schema() -> Option<SharedStore> {
    server::open().await.map(|store| Arc::new(store) as SharedStore)
}

crate::store_suite!(suite, in_new_schema);

fn unit() -> Unit {
    Unit::new(Timestamp::now(), Cause { correlation: Uuid::now_v7(), causation: Uuid::now_v7(), user: None, trace: None })
}

fn stream() -> StreamId {
    StreamId::new("Foo", Uuid::now_v7())
}

/// Appends one event.
fn appending(stream: &StreamId, expected: u64, data: &str) -> Unit {
    let events = vec![NewEvent { name: "E".into(), data: data.to_owned() }];
    Unit { appends: vec![Append { stream: stream.clone(), expected, events }], ..unit() }
}

fn sending(topic: &str, content: &str) -> Unit {
    let (topic, content) = (topic.to_owned(), content.to_owned());
    Unit { messages: vec![NewMessage { id: Uuid::now_v7(), topic, key: None, headers: "{}".to_owned(), content }], ..unit() }
}

fn executing(sql: &str, parameters: Vec<serde_json::Value>) -> Unit {
    Unit { statements: vec![Statement { sql: sql.to_owned(), parameters }], ..unit() }
}

/// What the writers' connections are seen to execute when they write.
const WRITING: &str = "(query LIKE '%append_v1%' OR query LIKE 'WITH written%')";

/// A unit that appends to a new stream, whose lock somebody else holds, until the client's transaction ends. It sends something, too: to a batch of
/// nothing but events the lock would not matter.
async fn locked(url: &str, client: &tokio_postgres::Client, data: &str) -> (StreamId, Unit, i64) {
    let stream = stream();
    let unit = Unit { messages: sending("topic", "").messages, ..appending(&stream, 0, data) };
    let lock = keys::of_unit(&server::schema_of(url), &unit, &[])[0];
    client.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({lock})")).await.unwrap();
    (stream, unit, lock)
}

fn committing(store: &Arc<PostgresStore>, unit: Unit) -> JoinHandle<StoreResult<()>> {
    let store = store.clone();
    tokio::spawn(async move { store.commit(unit).await.map(|_| ()) })
}

async fn refused(url: &str) -> String {
    PostgresStore::open_within(url, "test", &Metrics::new("test"), Duration::from_millis(200))
        .await
        .err()
        .expect("it does not open")
        .to_string()
}

/// Waits until this is so.
async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < Duration::from_secs(20), "{what}: it never came");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_start_at_once_migrate_once() {
    let Some(url) = server::url() else { return };
    let mut nodes = JoinSet::new();
    for _ in 0..8 {
        let url = url.clone();
        nodes.spawn(async move { server::store(&url).await });
    }
    let nodes = nodes.join_all().await;
    assert!(nodes.iter().all(Result::is_ok));
    let (client, schema) = (server::client(&url).await, server::schema_of(&url));
    let versions = client.query(&format!("SELECT version FROM {schema}.minos_schema"), &[]).await.unwrap();
    assert_eq!(versions.len(), 6);
    client.batch_execute(&format!("INSERT INTO {schema}.minos_schema VALUES (99, 'from the future')")).await.unwrap();
    assert!(refused(&url).await.contains("written by a newer version"));
}

#[tokio::test]
async fn a_schema_of_something_else_is_refused_and_left_alone() {
    let Some(url) = server::url() else { return };
    let (client, schema) = (server::client(&url).await, server::schema_of(&url));
    client.batch_execute(&format!("CREATE SCHEMA {schema}; CREATE TABLE {schema}.their_own (x int)")).await.unwrap();
    assert!(refused(&url).await.contains("has tables of something else"));
    let tables = client.query("SELECT FROM pg_tables WHERE schemaname = $1", &[&schema]).await.unwrap();
    assert_eq!(tables.len(), 1);
}

#[tokio::test]
async fn what_was_committed_can_be_read_with_psql() {
    let Some(url) = server::url() else { return };
    let store = server::store(&url).await.unwrap();
    let stream = stream();
    let unit = appending(&stream, 0, r#"{"bar": "x"}"#);
    store.commit(unit.clone()).await.unwrap();
    store.close().await;
    let sql = format!("SELECT uuid, data::text, data->>'bar', at FROM {}.events", server::schema_of(&url));
    let row = server::client(&url).await.query_one(&sql, &[]).await.unwrap();
    let found: (Uuid, String, String, Timestamp) = (row.get(0), row.get(1), row.get(2), row.get(3));
    assert_eq!((found.0, found.1.as_str(), found.2.as_str()), (stream.uuid, r#"{"bar": "x"}"#, "x"), "as it was written, to the space");
    assert_eq!(found.3.as_microsecond(), unit.at.as_microsecond());
    let again = server::store(&url).await.unwrap();
    assert_eq!(again.stream(stream, 0).await.unwrap().len(), 1);
}

/// Units that the database cannot take, beside others in one batch.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_stored_is_refused_alone() {
    let Some(store) = server::open().await else { return };
    let store = Arc::new(store);
    let mut tasks = JoinSet::new();
    for n in 0..60 {
        let store = store.clone();
        tasks.spawn(async move {
            let mut unit = appending(&stream(), 0, if n % 20 == 7 { "{no JSON" } else { "{}" });
            if n % 20 == 3 {
                unit.cause.user = Some("a\0b".into());
            }
            (n, store.commit(unit).await)
        });
    }
    for (n, result) in tasks.join_all().await {
        match n % 20 {
            3 => assert!(matches!(&result, Err(StoreError::Unstorable(why)) if why.contains("NUL")), "{result:?}"),
            7 => assert!(matches!(&result, Err(StoreError::Unstorable(why)) if why.contains("JSON")), "{result:?}"),
            _ => assert!(result.is_ok(), "{result:?}"),
        }
    }
    assert_eq!(store.log(0, 100, None).await.unwrap().events.len(), 54);
}

#[tokio::test]
async fn statements_run_in_the_transaction_of_their_unit() {
    let Some(url) = server::url() else { return };
    let (store, schema) = (server::store(&url).await.unwrap(), server::schema_of(&url));
    let table = format!("{schema}.foos");
    let columns = "uuid uuid PRIMARY KEY, n int, price numeric, tags text[], extra jsonb, at timestamptz, done boolean";
    store.commit(executing(&format!("CREATE TABLE {table} ({columns})"), vec![])).await.unwrap();
    let id = Uuid::now_v7();
    let row = json!({ "uuid": id, "n": 1, "price": 9.95, "tags": ["a", "b, \"c\""], "extra": { "x": [1] }, "at": "2026-11-24T07:00:00+00:00", "done": true });
    let insert = format!("INSERT INTO {table} VALUES ($1, $2, $3, $4, $5, $6, $7)");
    let values = ["uuid", "n", "price", "tags", "extra", "at", "done"].map(|column| row[column].clone());
    store.commit(executing(&insert, values.to_vec())).await.unwrap();
    let select = Statement { sql: format!("SELECT * FROM {table} WHERE uuid = $1 -- all\n;"), parameters: vec![json!(id)] };
    assert_eq!(store.select(select.clone()).await.unwrap(), std::slice::from_ref(&row));

    let stream = stream();
    let mut unit = appending(&stream, 0, "{}");
    unit.statements = executing(&format!("UPDATE {table} SET n = 2"), vec![]).statements;
    unit.statements.extend(executing(&insert, values.to_vec()).statements);
    let error = store.commit(unit).await.unwrap_err();
    assert!(matches!(&error, StoreError::Statement { reason, sql } if reason.contains("duplicate key") && *sql == insert), "{error}");
    assert!(store.stream(stream, 0).await.unwrap().is_empty());
    assert_eq!(store.select(select.clone()).await.unwrap(), [row]);
    let error = store.commit(executing(&insert, vec![])).await.unwrap_err();
    assert!(matches!(&error, StoreError::Statement { reason, .. } if reason.contains("parameters")), "{error}");
    let write = Statement { sql: format!("WITH gone AS (DELETE FROM {table} RETURNING 1) SELECT * FROM gone"), parameters: vec![] };
    assert!(store.select(write).await.is_err());
    store.commit(executing(&format!("ALTER TABLE {table} DROP COLUMN extra"), vec![])).await.unwrap();
    until("the changed table is read", async || store.select(select.clone()).await.is_ok_and(|rows| rows[0].get("extra").is_none())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_fails_refuses_its_unit_only() {
    let Some(url) = server::url() else { return };
    let (store, schema) = (Arc::new(server::store(&url).await.unwrap()), server::schema_of(&url));
    store.commit(executing(&format!("CREATE TABLE {schema}.counts (n int CHECK (n <> 13))"), vec![])).await.unwrap();
    let mut tasks = JoinSet::new();
    for n in 0..40 {
        let (store, sql) = (store.clone(), format!("INSERT INTO {schema}.counts VALUES ($1)"));
        tasks.spawn(async move {
            let stream = stream();
            let unit = Unit { statements: executing(&sql, vec![json!(n)]).statements, ..appending(&stream, 0, "{}") };
            (n, store.commit(unit).await, store.stream(stream, 0).await.unwrap().len())
        });
    }
    for (n, result, events) in tasks.join_all().await {
        assert_eq!((result.is_ok(), events), (n != 13, usize::from(n != 13)), "{n}: {result:?}");
    }
    let count = Statement { sql: format!("SELECT count(*) AS n FROM {schema}.counts"), parameters: vec![] };
    assert_eq!(store.select(count).await.unwrap(), [json!({ "n": 39 })]);
    assert_eq!(store.log(0, 100, None).await.unwrap().events.len(), 39);
}

#[tokio::test]
async fn statements_stay_inside_their_transaction() {
    let Some(store) = server::open().await else { return };
    for sql in
        ["COMMIT", "-- x\n rollback", "/* /* */ */ BEGIN", "SAVEPOINT x", "SET search_path = x", "COPY x FROM STDIN", "LISTEN x", "END", ""]
    {
        let mut unit = appending(&stream(), 0, "{}");
        unit.statements = executing(sql, vec![]).statements;
        let error = store.commit(unit).await.unwrap_err();
        assert!(matches!(error, StoreError::Statement { .. }), "{sql}: {error}");
        assert!(store.select(Statement { sql: sql.to_owned(), parameters: vec![] }).await.is_err());
    }
    assert!(store.log(0, 10, None).await.unwrap().events.is_empty());
}

/// Two replicas that append to two streams in opposite orders, and never wait for each other in a circle.
#[tokio::test(flavor = "multi_thread")]
async fn f10_opposite_orders_never_deadlock() {
    let Some(server) = server::Private::start("") else { return };
    let replicas = [server::store(&server.url()).await.unwrap(), server::store(&server.url()).await.unwrap()].map(Arc::new);
    let streams: Vec<_> = (0..40).map(|_| stream()).collect();
    let mut tasks = JoinSet::new();
    for n in 0..48 {
        let (store, streams) = (replicas[n % 2].clone(), streams.clone());
        tasks.spawn(async move {
            let mut done = 0;
            while done < 15 {
                let (a, b) = (fastrand::usize(0..40), fastrand::usize(0..40));
                let mut unit = unit();
                for place in if a == b { vec![a] } else { vec![a, b] } {
                    let version = store.stream(streams[place].clone(), 0).await.unwrap().len() as u64;
                    unit.appends.extend(appending(&streams[place], version, "{}").appends);
                }
                match store.commit(unit).await {
                    Ok(_) => done += 1,
                    Err(StoreError::Conflict { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    tasks.join_all().await;
    for stream in &streams {
        let events = replicas[0].stream(stream.clone(), 0).await.unwrap();
        assert!(events.iter().zip(1..).all(|(event, version)| event.version == version));
    }
    for replica in &replicas {
        replica.close().await;
    }
    let client = server::client(&server.url()).await;
    let deadlocks: i64 =
        client.query_one("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()", &[]).await.unwrap().get(0);
    assert_eq!(deadlocks, 0);
}

/// Writers of two replicas on one stream: all succeed in the end, and the versions have no gap.
#[tokio::test(flavor = "multi_thread")]
async fn f6_a_storm_of_conflicts() {
    let Some(url) = server::url() else { return };
    let replicas = [server::store(&url).await.unwrap(), server::store(&url).await.unwrap()].map(Arc::new);
    let stream = stream();
    let mut tasks = JoinSet::new();
    for n in 0..60 {
        let (store, stream) = (replicas[n % 2].clone(), stream.clone());
        tasks.spawn(async move {
            let mut version = 0;
            loop {
                match store.commit(appending(&stream, version, "{}")).await {
                    Ok(_) => return,
                    Err(StoreError::Conflict { actual, .. }) => version = actual,
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    tasks.join_all().await;
    let events = replicas[1].stream(stream, 0).await.unwrap();
    assert_eq!(events.iter().map(|event| event.version).collect::<Vec<_>>(), (1..=60).collect::<Vec<_>>());
    until("all are read", async || replicas[0].log(0, 100, None).await.unwrap().events.len() == 60).await;
    let page = replicas[0].log(0, 100, None).await.unwrap();
    assert_eq!(page.read, page.events[59].position);
    // Whoever loses for the first time in a while draws a position in vain, and locks the stream from then on; all in all they lose some hundred times.
    assert!((59..80).contains(&(page.read - page.events[0].position)), "{} from {}", page.read, page.events[0].position);
}

/// A lease that passes to another replica fences what its old owner still has under way.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_fences_across_replicas() {
    let Some(url) = server::url() else { return };
    let (old, new) = (Arc::new(server::store(&url).await.unwrap()), server::store(&url).await.unwrap());
    let lease = old.acquire("relay", Uuid::now_v7(), Duration::ZERO).await.unwrap().unwrap();
    let saved = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let saving = tokio::spawn({
        let (old, lease, saved) = (old.clone(), lease.clone(), saved.clone());
        async move {
            for position in 1.. {
                let checkpoint = vec![("relay".to_owned(), position)];
                match old.commit(Unit { checkpoints: checkpoint, fence: Some(lease.clone()), ..unit() }).await {
                    Ok(_) => saved.store(position, Ordering::SeqCst),
                    Err(error) => return error,
                }
            }
            unreachable!()
        }
    });
    until("some are saved", async || saved.load(Ordering::SeqCst) > 20).await;
    new.acquire("relay", Uuid::now_v7(), Duration::from_secs(60)).await.unwrap().unwrap();
    let at_the_change = new.checkpoint("relay").await.unwrap();
    assert_eq!(saving.await.unwrap(), StoreError::Fenced("relay".to_owned()));
    assert_eq!((new.checkpoint("relay").await.unwrap(), saved.load(Ordering::SeqCst)), (at_the_change, at_the_change));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_belongs_to_the_service_that_opened_it_first() {
    let Some(url) = server::url() else { return };
    server::store(&url).await.unwrap().close().await;
    let error = PostgresStore::open(&url, "other", &Metrics::new("other")).await.err().expect("it is taken");
    let told = |text: &str| text.contains("belongs to the service `test`") && text.contains("`schema=`");
    assert!(matches!(&error, StoreError::Taken(text) if told(text)), "{error}");
    // As an earlier version has left it: of those that come at once, one gets it.
    let (client, schema) = (server::client(&url).await, server::schema_of(&url));
    let back = format!(
        "DROP TABLE {schema}.minos_service; ALTER TABLE {schema}.sagas DROP COLUMN trace; DROP INDEX {schema}.sagas_by_age; DROP INDEX {schema}.inbox_open; DROP FUNCTION {schema}.append_v2; DROP TABLE {schema}.documents, {schema}.unique_values, {schema}.snapshots, {schema}.subject_keys; DELETE FROM {schema}.minos_schema WHERE version >= 2"
    );
    client.batch_execute(&back).await.unwrap();
    let mut services = JoinSet::new();
    for n in 0..4 {
        let url = url.clone();
        services.spawn(async move { PostgresStore::open(&url, &format!("service{n}"), &Metrics::new("test")).await.is_ok() });
    }
    assert_eq!(services.join_all().await.into_iter().filter(|opened| *opened).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn executions_of_an_earlier_version_are_read() {
    let Some(url) = server::url() else { return };
    let store = server::store(&url).await.unwrap();
    let row = crate::store::suite::execution();
    store.commit(Unit { sagas: vec![SagaWrite { expected: 0, row: row.clone() }], ..unit() }).await.unwrap();
    store.close().await;
    let (client, schema) = (server::client(&url).await, server::schema_of(&url));
    let back = format!(
        "ALTER TABLE {schema}.sagas DROP COLUMN trace; DROP INDEX {schema}.sagas_by_age; DROP INDEX {schema}.inbox_open; DROP FUNCTION {schema}.append_v2; DROP TABLE {schema}.documents, {schema}.unique_values, {schema}.snapshots, {schema}.subject_keys; DELETE FROM {schema}.minos_schema WHERE version >= 3"
    );
    client.batch_execute(&back).await.unwrap();
    let store = server::store(&url).await.unwrap();
    let cause = Cause { trace: None, ..row.cause.clone() };
    assert_eq!(store.saga(row.id).await.unwrap(), Some(SagaRow { cause, ..row.clone() }));
    assert_eq!(store.live_sagas(Timestamp::UNIX_EPOCH, 10).await.unwrap(), [(row.started_at, row.id)]);
    store.close().await;
}

/// A value that is too large to be sent.
#[derive(Debug)]
struct TooLarge;

impl ToSql for TooLarge {
    fn to_sql(&self, _: &Type, _: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        Err(Box::new(std::io::Error::new(std::io::ErrorKind::InvalidInput, "value too large to transmit")))
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

#[tokio::test]
async fn what_was_never_sent_loses_no_connection() {
    let Some(url) = server::url() else { return };
    let client = server::client(&url).await;
    for error in [
        client.query("SELECT $1::text", &[&TooLarge]).await.unwrap_err(),
        client.query("SELECT $1::text", &[]).await.unwrap_err(),
        client.query("SELECT 1", &[]).await.unwrap()[0].try_get::<_, String>(0).unwrap_err(),
    ] {
        assert!(!errors::is_loss(&error) && errors::is_of_the_client(&error), "{error:?}");
    }
    let end = client.query("SELECT pg_terminate_backend(pg_backend_pid())", &[]).await.unwrap_err();
    assert!(errors::is_loss(&end), "{end:?}");
    let after = client.query("SELECT 1", &[]).await.unwrap_err();
    assert!(errors::is_loss(&after), "{after:?}");
}

/// The only connection for queries of the user is free again when nobody waits for its query any more.
#[tokio::test]
async fn a_query_that_nobody_waits_for_is_ended() {
    let Some(url) = server::url() else { return };
    let store = server::store(&format!("{url}&connections=4")).await.unwrap();
    let select = |sql: &str| store.select(Statement { sql: sql.to_owned(), parameters: vec![] });
    let client = server::client(&url).await;
    let mark = Uuid::now_v7();
    let sql = format!("SELECT pg_sleep(60) /* {mark} */");
    let running = "SELECT FROM pg_stat_activity WHERE state = 'active' AND strpos(query, $1) > 0 AND pid <> pg_backend_pid()";
    let count = async || client.query(running, &[&mark.to_string()]).await.unwrap().len();
    {
        let mut abandoned = std::pin::pin!(select(&sql));
        tokio::select! {
            _ = &mut abandoned => panic!("it takes a minute"),
            () = until("it runs", async || count().await == 1) => {}
        }
    }
    let next = tokio::time::timeout(Duration::from_secs(10), select("SELECT 1 AS n")).await;
    assert_eq!(next.expect("it does not wait for the other one").unwrap(), [json!({ "n": 1 })]);
    until("it is ended in the database, too", async || count().await == 0).await;
}

#[tokio::test]
async fn what_is_too_long_for_an_index_is_refused_for_good() {
    let Some(store) = server::open().await else { return };
    let long: String = (0..2000).map(|_| Uuid::now_v7().simple().to_string()).collect();
    let handled = Handled::Message { key: long, answer: String::new() };
    let mark = Some(Mark { subscriber: "reader".into(), handled, lane: None });
    let refused = store.commit(Unit { mark, ..unit() }).await;
    assert!(matches!(&refused, Err(error @ StoreError::Unstorable(_)) if !error.kind().is_transient()), "{refused:?}");
    store.ping().await.unwrap();
    assert!(!store.failed.load(Ordering::Relaxed), "the others go on");
}

#[tokio::test]
async fn an_error_with_nul_in_it_is_put_aside() {
    let Some(store) = server::open().await else { return };
    let letter = NewDeadLetter {
        subscriber: "reader".to_owned(),
        key: "Foo/1".to_owned(),
        topic: "Foo".to_owned(),
        headers: "{}".to_owned(),
        content: vec![0],
        cause: "unknown variant `a\0b`".to_owned(),
        attempts: 1,
    };
    store.commit(Unit { dead_letters: vec![letter], ..unit() }).await.unwrap();
    let cause = store.dead_letters(None, 0, 1).await.unwrap()[0].letter.cause.clone();
    assert_eq!(cause, "unknown variant `a\u{fffd}b`");
}

#[tokio::test]
async fn who_gave_up_does_not_wait_any_more() {
    let Some(url) = server::url() else { return };
    let metrics = Metrics::new("test");
    let store = PostgresStore::open(&url, "test", &metrics).await.unwrap();
    for _ in 0..10 {
        assert!(futures_util::FutureExt::now_or_never(store.commit(appending(&stream(), 0, "{}"))).is_none());
    }
    assert_eq!(metrics.queue.get(), 0);
    store.close().await;
}
