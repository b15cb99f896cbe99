//! What must hold after every run.

use crate::cluster::{Acknowledged, Cluster, ITEMS};
use minos::{
    prelude::*,
    store::{SharedStore, Statement},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How long everything may take to be handled after the last fault.
const SETTLES_WITHIN: Duration = Duration::from_secs(90);

/// Waits until all is handled, and checks that nothing is lost, nothing doubled, and nothing out of order.
pub async fn hold(cluster: &Cluster, acknowledged: &Acknowledged) {
    let store = cluster.store().await;
    // What another process has committed a moment ago may be a moment away from those who read the log.
    let since = Instant::now();
    let orders = loop {
        let orders = orders(&store).await;
        let missing = acknowledged.iter().find(|(uuid, version)| orders.get(uuid).map_or(0, Vec::len) < *version as usize);
        let Some((uuid, version)) = missing else { break orders };
        assert!(since.elapsed() < Duration::from_secs(5), "acknowledged at version {version}, and lost: {uuid} {:?}", orders.get(uuid));
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    for (uuid, versions) in &orders {
        assert!(
            versions.iter().copied().eq(1..=versions.len() as u64),
            "a stream has gaps, or is not in order in the log: {uuid} {versions:?}"
        );
    }
    let expected: usize = orders.values().map(Vec::len).sum();

    let since = Instant::now();
    loop {
        let (followed, shipped) = (count(&store, "follow").await, count(&store, "ship").await);
        if followed >= expected && shipped >= orders.len() && count_of(&store, "SELECT count(*) AS n FROM minos.outbox").await == 0 {
            break;
        }
        assert!(since.elapsed() < SETTLES_WITHIN, "not handled: followed {followed} of {expected}, shipped {shipped} of {}", orders.len());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(count(&store, "follow").await, expected, "each event was followed once");
    assert_eq!(count(&store, "ship").await, orders.len(), "each order was shipped once");
    let out_of_order = "SELECT count(*) AS n FROM (SELECT version, lag(version) OVER (PARTITION BY uuid ORDER BY n) AS before FROM traces
        WHERE handler = 'follow') AS t WHERE coalesce(before, 0) <> version - 1";
    assert_eq!(count_of(&store, out_of_order).await, 0, "each stream was followed in order, without a gap");
    let mut tallied = 0;
    for n in 0..ITEMS {
        let item = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("item {n}").as_bytes());
        tallied += store.stream(minos::store::StreamId::new("Tally", item), 0).await.unwrap().len();
    }
    assert_eq!(tallied, orders.len(), "each order was counted once");
    assert!(store.dead_letters(None, 0, 1).await.unwrap().is_empty(), "nothing was given up");
    let idle = "SELECT count(*) AS n FROM pg_stat_activity WHERE state = 'idle in transaction'";
    assert_eq!(count_of(&store, idle).await, 0, "no transaction is left open");
    store.close().await;
    eprintln!("{} orders acknowledged, {} stored, {expected} events followed once each, in order", acknowledged.len(), orders.len());
}

/// The versions of each order, in the order of the log.
async fn orders(store: &SharedStore) -> BTreeMap<Uuid, Vec<u64>> {
    let (mut orders, mut after) = (BTreeMap::<Uuid, Vec<u64>>::new(), 0);
    loop {
        let page = store.log(after, 5000, Some(&["Order".to_owned()])).await.unwrap();
        let Some(last) = page.events.last() else { return orders };
        after = last.position;
        for event in page.events {
            orders.entry(event.stream.uuid).or_default().push(event.version);
        }
    }
}

pub async fn count(store: &SharedStore, handler: &str) -> usize {
    count_of(store, &format!("SELECT count(*) AS n FROM traces WHERE handler = '{handler}'")).await
}

/// Waits until this handler has left so many traces.
pub async fn reaches(store: &SharedStore, handler: &str, expected: usize) {
    let since = Instant::now();
    while count(store, handler).await < expected {
        assert!(since.elapsed() < SETTLES_WITHIN, "{handler} has handled {} of {expected}", count(store, handler).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn count_of(store: &SharedStore, sql: &str) -> usize {
    let rows: Vec<Value> = store.select(Statement { sql: sql.to_owned(), parameters: vec![] }).await.unwrap();
    rows[0]["n"].as_u64().unwrap() as usize
}
