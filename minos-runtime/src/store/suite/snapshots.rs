//! Snapshots: what they say together with the events behind them.

use super::{appending, stream, unit};
use crate::store::{Loaded, NewSnapshot, SharedStore, Snapshot, StreamId, Unit};
use tokio::task::JoinSet;

fn new(stream: &StreamId, version: u64, schema: &str, state: &str) -> NewSnapshot {
    NewSnapshot { stream: stream.clone(), version, schema: schema.to_owned(), state: state.to_owned() }
}

fn stored(version: u64, schema: &str, state: &str) -> Option<Snapshot> {
    Some(Snapshot { version, schema: schema.to_owned(), state: state.to_owned() })
}

/// Snapshots are no reason to refuse a unit.
async fn put(store: &SharedStore, snapshots: Vec<NewSnapshot>) {
    store.commit(Unit { snapshots, ..unit() }).await.expect("they are written, or are older");
}

/// The snapshot, and the versions behind it.
async fn load(store: &SharedStore, stream: &StreamId) -> (Option<Snapshot>, Vec<u64>) {
    let Loaded { snapshot, events } = store.load(stream.clone()).await.expect("it is read");
    assert!(events.iter().all(|event| event.stream == *stream));
    (snapshot, events.iter().map(|event| event.version).collect())
}

#[allow(missing_docs)]
pub async fn a_state_is_a_snapshot_and_what_came_behind_it(store: SharedStore) {
    let (foo, bar) = (stream(), stream());
    assert_eq!(load(&store, &foo).await, (None, vec![]));
    store.commit(appending(&foo, 0, &["A", "B", "C"])).await.expect("a new stream");
    assert_eq!(load(&store, &foo).await, (None, vec![1, 2, 3]));
    let unit_with = Unit { snapshots: vec![new(&foo, 4, "s1", r#"{"n":4,"t":"ä \u0000"}"#)], ..appending(&foo, 3, &["D"]) };
    store.commit(unit_with.clone()).await.expect("the version fits");
    assert!(store.commit(Unit { snapshots: vec![new(&foo, 9, "s1", "9")], ..unit_with }).await.is_err());
    let at_4 = stored(4, "s1", r#"{"n":4,"t":"ä \u0000"}"#);
    assert_eq!(load(&store, &foo).await, (at_4.clone(), vec![]), "nothing of what was refused is there");
    store.commit(appending(&foo, 4, &["E", "F"])).await.expect("the version fits");
    assert_eq!(load(&store, &foo).await, (at_4.clone(), vec![5, 6]));
    let data = store.load(foo.clone()).await.expect("it is read").events;
    assert_eq!(data, store.stream(foo.clone(), 4).await.expect("it is read"));
    for older in [new(&foo, 3, "s1", "3"), new(&foo, 4, "s1", "4"), new(&bar, 0, "s1", "0")] {
        put(&store, vec![older]).await;
    }
    assert_eq!(load(&store, &foo).await, (at_4, vec![5, 6]), "an older one changes nothing");
    put(&store, vec![new(&foo, 4, "s2", "4"), new(&foo, 2, "s2", "2")]).await;
    assert_eq!(load(&store, &foo).await, (stored(4, "s2", "4"), vec![5, 6]), "another schema of the same version is newer");
    put(&store, vec![new(&foo, 5, "s2", "5"), new(&foo, 6, "s2", "6"), new(&bar, 1, "s2", "1")]).await;
    assert_eq!(load(&store, &foo).await, (stored(6, "s2", "6"), vec![]));
    assert_eq!(load(&store, &bar).await, (stored(1, "s2", "1"), vec![]), "what there is no stream of is told all the same");
    let other = StreamId::new("Bar", foo.uuid);
    assert_eq!(load(&store, &other).await, (None, vec![]), "another aggregate");
    store.forget_snapshot(other).await.expect("there is none");
    store.forget_snapshot(foo.clone()).await.expect("it is removed");
    assert_eq!(load(&store, &foo).await, (None, vec![1, 2, 3, 4, 5, 6]));
}

/// Long ones beside short ones, with and without a snapshot, while others append.
#[allow(missing_docs)]
pub async fn many_states_are_loaded_at_once(store: SharedStore) {
    let streams: Vec<_> = (0..30).map(|_| stream()).collect();
    for (n, stream) in streams.iter().enumerate() {
        let names = vec!["E"; if n % 10 == 0 { 400 } else { 3 }];
        store.commit(appending(stream, 0, &names)).await.expect("a new stream");
        if n % 2 == 0 {
            put(&store, vec![new(stream, 2, "s", &"x".repeat(n * 1000))]).await;
        }
    }
    let mut tasks = JoinSet::new();
    for (n, stream) in streams.iter().cloned().enumerate().cycle().take(120) {
        let store = store.clone();
        tasks.spawn(async move {
            let (snapshot, versions) = load(&store, &stream).await;
            let last = if n % 10 == 0 { 400 } else { 3 };
            let first = if n % 2 == 0 { 3 } else { 1 };
            assert_eq!(snapshot, (n % 2 == 0).then(|| stored(2, "s", &"x".repeat(n * 1000))).flatten());
            assert_eq!(versions, (first..=last).collect::<Vec<_>>());
            assert_eq!(store.stream(stream, 0).await.expect("it is read").len() as u64, last);
        });
    }
    tasks.join_all().await;
}
