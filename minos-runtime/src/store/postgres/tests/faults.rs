//! Servers that stop, refuse, or vanish at the worst moment.

use super::{
    proxy::{Cut, Proxy},
    server::{self, Private},
    *,
};
use std::{collections::HashMap, process::Command, sync::atomic::AtomicU64};

/// Writers that append to streams of their own, again when the store does not answer. What a failed attempt left behind is seen by its version.
struct Load {
    store: Arc<PostgresStore>,
    acknowledged: Arc<Mutex<HashMap<StreamId, u64>>>,
    count: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Load {
    fn start(store: &Arc<PostgresStore>) -> Self {
        let (acknowledged, count, stop) =
            (Arc::<Mutex<HashMap<_, _>>>::default(), Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let mut tasks = JoinSet::new();
        for _ in 0..12 {
            let (store, acknowledged, count, stop) = (store.clone(), acknowledged.clone(), count.clone(), stop.clone());
            tasks.spawn(async move {
                let (stream, mut version) = (stream(), 0);
                while !stop.load(Ordering::SeqCst) {
                    match store.commit(appending(&stream, version, "{}")).await {
                        Ok(_) => {
                            version += 1;
                            acknowledged.lock().unwrap().insert(stream.clone(), version);
                            count.fetch_add(1, Ordering::SeqCst);
                        }
                        // Committed by an attempt of which nobody could say so.
                        Err(StoreError::Conflict { actual, .. }) => version = actual,
                        Err(StoreError::Unavailable(_) | StoreError::Unknown(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        Load { store: store.clone(), acknowledged, count, stop, tasks }
    }

    /// Waits for so many more acknowledged commits; how long that took.
    async fn more(&self, count: u64) -> Duration {
        let (started, goal) = (Instant::now(), self.count.load(Ordering::SeqCst) + count);
        until("commits are acknowledged", async || self.count.load(Ordering::SeqCst) >= goal).await;
        started.elapsed()
    }

    /// Ends the load, and checks what is there.
    async fn check(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.tasks.join_all().await;
        let acknowledged = self.acknowledged.lock().unwrap().clone();
        for (stream, acknowledged) in acknowledged {
            let events = self.store.stream(stream, 0).await.unwrap();
            assert!(events.len() as u64 >= acknowledged, "what was acknowledged is there");
            assert!(events.iter().zip(1..).all(|(event, version)| event.version == version), "once, and without a gap");
        }
    }
}

/// Reads along, and checks the order, until it is told that there is no more.
fn tail(store: &Arc<PostgresStore>) -> (Arc<AtomicBool>, tokio::task::JoinHandle<u64>) {
    let (store, ends) = (store.clone(), Arc::<AtomicBool>::default());
    let end = ends.clone();
    let task = tokio::spawn(async move {
        let (mut after, mut seen, mut last) = (0, 0, HashMap::new());
        loop {
            let ending = end.load(Ordering::SeqCst);
            match store.log(after, 100, None).await {
                Ok(page) => {
                    if ending && page.read == after {
                        return seen;
                    }
                    after = page.read;
                    for event in page.events {
                        seen += 1;
                        assert_eq!(
                            event.version,
                            last.insert(event.stream, event.version).unwrap_or_default() + 1,
                            "no version is skipped"
                        );
                    }
                }
                Err(StoreError::Unavailable(_)) => {}
                Err(error) => panic!("{error}"),
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    (ends, task)
}

#[tokio::test(flavor = "multi_thread")]
async fn f22_restarts_lose_nothing_and_are_recovered_from() {
    let Some(server) = Private::start("") else { return };
    let store = Arc::new(server::store(&server.url()).await.unwrap());
    let (load, (ends, tail)) = (Load::start(&store), tail(&store));
    load.more(200).await;
    for mode in ["fast", "immediate", "fast", "immediate"] {
        server.down(mode);
        until("it is told", async || store.ping().await.is_err()).await;
        server.up();
        let recovered = load.more(200).await;
        assert!(recovered < Duration::from_secs(5), "{mode}: {recovered:?}");
    }
    store.ping().await.unwrap();
    // One server process after another is ended: the first way is polite, the second makes the whole server go through recovery.
    let client = server::client(&server.url()).await;
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'minos' AND pid <> pg_backend_pid()";
    client.query(sql, &[]).await.unwrap();
    load.more(200).await;
    let sql =
        format!("SELECT pid FROM pg_stat_activity WHERE application_name = 'minos' AND {WRITING} AND pid <> pg_backend_pid() LIMIT 1");
    let pid: i32 = client.query_one(&sql, &[]).await.unwrap().get(0);
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    load.more(200).await;
    let written = load.acknowledged.clone();
    load.check().await;
    ends.store(true, Ordering::SeqCst);
    let seen = tail.await.unwrap();
    assert!(seen >= written.lock().unwrap().values().sum::<u64>(), "the reader saw all");
}

/// A store whose connections can be cut.
pub(super) async fn through_proxy(url: &str) -> (Proxy, Arc<PostgresStore>) {
    let port = Settings::parse(url).unwrap().config.get_ports().first().copied().unwrap_or(5432);
    let proxy = Proxy::start(port, "cut-me").await;
    let through = url.replacen(&format!(":{port}"), &format!(":{}", proxy.port), 1);
    let store = server::store(&format!("{through}&sslmode=disable")).await.unwrap();
    (proxy, Arc::new(store))
}

/// The server does not know that the connection is gone, and goes on waiting for a lock: it must not commit when the batch is sent again.
#[tokio::test(flavor = "multi_thread")]
async fn f4_what_still_waits_in_the_database_is_ended_first() {
    let Some(url) = server::url() else { return };
    // With few connections there is one for all that is written, on which a lock is waited for long.
    let (proxy, store) = through_proxy(&format!("{url}&connections=4")).await;
    let client = server::client(&url).await;
    let (stream, unit, lock) = locked(&url, &client, "\"cut-me\"").await;
    proxy.cut(Cut::After);
    let commit = committing(&store, unit);
    let sql = format!("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = ({lock} & 4294967295)::oid");
    let waiting = async || client.query(&sql, &[]).await.unwrap().first().map(|row| row.get::<_, i32>(0));
    // Looked at without a pause: the first one waits only until the writer has a new connection.
    let mut waited = std::collections::BTreeSet::new();
    let twice = async {
        while waited.len() < 2 {
            waited.extend(waiting().await);
        }
    };
    tokio::time::timeout(Duration::from_secs(10), twice).await.expect("it waits for the lock, is cut, and waits again");
    assert_eq!(proxy.cuts(), 1);
    client.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(commit.await.unwrap(), Ok(()));
    assert_eq!(store.stream(stream, 0).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn f4_a_commit_whose_answer_is_lost_happens_once() {
    let Some(url) = server::url() else { return };
    let (proxy, store) = through_proxy(&url).await;
    let table = format!("{}.counts", server::schema_of(&url));
    store.commit(executing(&format!("CREATE TABLE {table} (n int)"), vec![])).await.unwrap();
    let mut count = 0;
    for cut in [Cut::Before, Cut::After, Cut::Late, Cut::After, Cut::Before, Cut::Late] {
        // Plain units, one with a statement, and one that is refused: what became of each is known.
        let (plain, with, taken) = (stream(), stream(), stream());
        store.commit(appending(&taken, 0, "{}")).await.unwrap();
        let units = [
            appending(&plain, 0, "\"cut-me\""),
            Unit {
                statements: executing(&format!("INSERT INTO {table} VALUES (1)"), vec![]).statements,
                ..appending(&with, 0, "\"cut-me\"")
            },
            appending(&taken, 0, "\"cut-me\""),
            sending("topic", "cut-me"),
        ];
        for (n, unit) in units.into_iter().enumerate() {
            proxy.cut(cut);
            let neighbours: Vec<_> = (0..4).map(|_| store.commit(appending(&stream(), 0, "{}"))).collect();
            let (result, neighbours) = tokio::join!(store.commit(unit), futures_util::future::join_all(neighbours));
            count += 1;
            assert_eq!(proxy.cuts(), count, "it was cut");
            assert!(neighbours.iter().all(Result::is_ok), "{neighbours:?}");
            match n {
                2 => assert_eq!(result, Err(StoreError::Conflict { stream: taken.clone(), expected: 0, actual: 1 }), "{cut:?}"),
                _ => assert!(result.is_ok(), "{cut:?}: {result:?}"),
            }
        }
        for stream in [plain, with, taken] {
            assert_eq!(store.stream(stream, 0).await.unwrap().len(), 1, "{cut:?}");
        }
    }
    // What came late has had its chance.
    until("all was delivered", async || proxy.delivered() == count).await;
    let client = server::client(&url).await;
    let busy = format!("SELECT FROM pg_stat_activity WHERE {WRITING} AND state <> 'idle' AND pid <> pg_backend_pid()");
    until("nobody is at work", async || client.query(&busy, &[]).await.unwrap().is_empty()).await;
    let counted = Statement { sql: format!("SELECT count(*) AS n FROM {table}"), parameters: vec![] };
    assert_eq!(store.select(counted).await.unwrap(), [json!({ "n": 6 })]);
    assert_eq!(store.outbox(0, 100).await.unwrap().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn f24_too_many_clients_are_told_and_what_is_connected_goes_on() {
    let Some(server) = Private::start("max_connections = 12\nsuperuser_reserved_connections = 0") else { return };
    let admin = server::client(&server.url()).await;
    let store = Arc::new(server::store(&server.url()).await.unwrap());
    store.commit(appending(&stream(), 0, "{}")).await.unwrap();
    let mut others = Vec::new();
    while let Ok((client, connection)) = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await {
        tokio::spawn(connection);
        others.push(client);
    }
    assert!(!others.is_empty());
    let mut tasks = JoinSet::new();
    for _ in 0..200 {
        let store = store.clone();
        tasks.spawn(async move {
            let stream = stream();
            (store.commit(appending(&stream, 0, "{}")).await, store.stream(stream, 0).await)
        });
    }
    let (mut committed, mut refused) = (1, 0);
    for (commit, read) in tasks.join_all().await {
        for error in [commit.as_ref().err(), read.as_ref().err()].into_iter().flatten() {
            assert!(
                matches!(error, StoreError::Unavailable(why) if why.contains("too many clients") && why.contains("max_connections")),
                "{error}"
            );
            refused += 1;
        }
        committed += usize::from(commit.is_ok());
    }
    assert!(committed > 1, "the connections that there are go on ({refused} refusals)");
    assert_eq!(store.log(0, 1000, None).await.unwrap().events.len(), committed, "recovery loops have a connection of their own");
    drop(others);
    let stream = stream();
    until("all goes on", async || {
        let version = store.stream(stream.clone(), 0).await.map_or(0, |events| events.len() as u64);
        store.commit(appending(&stream, version, "{}")).await.is_ok() && store.stream(stream.clone(), 0).await.is_ok()
    })
    .await;
    store.close().await;
    until("all connections are given back", async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'minos' AND pid <> pg_backend_pid()";
        admin.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_is_told_at_once() {
    let Some(server) = Private::start("") else { return };
    let client = server::client(&server.url()).await;
    let sql = "CREATE ROLE ada LOGIN PASSWORD 'right'; CREATE ROLE bob LOGIN; CREATE DATABASE standby;
        ALTER DATABASE standby SET default_transaction_read_only = on";
    for sql in sql.split(';') {
        client.batch_execute(sql).await.unwrap();
    }
    let rules = server.data_file("pg_hba.conf");
    let text = std::fs::read_to_string(&rules).unwrap();
    std::fs::write(&rules, format!("host all ada 127.0.0.1/32 scram-sha-256\n{text}")).unwrap();
    client.query_one("SELECT pg_reload_conf()", &[]).await.unwrap();
    let url = |user: &str, database: &str| format!("postgres://{user}@127.0.0.1:{}/{database}", server.port);
    until("the rules are read", async || refused(&url("ada:wrong-secret", "postgres")).await.contains("refuses this user or password"))
        .await;
    let started = Instant::now();
    let patient = server::store(&url("ada:wrong-secret", "postgres")).await.err().unwrap().to_string();
    assert!(started.elapsed() < Duration::from_secs(5) && !patient.contains("wrong-secret"), "{patient}");
    for (user, database, why) in [
        ("minos", "nowhere", "create it with `createdb`"),
        ("bob", "postgres", "give the user the right to it"),
        ("minos", "standby", "can only be read"),
    ] {
        let error = refused(&url(user, database)).await;
        assert!(error.contains(why) && !error.contains('\n'), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_encrypted_and_the_server_is_verified() {
    let Some(server) = Private::start("") else { return };
    let directory = tempfile::tempdir().unwrap();
    let certificate = |name: &str| {
        let (key, file) = (directory.path().join(format!("{name}.key")), directory.path().join(format!("{name}.crt")));
        let command = format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE -keyout {} -out {}",
            key.display(),
            file.display()
        );
        Command::new("openssl").args(command.split(' ')).output().is_ok_and(|output| output.status.success()).then_some((key, file))
    };
    let (Some((key, right)), Some((_, wrong))) = (certificate("right"), certificate("wrong")) else {
        return server::missing("`openssl` makes no certificates here");
    };
    server.secure(&key, &right);
    let url = |host: &str, parameters: &str| format!("postgres://minos@{host}:{}/postgres?{parameters}", server.port);
    let (right, wrong) = (right.display(), wrong.display());
    for (parameters, encrypted) in [
        ("sslmode=disable".to_owned(), false),
        ("sslmode=prefer".to_owned(), true),
        ("sslmode=require".to_owned(), true),
        (format!("sslmode=require&sslrootcert={right}"), true),
        (format!("sslmode=verify-full&sslrootcert={right}"), true),
    ] {
        let store = server::store(&url("localhost", &parameters)).await.unwrap();
        let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()".to_owned();
        assert_eq!(store.select(Statement { sql, parameters: vec![] }).await.unwrap(), [json!({ "ssl": encrypted })], "{parameters}");
        store.commit(appending(&stream(), 0, "{}")).await.unwrap();
        store.close().await;
    }
    for (host, parameters) in [
        ("localhost", format!("sslmode=verify-full&sslrootcert={wrong}")),
        ("localhost", format!("sslmode=require&sslrootcert={wrong}")),
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={right}")),
    ] {
        let started = Instant::now();
        let error = server::store(&url(host, &parameters)).await.err().unwrap().to_string();
        assert!(error.contains("certificate") && started.elapsed() < Duration::from_secs(10), "{parameters}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_waited_for_and_then_told() {
    let Some(server) = Private::start("") else { return };
    server.down("fast");
    let error = refused(&server.url()).await;
    assert!(error.contains("is the server there") && error.contains("127.0.0.1"), "{error}");
    let url = server.url();
    let opening = tokio::spawn(async move { server::store(&url).await.map(|_| ()) });
    // The first attempt has failed by then, or fails later: both are to be survived.
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.up();
    opening.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_found_out_is_not_called_undone() {
    let Some(server) = Private::start("") else { return };
    let proxy = Proxy::start(server.port, "the marker").await;
    let store = server::store(&format!("postgres://minos@127.0.0.1:{}/postgres", proxy.port)).await.unwrap();
    store.commit(appending(&stream(), 0, "{}")).await.unwrap();
    // Nobody can ask what became of it any more.
    proxy.cut(Cut::Final);
    let result = store.commit(appending(&stream(), 0, "\"the marker\"")).await;
    assert!(matches!(&result, Err(StoreError::Unknown(why)) if why.contains("the connection was lost")), "{result:?}");
}

/// A lock that somebody else holds on a table fails whole batches at once, and the service is not ready until it is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_locked_table_is_told_by_a_ping() {
    let Some(url) = server::url() else { return };
    let (store, schema) = (Arc::new(server::store(&url).await.unwrap()), server::schema_of(&url));
    let client = server::client(&url).await;
    client.batch_execute(&format!("BEGIN; LOCK TABLE {schema}.events IN EXCLUSIVE MODE")).await.unwrap();
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let store = store.clone();
        tasks.spawn(async move { store.commit(appending(&stream(), 0, "{}")).await });
    }
    for result in tasks.join_all().await {
        assert!(matches!(&result, Err(StoreError::Locked(why)) if why.contains("pg_locks")), "{result:?}");
    }
    assert!(started.elapsed() < Duration::from_secs(35), "not ten seconds for each: {:?}", started.elapsed());
    assert!(matches!(store.ping().await, Err(StoreError::Locked(_))));
    client.batch_execute("ROLLBACK").await.unwrap();
    store.ping().await.unwrap();
    store.commit(appending(&stream(), 0, "{}")).await.unwrap();
}

/// What takes over lacks commits that were acknowledged and read.
#[tokio::test(flavor = "multi_thread")]
async fn f23_lost_commits_are_told_and_nothing_is_read_or_written_on() {
    for running in [false, true] {
        let Some(server) = Private::start("") else { return };
        let store = server::store(&server.url()).await.unwrap();
        for _ in 0..3 {
            store.commit(appending(&stream(), 0, "{}")).await.unwrap();
        }
        // The sequence of one that was running is ahead, as that of a standby: only the log itself tells.
        if running {
            server.save();
        } else {
            server.down("fast");
            server.save();
            server.up();
        }
        until("it goes on", async || store.commit(appending(&stream(), 0, "{}")).await.is_ok()).await;
        let read = store.log(0, 100, None).await.unwrap().read;
        server.down("fast");
        server.restore();
        server.up();
        until("it is told", async || matches!(store.ping().await, Err(StoreError::Behind { reader, .. }) if reader == read)).await;
        let told = store.log(read, 100, None).await.unwrap_err();
        assert!(told.to_string().contains("the database has lost commits"), "{told}");
        assert_eq!(store.commit(appending(&stream(), 0, "{}")).await, Err(told.clone()));
        assert_eq!(store.outbox(0, 1).await, Err(told));
        store.close().await;
        let restarted = server::store(&server.url()).await.unwrap();
        until("who restarts it goes on without", async || restarted.log(0, 100, None).await.unwrap().events.len() == 3).await;
        assert!(running || matches!(restarted.log(read, 100, None).await, Err(StoreError::Behind { .. })));
    }
}
