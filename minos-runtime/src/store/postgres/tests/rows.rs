//! Documents by their indexes, and unique values between processes.

use super::*;
use crate::store::{
    Cursor, Direction, DocumentWrite, Kind, Op, Order, UniqueWrite,
    query::{Dialect, Parameter, Query},
};
use serde_json::Value as Json;
use tokio_postgres::SimpleQueryMessage;

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// How the server goes about a query whose values it does not know.
async fn plan(client: &tokio_postgres::Client, Query { sql, parameters }: &Query) -> String {
    let literal = |parameter: &Parameter| match parameter {
        Parameter::Text(text) => quoted(text),
        Parameter::List(texts) => format!("ARRAY[{}]::text[]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ")),
    };
    let values: Vec<_> = parameters.iter().map(literal).collect();
    let values = if values.is_empty() { String::new() } else { format!("({})", values.join(", ")) };
    client.batch_execute(&format!("SET plan_cache_mode = force_generic_plan; PREPARE q AS {sql}")).await.unwrap();
    let rows = client.simple_query(&format!("EXPLAIN EXECUTE q{values}")).await.unwrap();
    client.batch_execute("DEALLOCATE q").await.unwrap();
    let line = |row: &SimpleQueryMessage| match row {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    };
    rows.iter().filter_map(line).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_indexed_is_found_by_its_index() {
    let Some(url) = server::url() else { return };
    let (store, client, schema) = (server::store(&url).await.unwrap(), server::client(&url).await, server::schema_of(&url));
    let table = format!("{schema}.documents");
    let body =
        |n: u64| json!({ "text": format!("a{n}"), "number": n, "at": format!("2026-01-01T00:00:00.{n:06}Z"), "in": { "o'd\"d \\": n } });
    for collection in ["it's", "other"] {
        for first in (0..2000).step_by(250) {
            let write = |n: u64| DocumentWrite {
                collection: collection.into(),
                key: n.to_string(),
                body: Some(body(n).to_string()),
                expected: None,
            };
            store.commit(Unit { documents: (first..first + 250).map(write).collect(), ..unit() }).await.unwrap();
        }
    }
    let fields = [
        (Field::new(["text"], Kind::Text), json!("a7")),
        (Field::new(["number"], Kind::Number), json!(7)),
        (Field::new(["at"], Kind::Time), json!("2026-01-01T00:00:00.000007Z")),
        (Field::new(["in", "o'd\"d \\"], Kind::Number), json!(7)),
    ];
    for (field, _) in &fields {
        store.index("it's", field.clone()).await.unwrap();
    }
    client.batch_execute(&format!("ANALYZE {table}")).await.unwrap();
    for (field, value) in &fields {
        let (name, _) = Dialect::Postgres.index(&schema, "it's", field);
        let equal = Filter::Compare { field: field.clone(), op: Op::Eq, value: value.clone() };
        let among = Filter::In { field: field.clone(), values: vec![value.clone()] };
        let find = Find { filter: equal.clone(), ..Find::all("it's", 10) };
        let counts = [&equal, &among].map(|filter| Dialect::Postgres.count(&table, "it's", filter));
        for query in Dialect::Postgres.find(&table, &find).iter().chain(&counts) {
            let plan = plan(&client, query).await;
            assert!(plan.contains(&name), "{query:?}: {plan}");
        }
        for filter in [equal, among] {
            assert_eq!(store.count("it's", filter).await, Ok(1));
        }
        for direction in [Direction::Ascending, Direction::Descending] {
            for value in [None, Some(value), Some(&Json::Null)] {
                let order = vec![Order { field: field.clone(), direction }];
                let after = value.map(|value| Cursor { values: vec![value.clone()], key: "k".to_owned() });
                for query in Dialect::Postgres.find(&table, &Find { order, after, ..Find::all("it's", 10) }) {
                    let plan = plan(&client, &query).await;
                    assert!(plan.contains(&name) || query.sql.contains("IS NULL AND"), "{direction:?} {value:?}: {plan}");
                    assert!(value.is_none_or(Json::is_null) || plan.contains("Index Cond"), "it begins where the last page ended: {plan}");
                }
            }
        }
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_was_begun_is_made_anew() {
    let Some(url) = server::url() else { return };
    let (store, client, schema) = (server::store(&url).await.unwrap(), server::client(&url).await, server::schema_of(&url));
    let field = Field::new(["n"], Kind::Number);
    let (name, _) = Dialect::Postgres.index(&schema, "foos", &field);
    store.index("foos", field.clone()).await.unwrap();
    let state = format!("SELECT indexrelid::int8, indisvalid FROM pg_index WHERE indexrelid = '{schema}.{name}'::regclass");
    let first: i64 = client.query_one(&state, &[]).await.unwrap().get(0);
    store.index("foos", field.clone()).await.unwrap();
    assert_eq!(client.query_one(&state, &[]).await.unwrap().get::<_, i64>(0), first, "it is there");
    client.batch_execute(&format!("UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{schema}.{name}'::regclass")).await.unwrap();
    store.index("foos", field).await.unwrap();
    let row = client.query_one(&state, &[]).await.unwrap();
    assert!(row.get::<_, i64>(0) != first && row.get::<_, bool>(1));
}

/// A unit of a read model has many documents: what is done to each is looked up, and not looked for among all.
#[tokio::test(flavor = "multi_thread")]
async fn a_unit_takes_as_long_as_it_has_documents() {
    const DOCUMENTS: usize = 30_000;
    const WITHIN: std::time::Duration = std::time::Duration::from_secs(60);
    let Some(url) = server::url() else { return };
    let store = server::store(&url).await.unwrap();
    let steps =
        [(None, Some("1"), 1), (Some(1), Some("2"), 2), (Some(2), None, 0), (Some(0), Some("3"), 1), (None, Some("4"), 2), (None, None, 0)];
    for (expected, body, version) in steps {
        let write = |n: usize| DocumentWrite { collection: "many".into(), key: n.to_string(), body: body.map(str::to_owned), expected };
        let documents = (0..DOCUMENTS).map(write).collect();
        let committed = tokio::time::timeout(WITHIN, store.commit(Unit { documents, ..unit() })).await;
        committed.unwrap_or_else(|_| panic!("{expected:?}, {body:?}: it takes too long")).unwrap();
        let count = if body.is_some() { DOCUMENTS as u64 } else { 0 };
        assert_eq!(store.count("many", Filter::All(Vec::new())).await, Ok(count));
        let document = store.document("many", "7").await.unwrap();
        assert_eq!(document.map(|document| (document.version, document.body)), body.map(|body| (version, body.to_owned())));
    }
    store.close().await;
}

/// Writers of two processes hand unique values on in all directions: none waits in a circle, and no value has two owners.
#[tokio::test(flavor = "multi_thread")]
async fn unique_values_change_hands_between_processes() {
    let Some(server) = server::Private::start("") else { return };
    let replicas = [server::store(&server.url()).await.unwrap(), server::store(&server.url()).await.unwrap()].map(Arc::new);
    let write =
        |uuid, value: usize, takes| UniqueWrite { aggregate: "Foo".into(), field: "n".into(), value: value.to_string(), uuid, takes };
    let mut tasks = JoinSet::new();
    for n in 0..32 {
        let (store, me) = (replicas[n % 2].clone(), Uuid::now_v7());
        tasks.spawn(async move {
            let (mut mine, mut taken): (Option<[usize; 2]>, usize) = (None, 0);
            for round in 0..40 {
                // Two at once, in whatever order.
                let wanted = [(n * 5 + round * 7) % 9, (n * 3 + round * 11) % 9];
                let mut writes: Vec<_> = wanted.iter().map(|value| write(me, *value, true)).collect();
                writes.extend(mine.iter().flatten().filter(|value| !wanted.contains(value)).map(|value| write(me, *value, false)));
                let stream = stream();
                match store.commit(Unit { unique: writes, ..appending(&stream, 0, "{}") }).await {
                    Ok(_) => (mine, taken) = (Some(wanted), taken + 1),
                    Err(StoreError::NotUnique { owner, .. }) => assert_ne!(owner, me),
                    Err(error) => panic!("{error}"),
                }
                for value in mine.iter().flatten() {
                    assert_eq!(store.owner_of("Foo", "n", &value.to_string()).await.unwrap(), Some(me));
                }
                if let Some(have) = mine.filter(|_| round % 2 == 0) {
                    let unique = have.iter().map(|value| write(me, *value, false)).collect();
                    store.commit(Unit { unique, ..unit() }).await.unwrap();
                    mine = None;
                }
            }
            taken
        });
    }
    let taken: usize = tasks.join_all().await.into_iter().sum();
    assert!(taken > 100, "{taken}");
    for replica in &replicas {
        replica.close().await;
    }
    let client = server::client(&server.url()).await;
    let deadlocks: i64 =
        client.query_one("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()", &[]).await.unwrap().get(0);
    assert_eq!(deadlocks, 0);
}
