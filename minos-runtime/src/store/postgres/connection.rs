//! Connections: each comes back by itself when it was lost.

use super::{
    errors::{self, Place},
    keys,
    url::Settings,
};
use crate::{
    store::{
        StoreError, StoreResult,
        query::{Parameter, Query},
    },
    sync::{lock, whole},
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;
use tokio_postgres::{Client, Error, Row, Statement, types::ToSql};

/// The pause after the first failed attempt to connect. It doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const BACKEND: &str = "SELECT pid, extract(epoch FROM backend_start)::text FROM pg_stat_activity WHERE pid = pg_backend_pid()";
/// How many statements of the user a connection keeps prepared.
const PREPARED: usize = 256;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Writes units.
    Writer,
    /// Writes units behind which others wait: it does not wait for somebody else's lock.
    Pipeline,
    /// What Minos itself reads.
    Internal,
    /// Queries of the user: nothing can be written.
    Reader,
}

/// Who stops between two statements must not keep the others from the end of the log; who waits for somebody else's lock gives up in the end; and,
/// whatever the database is set to, what is checked behind a lock sees what was committed before it, and what is acknowledged survives a crash.
macro_rules! writing {
    ($patience:literal) => {
        concat!(
            "SET idle_in_transaction_session_timeout = '10s'; SET lock_timeout = '",
            $patience,
            "'; SET default_transaction_isolation = 'read committed';
            SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
    };
}

/// Only the index is right at any size of a table, and plans are kept.
macro_rules! planned {
    () => {
        "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off;
        SET enable_mergejoin = off"
    };
}

impl Role {
    fn settings(self) -> &'static str {
        match self {
            Role::Writer => writing!("10s"),
            Role::Pipeline => concat!(writing!("50ms"), ";", planned!()),
            Role::Internal => concat!("SET default_transaction_isolation = 'read committed';", planned!()),
            Role::Reader => "SET default_transaction_read_only = on",
        }
    }
}

/// An open connection.
pub(super) struct Session {
    client: Client,
    schema: Arc<str>,
    /// The statements of Minos, by their text with `{s}` for the schema.
    own: Mutex<HashMap<&'static str, Statement>>,
    /// Statements of the user.
    users: Mutex<HashMap<String, Statement>>,
    /// Which server process serves it.
    pub(super) backend: Backend,
}

/// A server process: its number alone may come again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Backend {
    pub(super) pid: i32,
    pub(super) started: String,
}

impl Session {
    async fn open(settings: &Settings, role: Role) -> Result<Self, Error> {
        let (client, connection) = settings.config.connect(settings.tls.clone()).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                // Who uses it sees it, too, and says what that means.
                tracing::debug!(%error, "a connection to PostgreSQL ended");
            }
        });
        client.batch_execute(role.settings()).await?;
        let row = client.query_one(BACKEND, &[]).await?;
        let backend = Backend { pid: row.try_get(0)?, started: row.try_get::<_, Option<String>>(1)?.unwrap_or_default() };
        Ok(Session { client, schema: settings.schema.as_str().into(), own: Mutex::default(), users: Mutex::default(), backend })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// A statement of Minos, prepared once.
    pub(super) async fn own(&self, sql: &'static str) -> Result<Statement, Error> {
        if let Some(statement) = lock(&self.own).get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(&keys::within(&self.schema, sql)).await?;
        lock(&self.own).insert(sql, statement.clone());
        Ok(statement)
    }

    /// The rows of a statement of Minos.
    pub(super) async fn query(&self, sql: &'static str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
        let statement = self.own(sql).await?;
        self.client.query(&statement, parameters).await
    }

    /// The rows of a query that Minos has made.
    pub(super) async fn made(&self, query: &Query) -> Result<Vec<Row>, Error> {
        let statement = match self.prepared(&query.sql) {
            Some(statement) => statement,
            None => self.prepare(&query.sql, &query.sql).await?,
        };
        let parameters: Vec<&(dyn ToSql + Sync)> = query
            .parameters
            .iter()
            .map(|parameter| match parameter {
                Parameter::Text(text) => text as &(dyn ToSql + Sync),
                Parameter::List(texts) => texts,
            })
            .collect();
        self.client.query(&statement, &parameters).await
    }

    /// A statement of the user, if it is prepared already.
    pub(super) fn prepared(&self, sql: &str) -> Option<Statement> {
        lock(&self.users).get(sql).cloned()
    }

    /// Prepares a statement of the user.
    pub(super) async fn prepare(&self, key: &str, sql: &str) -> Result<Statement, Error> {
        let statement = self.client.prepare(sql).await?;
        let mut users = lock(&self.users);
        if users.len() >= PREPARED {
            users.clear();
        }
        users.insert(key.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Forgets what was prepared for the user: a table may have changed.
    pub(super) fn forget_prepared(&self) {
        lock(&self.users).clear();
    }
}

/// A connection that is made when it is needed, and again when it was lost. While the server does not answer, it is asked less and less often.
pub(super) struct Link {
    server: Arc<Server>,
    role: Role,
    current: RwLock<Option<Arc<Session>>>,
    attempts: tokio::sync::Mutex<Attempts>,
    /// How many use it at the moment.
    pub(super) users: AtomicUsize,
    closed: AtomicBool,
}

/// What all connections to a server share.
pub(super) struct Server {
    pub(super) settings: Settings,
    pub(super) place: Place,
    /// How often a connection was made. That another one could be made ends everyone's pause.
    made: AtomicU64,
}

impl Server {
    pub(super) fn new(settings: Settings) -> Self {
        Server { place: Place::new(&settings.place), settings, made: AtomicU64::new(0) }
    }

    async fn connect(&self, role: Role) -> Result<Arc<Session>, Error> {
        let session = Session::open(&self.settings, role).await?;
        self.made.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(session))
    }
}

