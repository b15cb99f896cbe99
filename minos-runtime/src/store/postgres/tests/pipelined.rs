//! Batches that are sent behind one that has not been answered for.

use super::{faults::through_proxy, proxy::Cut, server, *};
use futures_util::future::join_all;
use tokio_postgres::Client;

/// Waits until a commit waits for a lock. The client's port of its connection.
async fn waited(client: &Client, lock: i64, commit: &JoinHandle<StoreResult<()>>) -> i32 {
    // Inside of its transaction the client would see the same activity again and again.
    let sql = format!(
        "SELECT client_port FROM pg_locks JOIN pg_stat_activity USING (pid)
         WHERE locktype = 'advisory' AND NOT granted AND objid = ({lock} & 4294967295)::oid"
    );
    loop {
        assert!(!commit.is_finished(), "it waits for nothing");
        client.execute("SELECT pg_stat_clear_snapshot()", &[]).await.unwrap();
        if let Some(row) = client.query(&sql, &[]).await.unwrap().first() {
            return row.get(0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_long_behind_a_batch_that_waits_for_somebody_else() {
    let Some(url) = server::url() else { return };
    let (store, client) = (Arc::new(server::store(&url).await.unwrap()), server::client(&url).await);
    for _ in 0..5 {
        let (stream, unit, lock) = locked(&url, &client, "{}").await;
        let held = committing(&store, unit);
        waited(&client, lock, &held).await;
        // As many as are sent behind it, then a few, and again as many: it has taken too long by then.
        for units in [queue::WORTH + 1, 1, queue::WORTH + 1] {
            let commits = join_all((0..units).map(|_| store.commit(appending(&super::stream(), 0, "{}"))));
            let results = tokio::time::timeout(Duration::from_secs(5), commits).await.expect("they do not wait for it");
            assert!(results.iter().all(Result::is_ok), "{results:?}");
        }
        assert!(!held.is_finished());
        client.batch_execute("ROLLBACK").await.unwrap();
        assert_eq!(held.await.unwrap(), Ok(()));
        assert_eq!(store.stream(stream, 0).await.unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f4_what_is_sent_behind_a_batch_is_lost_with_its_connection_and_happens_once() {
    let Some(url) = server::url() else { return };
    let (proxy, store) = through_proxy(&url).await;
    let client = server::client(&url).await;
    for cut in [Cut::Before, Cut::After, Cut::Late] {
        // On a busy machine the second batch may come so late that it goes over another connection.
        let mut together = false;
        for _ in 0..20 {
            let (first, unit, lock) = locked(&url, &client, "{}").await;
            let (held, cuts) = (committing(&store, unit), proxy.cuts());
            let waiter = waited(&client, lock, &held).await;
            proxy.cut(cut);
            let streams: Vec<_> = (0..=queue::WORTH).map(|_| stream()).collect();
            let behind: Vec<_> = streams.iter().map(|stream| committing(&store, appending(stream, 0, "\"cut-me\""))).collect();
            until("it is cut", async || proxy.cuts() > cuts).await;
            together = proxy.last_port() == waiter;
            client.batch_execute("ROLLBACK").await.unwrap();
            assert_eq!(held.await.unwrap(), Ok(()), "{cut:?}");
            for result in join_all(behind).await {
                assert_eq!(result.unwrap(), Ok(()), "{cut:?}");
            }
            for stream in streams.into_iter().chain([first]) {
                assert_eq!(store.stream(stream, 0).await.unwrap().len(), 1, "{cut:?}");
            }
            if together {
                break;
            }
        }
        assert!(together, "{cut:?}: both were on one connection");
    }
}
