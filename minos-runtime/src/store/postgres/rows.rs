//! What is read of what the store holds beside events, and the little that is written of it without a unit.

use super::{
    PostgresStore,
    connection::{Link, Role},
    keys,
};
use crate::store::{
    Document, Field, Filter, Find, StoreError, StoreResult, StreamId, SubjectKey,
    query::{Dialect, Query},
};
use std::time::Duration;
use tokio_postgres::{Client, Error, Row};
use uuid::Uuid;

const DOCUMENT: &str = "SELECT key, version, body::text FROM {s}.documents WHERE collection = $1 AND key = $2";
const DOCUMENTS: &str = "SELECT key, version, body::text FROM {s}.documents WHERE collection = $1 AND key = ANY ($2) ORDER BY key";
const OWNER: &str = "SELECT uuid FROM {s}.unique_values WHERE aggregate = $1 AND field = $2 AND value = $3";
/// Sorted, so that no two of them wait for each other.
const FORGET_SNAPSHOT: &str = "DELETE FROM {s}.snapshots WHERE uuid = $1 AND aggregate = $2";
const KEYS: &str = "SELECT subject, key, forgotten_at FROM {s}.subject_keys WHERE subject = ANY ($1)";
pub(super) const FORGET_SUBJECT: &str = "INSERT INTO {s}.subject_keys AS s (subject, key, forgotten_at) VALUES ($1, NULL, now())
    ON CONFLICT (subject) DO UPDATE SET key = NULL, forgotten_at = now() WHERE s.key IS NOT NULL";

/// Whether an index is there, and complete.
const INDEX: &str =
    "SELECT i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname = $2";
/// How often it is looked whether somebody else has made its index.
const TURN: Duration = Duration::from_millis(100);

impl PostgresStore {
    pub(super) async fn read_document(&self, collection: String, key: String) -> StoreResult<Option<Document>> {
        self.first(&self.readers.query(DOCUMENT, &[&collection, &key]).await?, document)
    }

    pub(super) async fn read_documents(&self, collection: String, keys: Vec<String>) -> StoreResult<Vec<Document>> {
        self.rows(&self.readers.query(DOCUMENTS, &[&collection, &keys]).await?, document)
    }

    fn table(&self) -> String {
        format!("{}.documents", self.schema)
    }

    pub(super) async fn find_documents(&self, find: Find) -> StoreResult<Vec<Document>> {
        find.check()?;
        let mut found = Vec::new();
        for query in Dialect::Postgres.find(&self.table(), &find) {
            found.extend(self.rows(&self.readers.made(&query).await?, document)?);
            if found.len() >= find.limit {
                found.truncate(find.limit);
                break;
            }
        }
        Ok(found)
    }

    pub(super) async fn count_documents(&self, collection: String, filter: Filter) -> StoreResult<u64> {
        filter.check()?;
        let query: Query = Dialect::Postgres.count(&self.table(), &collection, &filter);
        let count = self.first(&self.readers.made(&query).await?, |row| row.try_get::<_, i64>(0))?;
        Ok(count.unwrap_or_default() as u64)
    }

    /// Makes an index on a connection that nobody else waits for.
    pub(super) async fn make_index(&self, collection: String, field: Field) -> StoreResult<()> {
        let (name, made) = Dialect::Postgres.index(&self.schema, &collection, &field);
        let link = Link::new(self.server.clone(), Role::Internal);
        let session = link.session().await?;
        let client = session.client();
        let lock = keys::of(&self.schema, "indexes", &[]);
        let result = self.make_index_on(client, lock, &name, &made).await;
        // With the connection the lock is given back.
        link.close();
        result.map_err(|error| match self.place.error(&error) {
            StoreError::Unavailable(reason) => {
                StoreError::Unavailable(format!("the index of {:?} of `{collection}`: {reason}", field.path))
            }
            reason => reason,
        })
    }

    async fn make_index_on(&self, client: &Client, lock: i64, name: &str, made: &str) -> Result<(), Error> {
        // One is made at once. Whoever waits for its turn does so between statements: who makes an index waits for all that run.
        loop {
            if self.index_is_valid(client, name).await? == Some(true) {
                return Ok(());
            }
            if client.query_one("SELECT pg_try_advisory_lock($1)", &[&lock]).await?.try_get(0)? {
                break;
            }
            tokio::time::sleep(TURN).await;
        }
        match self.index_is_valid(client, name).await? {
            Some(true) => return Ok(()),
            // Somebody began to make it and did not come to the end.
            Some(false) => client.batch_execute(&format!("DROP INDEX CONCURRENTLY IF EXISTS {}.{name}", self.schema)).await?,
            None => {}
        }
        client.batch_execute(made).await
    }

    async fn index_is_valid(&self, client: &Client, name: &str) -> Result<Option<bool>, Error> {
        client.query_opt(INDEX, &[&self.schema, &name]).await?.map(|row| row.try_get(0)).transpose()
    }

    pub(super) async fn read_owner(&self, aggregate: String, field: String, value: String) -> StoreResult<Option<Uuid>> {
        self.first(&self.readers.query(OWNER, &[&aggregate, &field, &value]).await?, |row| row.try_get(0))
    }

    pub(super) async fn remove_snapshot(&self, stream: StreamId) -> StoreResult<()> {
        self.readers.query(FORGET_SNAPSHOT, &[&stream.uuid, &&*stream.aggregate]).await.map(|_| ())
    }

    pub(super) async fn read_keys(&self, subjects: Vec<Uuid>) -> StoreResult<Vec<(Uuid, SubjectKey)>> {
        self.rows(&self.readers.query(KEYS, &[&subjects]).await?, |row| {
            let key = match row.try_get(1)? {
                Some(key) => SubjectKey::Known(key),
                None => SubjectKey::Forgotten(row.try_get(2)?),
            };
            Ok((row.try_get(0)?, key))
        })
    }
}

fn document(row: &Row) -> Result<Document, Error> {
    Ok(Document { key: row.try_get(0)?, version: row.try_get::<_, i64>(1)? as u64, body: row.try_get(2)? })
}
