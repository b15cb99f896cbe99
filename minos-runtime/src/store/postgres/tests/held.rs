//! Writers of another replica that stop before they commit, and what has to wait for them.

use super::{
    super::{append, rows::FORGET_SUBJECT},
    server, *,
};
use crate::store::NewKey;

/// A writer of another replica that stops before it commits.
pub(super) struct Held(Arc<connection::Session>, String);

impl Held {
    pub(super) async fn begin(url: &str) -> Self {
        let server = Arc::new(Server::new(Settings::parse(url).unwrap()));
        let session = Link::new(server, Role::Internal).session().await.unwrap();
        session.client().batch_execute("BEGIN").await.unwrap();
        Held(session, server::schema_of(url))
    }

    pub(super) fn session(&self) -> &connection::Session {
        &self.0
    }

    pub(super) async fn append(&self, unit: &Unit) {
        self.append_resolving(unit, &[]).await;
    }

    /// Appends a unit that deals with dead letters of these subscribers and keys.
    pub(super) async fn append_resolving(&self, unit: &Unit, resolved: &[(String, String)]) {
        let (units, keys) = ([Box::new(unit.clone())], [keys::of_unit(&self.1, unit, resolved)]);
        let arguments = append::Arguments::new(Uuid::now_v7(), 1, &units, &keys);
        if let Some(events) = arguments.of_events() {
            assert_eq!(self.0.query(append::APPEND_EVENTS, &events).await.unwrap().len(), 1);
            return;
        }
        let statement = self.0.own(append::APPEND).await.unwrap();
        let row = self.0.client().query_one(&statement, &arguments.parameters()).await.unwrap();
        assert_eq!(outcome::Outcome::read(&row).unwrap().refused().count(), 0);
    }

    pub(super) async fn end(self, how: &str) {
        self.0.client().batch_execute(how).await.unwrap();
    }
}

/// Starts something, and waits until it has ended or waits for a lock in the database.
pub(super) async fn begun<T: Send + 'static>(url: &str, work: impl Future<Output = T> + Send + 'static) -> tokio::task::JoinHandle<T> {
    let client = server::client(url).await;
    let sql = "SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND strpos(a.query, $1) > 0";
    let schema = format!("{}.", server::schema_of(url));
    let before = client.query(sql, &[&schema]).await.unwrap().len();
    let task = tokio::spawn(work);
    until("it has ended, or waits", async || task.is_finished() || client.query(sql, &[&schema]).await.unwrap().len() > before).await;
    task
}

/// Another process forgets somebody, and has not committed that yet.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_sealed_waits_for_who_forgets_its_subject() {
    let Some(url) = server::url() else { return };
    let (store, ada) = (Arc::new(server::store(&url).await.unwrap()), Uuid::now_v7());
    store.commit(Unit { new_keys: vec![NewKey { subject: ada, key: vec![1] }], ..unit() }).await.unwrap();
    let forgetting = Held::begin(&url).await;
    forgetting.session().query(FORGET_SUBJECT, &[&ada]).await.unwrap();
    let writer = store.clone();
    let sealed = Unit { sealed_for: vec![ada], ..appending(&stream(), 0, "{}") };
    let waiting = begun(&url, async move { writer.commit(sealed).await.map(|_| ()) }).await;
    forgetting.end("COMMIT").await;
    assert_eq!(waiting.await.unwrap(), Err(StoreError::Forgotten(ada)));
    store.close().await;
}

fn letter(attempts: u32) -> Unit {
    let letter = NewDeadLetter {
        subscriber: "reader".to_owned(),
        key: "Foo/1".to_owned(),
        topic: "Foo".to_owned(),
        headers: "{}".to_owned(),
        content: Vec::new(),
        cause: "it is broken".to_owned(),
        attempts,
    };
    Unit { dead_letters: vec![letter], ..unit() }
}

