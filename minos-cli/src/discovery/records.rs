//! What the store keeps: a document for each instance. It carries what is known over a restart, and to other processes of the registry, which see by its version
//! that somebody has heard of the instance. No time is in it: clocks of machines differ, and are set.

use super::register::Said;
use minos::{
    Timestamp,
    discovery::InstanceName,
    store::{Cause, Cursor, DocumentWrite, Find, SharedStore, StoreError, StoreResult, Unit},
};
use std::sync::OnceLock;

const COLLECTION: &str = "instances";
/// How many are read at once.
const PAGE: usize = 500;

/// The records, as soon as the store is open.
#[derive(Default)]
pub(super) struct Records(OnceLock<SharedStore>);

impl Records {
    pub(super) fn open(&self, store: SharedStore) {
        let _ = self.0.set(store);
    }

    /// The store; none while the registry starts.
    fn store(&self) -> StoreResult<&SharedStore> {
        self.0.get().ok_or_else(|| StoreError::Unavailable("the registry starts".to_owned()))
    }

    /// All of them. One that cannot be read is left out: it is written anew with the next announcement.
    pub(super) async fn all(&self) -> StoreResult<Vec<(InstanceName, u64, Said)>> {
        let (mut all, mut after) = (Vec::new(), None::<Cursor>);
        loop {
            let page = self.store()?.find(Find { after, ..Find::all(COLLECTION, PAGE) }).await?;
            for record in &page {
                let name = record.key.split_once('/').map(|(service, id)| InstanceName { service: service.to_owned(), id: id.to_owned() });
                match (name, serde_json::from_str(&record.body)) {
                    (Some(name), Ok(said)) => all.push((name, record.version, said)),
                    (_, read) => {
                        tracing::warn!(key = record.key, error = read.err().map(|error| error.to_string()), "a record cannot be read")
                    }
                }
            }
            if page.len() < PAGE {
                return Ok(all);
            }
            after = page.last().map(|last| Cursor::behind(last, &[]));
        }
    }

    /// Writes one, and removes those whose place it has taken.
    pub(super) async fn write(&self, name: &InstanceName, said: &Said, replaced: &[InstanceName]) -> StoreResult<()> {
        let body = serde_json::to_string(said).map_err(|error| StoreError::Unstorable(error.to_string()))?;
        let mut documents = vec![write(name, Some(body))];
        documents.extend(replaced.iter().map(|name| write(name, None)));
        self.commit(documents).await
    }

    /// Removes these.
    pub(super) async fn remove(&self, names: &[InstanceName]) -> StoreResult<()> {
        self.commit(names.iter().map(|name| write(name, None)).collect()).await
    }

    /// Removes one, if nobody has heard of it since it had this version.
    pub(super) async fn expire(&self, name: &InstanceName, version: Option<u64>) -> StoreResult<()> {
        match self.commit(vec![DocumentWrite { expected: version, ..write(name, None) }]).await {
            Err(StoreError::DocumentConflict { .. }) => Ok(()),
            other => other,
        }
    }

    async fn commit(&self, documents: Vec<DocumentWrite>) -> StoreResult<()> {
        if documents.is_empty() {
            return Ok(());
        }
        let mut unit = Unit::new(Timestamp::now(), Cause::nobody());
        unit.documents = documents;
        self.store()?.commit(unit).await.map(|_| ())
    }
}

fn write(name: &InstanceName, body: Option<String>) -> DocumentWrite {
    DocumentWrite { collection: COLLECTION.into(), key: name.to_string(), body, expected: None }
}
