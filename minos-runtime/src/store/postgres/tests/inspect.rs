//! Looking at a schema without opening it.

use super::*;
use crate::store::inspect;

#[tokio::test]
async fn looking_at_a_schema_changes_nothing() {
    let Some(url) = server::url() else { return };
    let new = inspect(&url).await.unwrap();
    assert_eq!((new.version, &new.owner), (0, &None));
    assert!(new.latest > 0 && new.place.starts_with("postgres ") && new.place.contains(&server::schema_of(&url)), "{new:?}");
    let client = server::client(&url).await;
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = $1";
    let count: i64 = client.query_one(schemas, &[&server::schema_of(&url)]).await.unwrap().get(0);
    assert_eq!(count, 0, "it is not there because somebody looked");
    let store = server::store(&url).await.unwrap();
    let known = inspect(&url).await.unwrap();
    assert_eq!((known.version, known.owner.as_deref()), (known.latest, Some("test")));
    store.close().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_soon() {
    let before = Instant::now();
    let error = inspect("postgres://ada:secret@127.0.0.1:1/shop").await.unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:1") && !error.contains("secret"), "{error}");
    assert!(before.elapsed() < Duration::from_secs(10), "{:?}", before.elapsed());
}