fn handling() -> Unit {
    let handled = Handled::Version { key: "Foo/1".to_owned(), version: 1 };
    Unit { mark: Some(Mark { subscriber: "reader".into(), handled, lane: Some("Foo/1".to_owned()) }), ..unit() }
}

/// Two replicas, and a dead letter.
async fn parked() -> Option<(String, Arc<PostgresStore>, Arc<PostgresStore>, u64)> {
    let url = server::url()?;
    let (one, other) = (Arc::new(server::store(&url).await.unwrap()), Arc::new(server::store(&url).await.unwrap()));
    one.commit(letter(3)).await.unwrap();
    let id = one.dead_letters(None, 0, 1).await.unwrap()[0].id;
    Some((url, one, other, id))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_behind_a_dead_letter_keeps_its_key_parked() {
    let Some((url, one, other, id)) = parked().await else { return };
    let held = Held::begin(&url).await;
    held.append(&letter(0)).await;
    let resolving = begun(&url, async move { one.commit(Unit { resolved: vec![id], ..unit() }).await.map(|_| ()) }).await;
    let handling = begun(&url, async move { other.commit(handling()).await.map(|_| ()) }).await;
    held.end("COMMIT").await;
    assert_eq!(resolving.await.unwrap(), Ok(()));
    assert_eq!(handling.await.unwrap(), Err(StoreError::Parked { subscriber: "reader".to_owned(), key: "Foo/1".to_owned() }));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_behind_a_dead_letter_that_is_being_dealt_with() {
    let Some((url, one, _, id)) = parked().await else { return };
    let held = Held::begin(&url).await;
    held.append_resolving(&Unit { resolved: vec![id], ..unit() }, &[("reader".to_owned(), "Foo/1".to_owned())]).await;
    let waiting = begun(&url, async move { one.commit(letter(0)).await.map(|_| ()) }).await;
    held.end("COMMIT").await;
    assert_eq!(waiting.await.unwrap(), Err(StoreError::NotParked { subscriber: "reader".to_owned(), key: "Foo/1".to_owned() }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_passes_on_when_what_is_committed_under_it_is_done() {
    let Some(url) = server::url() else { return };
    let store = Arc::new(server::store(&url).await.unwrap());
    let lease = store.acquire("relay", Uuid::now_v7(), Duration::ZERO).await.unwrap().unwrap();
    let held = Held::begin(&url).await;
    held.append(&Unit { checkpoints: vec![("relay".to_owned(), 7)], fence: Some(lease), ..unit() }).await;
    let acquiring = begun(&url, {
        let store = store.clone();
        async move { (store.acquire("relay", Uuid::now_v7(), Duration::from_secs(60)).await, store.checkpoint("relay").await) }
    })
    .await;
    assert!(!acquiring.is_finished(), "it would not see what is still to come");
    held.end("COMMIT").await;
    let (lease, checkpoint) = acquiring.await.unwrap();
    assert!(lease.unwrap().is_some());
    assert_eq!(checkpoint, Ok(7));
}

/// A unit that waits for another replica's sees what that one has committed, whatever the database's own default is.
#[tokio::test(flavor = "multi_thread")]
async fn checks_behind_a_lock_see_what_was_committed_before_it() {
    let Some(url) = server::url() else { return };
    let role = format!("{}_strict", server::schema_of(&url));
    let admin = server::client(&url).await;
    let strict = format!("CREATE ROLE {role} LOGIN SUPERUSER; ALTER ROLE {role} SET default_transaction_isolation = 'repeatable read'");
    admin.batch_execute(&strict).await.unwrap();
    let (_, rest) = url.split_once('@').unwrap();
    let store = Arc::new(server::store(&format!("postgres://{role}@{rest}")).await.unwrap());
    let (stream, held) = (stream(), Held::begin(&url).await);
    held.append(&appending(&stream, 0, "{}")).await;
    let losing = begun(&url, {
        let (store, stream) = (store.clone(), stream.clone());
        async move { store.commit(appending(&stream, 0, "{}")).await.map(|_| ()) }
    })
    .await;
    assert!(!losing.is_finished(), "it waits for the other one");
    held.end("COMMIT").await;
    assert_eq!(losing.await.unwrap(), Err(StoreError::Conflict { stream, expected: 0, actual: 1 }));
    store.close().await;
    admin.batch_execute(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}")).await.unwrap();
}

fn row() -> SagaRow {
    SagaRow {
        id: Uuid::now_v7(),
        saga: "Pay".to_owned(),
        key: Some("order-1".to_owned()),
        definition: "abc".to_owned(),
        status: "running".to_owned(),
        ended: false,
        wake: None,
        version: 1,
        state: "{}".to_owned(),
        cause: unit().cause,
        started_at: unit().at,
        changed_at: unit().at,
    }
}

fn writing(expected: u64, row: &SagaRow) -> Unit {
    let messages = sending("t", "1").messages;
    Unit { sagas: vec![SagaWrite { expected, row: row.clone() }], messages, ..unit() }
}

/// Two replicas advance one execution, and begin one of the same key.
#[tokio::test(flavor = "multi_thread")]
async fn f34_f44_who_waits_for_another_coordinator_sees_what_it_has_done() {
    let Some(url) = server::url() else { return };
    let store = Arc::new(server::store(&url).await.unwrap());
    let known = row();
    store.commit(writing(0, &known)).await.unwrap();
    let next = SagaRow { version: 2, ..known.clone() };
    let (begun_first, begun_second) =
        (SagaRow { key: Some("order-2".to_owned()), ..row() }, SagaRow { key: Some("order-2".to_owned()), ..row() });
    let moved = StoreError::SagaMoved { id: known.id, expected: 1, actual: 2 };
    let exists = StoreError::SagaExists { saga: "Pay".to_owned(), key: "order-2".to_owned() };
    for (first, second, refused) in
        [(writing(1, &next), writing(1, &next), moved), (writing(0, &begun_first), writing(0, &begun_second), exists)]
    {
        let held = Held::begin(&url).await;
        held.append(&first).await;
        let store = store.clone();
        let losing = begun(&url, async move { store.commit(second).await.map(|_| ()) }).await;
        assert!(!losing.is_finished(), "it waits for the other one");
        held.end("COMMIT").await;
        assert_eq!(losing.await.unwrap(), Err(refused));
    }
    let sent = format!("SELECT FROM {}.outbox", server::schema_of(&url));
    assert_eq!(server::client(&url).await.query(&sent, &[]).await.unwrap().len(), 3, "only those who won have sent something");
}

/// Who removes executions holds no lock of ours.
#[tokio::test(flavor = "multi_thread")]
async fn an_execution_that_is_removed_meanwhile_is_not_advanced() {
    let Some(url) = server::url() else { return };
    let store = Arc::new(server::store(&url).await.unwrap());
    let known = row();
    store.commit(writing(0, &known)).await.unwrap();
    let (removing, observer) = (server::client(&url).await, server::client(&url).await);
    let schema = server::schema_of(&url);
    removing.batch_execute(&format!("BEGIN; DELETE FROM {schema}.sagas")).await.unwrap();
    let advancing = tokio::spawn({
        let (store, next) = (store.clone(), SagaRow { version: 2, ..known.clone() });
        async move { store.commit(writing(1, &next)).await.map(|_| ()) }
    });
    let waits = "SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND l.locktype = 'transactionid' AND strpos(a.query, $1) > 0";
    until("it waits for the row", async || !observer.query(waits, &[&format!("{schema}.")]).await.unwrap().is_empty()).await;
    removing.batch_execute("COMMIT").await.unwrap();
    assert_eq!(advancing.await.unwrap(), Err(StoreError::SagaMoved { id: known.id, expected: 1, actual: 0 }));
    assert_eq!(store.outbox(0, 10).await.unwrap().len(), 1, "what was refused has sent nothing");
}