#[derive(Default)]
struct Attempts {
    failed: u32,
    last: Option<Failed>,
}

/// The last attempt, which failed.
struct Failed {
    /// When the next one is due.
    due: Instant,
    /// How many connections had been made by then.
    made: u64,
    error: StoreError,
}

impl Link {
    pub(super) fn new(server: Arc<Server>, role: Role) -> Self {
        let (current, attempts) = (RwLock::default(), tokio::sync::Mutex::default());
        Link { server, role, current, attempts, users: AtomicUsize::new(0), closed: AtomicBool::new(false) }
    }

    /// The connection, if there is one.
    pub(super) fn connected(&self) -> Option<Arc<Session>> {
        let current = whole(self.current.read());
        current.as_ref().filter(|session| !session.is_closed()).cloned()
    }

    /// The connection. It is made if there is none.
    pub(super) async fn session(&self) -> StoreResult<Arc<Session>> {
        if let Some(session) = self.connected() {
            return Ok(session);
        }
        let mut attempts = self.attempts.lock().await;
        if let Some(session) = self.connected() {
            return Ok(session);
        }
        if self.closed.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        if let Some(Failed { due, made, error }) = &attempts.last
            && Instant::now() < *due
            && *made == self.server.made.load(Ordering::Relaxed)
        {
            return Err(error.clone());
        }
        match self.server.connect(self.role).await {
            Ok(session) => {
                *attempts = Attempts::default();
                *whole(self.current.write()) = Some(session.clone());
                Ok(session)
            }
            Err(error) => {
                attempts.failed += 1;
                let error = self.error(&error);
                let (due, made) = (Instant::now() + pause(attempts.failed), self.server.made.load(Ordering::Relaxed));
                attempts.last = Some(Failed { due, made, error: error.clone() });
                Err(error)
            }
        }
    }

    /// Runs a statement of Minos that may be run twice: it is when the connection was lost, which may have happened long ago.
    pub(super) async fn query(&self, sql: &'static str, parameters: &[&(dyn ToSql + Sync)]) -> StoreResult<Vec<Row>> {
        let mut session = self.session().await?;
        let mut result = session.query(sql, parameters).await;
        if result.as_ref().is_err_and(errors::is_loss) {
            self.discard(&session);
            session = self.session().await?;
            result = session.query(sql, parameters).await;
        }
        result.map_err(|error| self.error(&error))
    }

    /// Counts somebody who uses it, for as long as the answer is kept.
    pub(super) fn using(&self) -> impl Drop {
        self.users.fetch_add(1, Ordering::Relaxed);
        Using(self)
    }

    /// This one is lost: the next one is another.
    pub(super) fn discard(&self, lost: &Arc<Session>) {
        let mut current = whole(self.current.write());
        current.take_if(|session| Arc::ptr_eq(session, lost));
    }

    /// Ends what runs on this one; the next one is another.
    pub(super) fn abandon(&self, session: &Arc<Session>) {
        self.discard(session);
        let (token, tls) = (session.client.cancel_token(), self.server.settings.tls.clone());
        // Without a runtime the process is ending, and its connections with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = token.cancel_query(tls).await {
                    tracing::debug!(%error, "a query that nobody waits for could not be ended");
                }
            });
        }
    }

    /// What an error on this connection means.
    pub(super) fn error(&self, error: &Error) -> StoreError {
        self.server.place.error(error)
    }

    /// The first connection: what cannot pass by itself is an error at once, the rest is tried again until the time is up.
    pub(super) async fn first_session(&self, patience: Duration) -> StoreResult<Arc<Session>> {
        let started = Instant::now();
        let mut failed = 0;
        loop {
            match self.server.connect(self.role).await {
                Ok(session) => {
                    *whole(self.current.write()) = Some(session.clone());
                    return Ok(session);
                }
                Err(error) if !errors::may_pass(&error) || started.elapsed() >= patience => return Err(self.error(&error)),
                Err(error) => {
                    failed += 1;
                    if failed == 1 {
                        let error = self.error(&error);
                        tracing::warn!(%error, "the store does not answer yet; will be tried again for {} s", patience.as_secs());
                    }
                    tokio::time::sleep(pause(failed)).await;
                }
            }
        }
    }

    /// Ends the connection once nobody uses it any more.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        whole(self.current.write()).take();
    }
}

struct Using<'l>(&'l Link);

impl Drop for Using<'_> {
    fn drop(&mut self) {
        self.0.users.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The pause after so many failures, with jitter that spreads the replicas.
pub(super) fn pause(failed: u32) -> Duration {
    let full = FIRST_PAUSE.saturating_mul(1 << failed.saturating_sub(1).min(10)).min(LONGEST_PAUSE);
    full.mul_f64(0.5 + fastrand::f64() / 2.0)
}
