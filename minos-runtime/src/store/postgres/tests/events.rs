//! Batches of nothing but events, which lock no stream before they write to it.

use super::{
    held::{Held, begun},
    server, *,
};
use futures_util::future::join_all;

/// A unit with so many events in this stream.
fn events(stream: &StreamId, expected: u64, data: &[&str]) -> Append {
    let events = data.iter().map(|data| NewEvent { name: "E".into(), data: (*data).to_owned() }).collect();
    Append { stream: stream.clone(), expected, events }
}

async fn data(store: &PostgresStore, stream: &StreamId) -> Vec<String> {
    store.stream(stream.clone(), 0).await.unwrap().into_iter().map(|event| event.data).collect()
}

/// How many batches have left an outcome behind, as those do that are appended behind locks.
async fn outcomes(client: &tokio_postgres::Client, url: &str) -> i64 {
    client.query_one(&format!("SELECT count(*) FROM {}.batches", server::schema_of(url)), &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_appended_in_their_order_and_need_no_outcome() {
    let Some(url) = server::url() else { return };
    let (store, client) = (server::store(&url).await.unwrap(), server::client(&url).await);
    let (one, other) = (stream(), stream());
    let first = Unit { appends: vec![events(&one, 0, &["1", "2"]), events(&other, 0, &["3"])], ..unit() };
    let second = Unit { appends: vec![events(&other, 1, &["4", "5"]), events(&one, 2, &["6"])], ..unit() };
    let (first, second) = (store.commit(first).await.unwrap(), store.commit(second).await.unwrap());
    let log = store.log(0, 100, None).await.unwrap().events;
    assert_eq!(log.iter().map(|event| event.data.as_str()).collect::<Vec<_>>(), ["1", "2", "3", "4", "5", "6"]);
    assert_eq!((first.position, second.position), (log[2].position, log[5].position), "where the last event of each is");
    // On a busy machine the batch before may seem to take so long that this one goes over another connection, where streams are locked.
    let mut needs_none = false;
    for _ in 0..20 {
        let before = outcomes(&client, &url).await;
        store.commit(appending(&stream(), 0, "7")).await.unwrap();
        needs_none |= outcomes(&client, &url).await == before;
    }
    assert!(needs_none);
    let before = outcomes(&client, &url).await;
    store.commit(Unit { appends: vec![events(&one, 3, &["8"])], ..sending("topic", "") }).await.unwrap();
    assert_eq!(outcomes(&client, &url).await, before + 1, "what has more than events goes the other way");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_wrong_about_a_version_is_refused_and_the_others_of_the_batch_are_not() {
    let Some(url) = server::url() else { return };
    let there = stream();
    server::store(&url).await.unwrap().commit(appending(&there, 0, "1")).await.unwrap();
    // Too low, too high, and one that is not there at all.
    for (stream, expected, actual) in [(&there, 0, 1), (&there, 3, 1), (&stream(), 2, 0)] {
        // A new one each time: whoever has met this locks streams for a while.
        let store = server::store(&url).await.unwrap();
        let neighbours: Vec<_> = (0..8).map(|_| store.commit(appending(&super::stream(), 0, "1"))).collect();
        let (wrong, neighbours) = tokio::join!(store.commit(appending(stream, expected, "2")), join_all(neighbours));
        assert_eq!(wrong, Err(StoreError::Conflict { stream: stream.clone(), expected, actual }));
        assert!(neighbours.iter().all(Result::is_ok), "{neighbours:?}");
        assert_eq!(data(&store, &there).await, ["1"]);
    }
}

/// Another process has written the same version, and not committed it yet.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_processes_writes_a_version() {
    let Some(url) = server::url() else { return };
    for how in ["COMMIT", "ROLLBACK"] {
        // A new one each time: whoever has met this locks streams for a while.
        let (store, stream) = (Arc::new(server::store(&url).await.unwrap()), stream());
        let held = Held::begin(&url).await;
        held.append(&appending(&stream, 0, "\"theirs\"")).await;
        let commit = {
            let (store, unit) = (store.clone(), appending(&stream, 0, "\"ours\""));
            async move { store.commit(unit).await.map(|_| ()) }
        };
        let ours = begun(&url, commit).await;
        let beside = tokio::time::timeout(Duration::from_secs(5), store.commit(appending(&super::stream(), 0, "1")));
        assert!(beside.await.expect("others do not wait with it").is_ok());
        assert!(!ours.is_finished(), "it waits for what becomes of the other one");
        held.end(how).await;
        let expected = if how == "COMMIT" { Err(StoreError::Conflict { stream: stream.clone(), expected: 0, actual: 1 }) } else { Ok(()) };
        assert_eq!(ours.await.unwrap(), expected, "{how}");
        assert_eq!(data(&store, &stream).await, [if how == "COMMIT" { "\"theirs\"" } else { "\"ours\"" }]);
    }
}

/// Two processes write the same streams all the time: each version is there once, each loser is told, and nobody's neighbours suffer.
#[tokio::test(flavor = "multi_thread")]
async fn processes_that_write_the_same_streams_lose_nothing() {
    const EACH: usize = 40;
    let Some(url) = server::url() else { return };
    let stores = [server::store(&url).await.unwrap(), server::store(&url).await.unwrap()].map(Arc::new);
    let shared: Vec<_> = (0..4).map(|_| stream()).collect();
    let mut tasks = JoinSet::new();
    for n in 0..16 {
        let (store, stream) = (stores[n % 2].clone(), shared[n % 4].clone());
        tasks.spawn(async move {
            for _ in 0..EACH {
                let mut version = store.stream(stream.clone(), 0).await.unwrap().len() as u64;
                // A neighbour of each attempt, which nobody contends with.
                loop {
                    let neighbour = store.commit(appending(&super::stream(), 0, "1"));
                    let (result, neighbour) = tokio::join!(store.commit(appending(&stream, version, "1")), neighbour);
                    assert!(neighbour.is_ok(), "{neighbour:?}");
                    match result {
                        Ok(_) => break,
                        Err(StoreError::Conflict { actual, expected, .. }) => {
                            assert!(actual > expected, "{actual} is not above {expected}");
                            version = actual;
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    for stream in shared {
        let events = stores[0].stream(stream, 0).await.unwrap();
        assert_eq!(events.iter().map(|event| event.version).collect::<Vec<_>>(), (1..=4 * EACH as u64).collect::<Vec<_>>());
    }
}
