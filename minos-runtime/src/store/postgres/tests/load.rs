//! Streams that are read at once.

use super::*;
use futures_util::{FutureExt, future::join_all};

async fn written(store: &PostgresStore, events: u64, bytes: usize) -> StreamId {
    let stream = stream();
    let event = || NewEvent { name: "E".into(), data: format!("\"{}\"", incompressible(bytes)) };
    let events = (0..events).map(|_| event()).collect();
    store.commit(Unit { appends: vec![Append { stream: stream.clone(), expected: 0, events }], ..unit() }).await.unwrap();
    stream
}

fn incompressible(bytes: usize) -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(bytes).collect()
}

fn versions(events: &[StoredEvent]) -> Vec<u64> {
    events.iter().map(|event| event.version).collect()
}

/// Short and long ones, of many events and of large ones, from the beginning and from behind it, and some that are not there.
#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_read_at_once_are_whole_and_in_order() {
    let Some(store) = server::open().await else { return };
    let (mut asked, mut expected) = (Vec::new(), Vec::new());
    for (events, bytes) in [(1, 10), (3, 10), (300, 10), (20, 30_000), (2, 200_000), (129, 600), (128, 1), (127, 1), (1000, 1)] {
        let stream = written(&store, events, bytes).await;
        for after in [0, 1, events / 2, events, events + 1] {
            asked.push((stream.clone(), after));
            expected.push((after + 1..=events).collect::<Vec<_>>());
        }
    }
    asked.extend((0..200).map(|_| (stream(), 0)));
    expected.resize(asked.len(), Vec::new());
    let found = join_all(asked.iter().map(|(stream, after)| store.stream(stream.clone(), *after))).await;
    for (((stream, after), expected), found) in asked.iter().zip(expected).zip(found) {
        let found = found.unwrap();
        assert_eq!(versions(&found), expected, "after {after}");
        assert!(found.iter().all(|event| event.stream == *stream));
    }
}

/// What is wrong with one is told to that one.
#[tokio::test]
async fn a_stream_that_cannot_be_read_fails_alone() {
    let Some(store) = server::open().await else { return };
    let good = written(&store, 3, 10).await;
    let wrong = StreamId::new("a\0b".to_owned(), Uuid::now_v7());
    let found = join_all((0..60).map(|n| store.stream(if n % 20 == 7 { wrong.clone() } else { good.clone() }, 0))).await;
    for (n, found) in found.into_iter().enumerate() {
        match n % 20 {
            7 => assert!(matches!(&found, Err(StoreError::Unstorable(why)) if why.contains("NUL")), "{found:?}"),
            _ => assert_eq!(versions(&found.unwrap()), [1, 2, 3]),
        }
    }
}

/// Those who asked at the same time, and gave up or not.
#[tokio::test]
async fn who_gives_up_takes_nobody_along() {
    let Some(store) = server::open().await else { return };
    let stream = written(&store, 3, 10).await;
    for round in 0..20 {
        let mut reads: Vec<_> = (0..40).map(|_| store.stream(stream.clone(), 0)).collect();
        assert!(reads.iter_mut().all(|read| read.now_or_never().is_none()));
        if round % 2 == 1 {
            tokio::task::yield_now().await;
        }
        let stay: Vec<_> = reads.into_iter().enumerate().filter(|(n, _)| n % 3 == round % 3).map(|(_, read)| read).collect();
        let found = tokio::time::timeout(Duration::from_secs(10), join_all(stay)).await.expect("they are answered");
        assert!(found.into_iter().all(|found| versions(&found.unwrap()) == [1, 2, 3]));
        if round % 4 < 2 {
            // Those that serve the queue find it empty, and end.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Even in a table that is quick to read from end to end: it grows, and the statement stays prepared.
#[tokio::test]
async fn streams_are_found_by_the_index() {
    let Some(url) = server::url() else { return };
    let store = server::store(&url).await.unwrap();
    // Each index was built by one scan of the table.
    let scans = format!(
        "SELECT seq_scan - (SELECT count(*) FROM pg_index WHERE indrelid = relid), idx_scan FROM pg_stat_user_tables
        WHERE schemaname = '{}' AND relname = 'events'",
        server::schema_of(&url)
    );
    let client = server::client(&url).await;
    let first = written(&store, 1, 10).await;
    client.batch_execute(&format!("ANALYZE {}.events", server::schema_of(&url))).await.unwrap();
    assert_eq!(store.stream(first, 0).await.unwrap().len(), 1);
    let streams: Vec<_> = (0..50).map(|_| stream()).collect();
    for stream in &streams {
        assert!(store.stream(stream.clone(), 0).await.unwrap().is_empty());
    }
    let all = join_all(streams.iter().map(|stream| store.stream(stream.clone(), 0))).await;
    assert!(all.into_iter().all(|events| events.unwrap().is_empty()));
    store.close().await;
    until("the server has counted", async || client.query_one(&scans, &[]).await.unwrap().get::<_, Option<i64>>(1).unwrap_or(0) >= 100)
        .await;
    let row = client.query_one(&scans, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 0);
}
