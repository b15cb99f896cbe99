//! Readers of the log miss nothing, whoever writes beside them.

use super::{held::Held, server, *};
use std::collections::HashMap;
use tokio_postgres::Client;

async fn data(store: &PostgresStore) -> Vec<String> {
    store.log(0, 100, None).await.unwrap().events.into_iter().map(|event| event.data).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn f7_a_writer_that_is_not_done_holds_readers_back() {
    let Some(url) = server::url() else { return };
    let (writer, reader) = (server::store(&url).await.unwrap(), server::store(&url).await.unwrap());
    for how in ["COMMIT", "ROLLBACK"] {
        let before = data(&writer).await;
        let held = Held::begin(&url).await;
        held.append(&appending(&stream(), 0, &format!("\"held {how}\""))).await;
        writer.commit(appending(&stream(), 0, &format!("\"behind {how}\""))).await.unwrap();
        let mut changes = reader.changes();
        assert_eq!((data(&writer).await, data(&reader).await), (before.clone(), before.clone()), "what is behind the held one waits");
        changes.mark_unchanged();
        let started = Instant::now();
        held.end(how).await;
        changes.changed().await.unwrap();
        let expected = if how == "COMMIT" { vec!["\"held COMMIT\"", "\"behind COMMIT\""] } else { vec!["\"behind ROLLBACK\""] };
        assert_eq!(data(&reader).await[before.len()..], expected);
        assert!(started.elapsed() < Duration::from_secs(2), "within a few looks, not {:?}", started.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f7_what_is_sent_waits_in_the_same_order() {
    let Some(url) = server::url() else { return };
    let store = server::store(&url).await.unwrap();
    let held = Held::begin(&url).await;
    held.append(&sending("first", "")).await;
    store.commit(sending("second", "")).await.unwrap();
    assert!(store.outbox(0, 10).await.unwrap().is_empty());
    held.end("COMMIT").await;
    until("both are read", async || store.outbox(0, 10).await.unwrap().len() == 2).await;
    let topics: Vec<_> = store.outbox(0, 10).await.unwrap().into_iter().map(|row| row.message.topic).collect();
    assert_eq!(topics, ["first", "second"]);
}

/// The transaction with the lower id appends the later version, because it has done something else first.
#[tokio::test(flavor = "multi_thread")]
async fn f9_the_order_of_transaction_ids_does_not_matter() {
    let Some(url) = server::url() else { return };
    let store = server::store(&url).await.unwrap();
    let stream = stream();
    let held = Held::begin(&url).await;
    held.session().client().query_one("SELECT pg_current_xact_id()::text", &[]).await.unwrap();
    store.commit(appending(&stream, 0, "\"1\"")).await.unwrap();
    assert_eq!(data(&store).await, ["\"1\""], "it holds no number yet");
    held.append(&appending(&stream, 1, "\"2\"")).await;
    assert_eq!(data(&store).await, ["\"1\""]);
    held.end("COMMIT").await;
    until("both are read", async || data(&store).await.len() == 2).await;
    assert_eq!(data(&store).await, ["\"1\"", "\"2\""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn f8_transactions_that_append_nothing_delay_nobody() {
    let Some(server) = server::Private::start("") else { return };
    let url = server.url();
    let store = server::store(&url).await.unwrap();
    server::client(&url).await.batch_execute("CREATE TABLE public.other (n int)").await.unwrap();
    let elsewhere = url.replace("/postgres", "/template1");
    let (class, space) = keys::fence("minos");
    let same_lock_elsewhere = format!("BEGIN; SELECT pg_advisory_xact_lock_shared({class}, {space})");
    let variants = [
        ("a write in the same database", &url, "BEGIN; INSERT INTO other VALUES (1)"),
        ("the same lock in another database", &elsewhere, same_lock_elsewhere.as_str()),
        ("advisory locks", &url, "BEGIN; SELECT pg_advisory_xact_lock(7), pg_advisory_xact_lock_shared(1, 2), pg_advisory_lock(8)"),
        ("a read that keeps its snapshot", &url, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT count(*) FROM other"),
        ("a prepared one", &url, "BEGIN; INSERT INTO other VALUES (2); PREPARE TRANSACTION 'forgotten'"),
    ];
    let mut held: Vec<Client> = Vec::new();
    for (n, (what, url, sql)) in variants.into_iter().enumerate() {
        let client = server::client(url).await;
        client.batch_execute(sql).await.unwrap();
        held.push(client);
        store.commit(appending(&stream(), 0, "{}")).await.unwrap();
        assert_eq!(data(&store).await.len(), n + 1, "{what}");
    }
}

/// Three replicas: two write, one reads along.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_another_replica_misses_nothing() {
    const WRITERS: usize = 12;
    const EACH: u64 = 60;
    let Some(url) = server::url() else { return };
    let replicas = [server::store(&url).await.unwrap(), server::store(&url).await.unwrap()].map(Arc::new);
    let reader = server::store(&url).await.unwrap();
    let mut writers = JoinSet::new();
    for n in 0..WRITERS {
        let store = replicas[n % 2].clone();
        writers.spawn(async move {
            let stream = stream();
            for version in 0..EACH {
                store.commit(appending(&stream, version, "{}")).await.unwrap();
            }
        });
    }
    let started = Instant::now();
    let (mut after, mut seen, mut last) = (0, 0, HashMap::new());
    while seen < WRITERS as u64 * EACH {
        // Again and again, and not only when somebody has committed: that is when it would go wrong.
        reader.fence.look_now().await.unwrap();
        let page = reader.log(after, 50, None).await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(60), "something was missed");
        after = page.read;
        for event in page.events {
            seen += 1;
            assert_eq!(event.version, last.insert(event.stream, event.version).unwrap_or_default() + 1, "no version is skipped");
        }
    }
    writers.join_all().await;
}

/// Two processes write, some of it in vain, so that there are numbers of nothing; a third one reads.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes thirty seconds"]
async fn a_tailing_reader_beside_sixteen_writers_for_thirty_seconds() {
    const WRITERS: usize = 16;
    let Some(url) = server::url() else { return };
    let stores = [server::store(&url).await.unwrap(), server::store(&url).await.unwrap()];
    let stores = stores.map(Arc::new);
    let reader = server::store(&url).await.unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    let mut writers = JoinSet::new();
    for n in 0..WRITERS {
        let store = stores[n % 2].clone();
        writers.spawn(async move {
            let mut acknowledged = Vec::new();
            let (mut stream, mut version) = (stream(), 0);
            while Instant::now() < until {
                if version == 20 {
                    acknowledged.push((std::mem::replace(&mut stream, self::stream()), version));
                    version = 0;
                }
                if fastrand::u8(..) < 8 {
                    let vain = Unit { statements: executing("SELECT 1 / 0", Vec::new()).statements, ..appending(&stream, version, "2") };
                    store.commit(vain).await.unwrap_err();
                }
                store.commit(appending(&stream, version, "1")).await.unwrap();
                version += 1;
            }
            acknowledged.push((stream, version));
            acknowledged
        });
    }
    let mut changes = reader.changes();
    let (mut after, mut seen, mut last) = (0, 0, HashMap::new());
    let mut written = None;
    loop {
        changes.mark_unchanged();
        let page = reader.log(after, 256, None).await.unwrap().events;
        if page.is_empty() {
            match &written {
                // Everything was committed before this look.
                Some(written) if seen == *written => break,
                Some(written) => assert!(Instant::now() < until + Duration::from_secs(10), "{seen} of {written} events were read"),
                None => {}
            }
            let _ = tokio::time::timeout(Duration::from_millis(50), changes.changed()).await;
        }
        for event in page {
            assert!(event.position > after, "{} was handed out after {after}", event.position);
            after = event.position;
            assert_eq!(event.data, "1", "what was rolled back is not read");
            seen += 1;
            assert_eq!(event.version, last.insert(event.stream, event.version).unwrap_or_default() + 1, "no version is skipped");
        }
        if written.is_none() && Instant::now() >= until {
            let streams: Vec<_> = std::mem::take(&mut writers).join_all().await.into_iter().flatten().collect();
            written = Some(streams.iter().map(|(_, version)| *version).sum::<u64>());
        }
    }
    println!("{seen} events of {} streams, each read once and in order", last.len());
    assert!(seen > 10_000);
}
