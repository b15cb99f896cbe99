//! What a projection has done and not yet committed: documents, as the values that they are, and statements.

use super::{definition::Plan, tables::Generation};
use crate::{
    context::store_error,
    error::{Error, Result},
    store::{DocumentWrite, SharedStore, Statement, Unit},
    sync::lock,
};
use jiff::Timestamp;
use serde_json::Value;
use std::{
    any::Any,
    collections::HashMap,
    sync::{Arc, Mutex},
};

/// The work of a projection on some events. Cheap to clone; the clones share it.
#[doc(hidden)]
#[derive(Clone)]
pub struct Work(Arc<Inner>);

struct Inner {
    store: SharedStore,
    plan: Arc<Plan>,
    generation: Generation,
    /// Whether others may write the same documents, so that each is compared with what was read.
    shared: bool,
    collected: Mutex<Collected>,
}

#[derive(Default)]
struct Collected {
    now: Timestamp,
    statements: Vec<Statement>,
    documents: HashMap<String, Entry>,
    /// How many of them differ from what is stored.
    changed: usize,
    /// Whether a document that is not here is nowhere.
    complete: bool,
    /// The documents that were touched since the last commit for the first time, also those that are not there.
    touched: Vec<String>,
}

struct Entry {
    /// Which version it has in the store, if it was read and others may write it.
    read: Option<u64>,
    /// Nothing if it is not there, or is removed.
    value: Option<Box<dyn Any + Send>>,
    write: fn(&dyn Any) -> Result<String>,
    /// Whether it differs from what is stored.
    changed: bool,
}

impl Work {
    pub(super) fn new(store: SharedStore, plan: Arc<Plan>, generation: Generation, shared: bool) -> Self {
        Work(Arc::new(Inner { store, plan, generation, shared, collected: Mutex::default() }))
    }

    /// From now on a document that is not known here is nowhere: nothing was written before.
    pub(super) fn begins_empty(&self) {
        lock(&self.0.collected).complete = true;
    }

    /// The time of the events that follow.
    pub(super) fn at(&self, now: Timestamp) {
        lock(&self.0.collected).now = now;
    }

    pub(super) fn now(&self) -> Timestamp {
        lock(&self.0.collected).now
    }

    /// Whether this holds of a document that was touched since the last commit for the first time, also of one that is not there.
    pub(super) fn has_touched(&self, mut one: impl FnMut(&str) -> bool) -> bool {
        lock(&self.0.collected).touched.iter().any(|key| one(key))
    }

    /// Whether a document was touched, and is still kept.
    pub(super) fn has(&self, key: &str) -> bool {
        lock(&self.0.collected).documents.contains_key(key)
    }

    /// How many documents and statements wait to be committed.
    pub(super) fn pending(&self) -> usize {
        let collected = lock(&self.0.collected);
        collected.changed + collected.statements.len()
    }

    /// How many documents are kept in memory.
    pub(super) fn kept(&self) -> usize {
        lock(&self.0.collected).documents.len()
    }

    /// Adds to a unit what was done. It stays here until it is known what became of the unit.
    ///
    /// # Errors
    /// If a document cannot be written as JSON.
    pub(super) fn add_to(&self, unit: &mut Unit) -> Result<()> {
        let collection = self.0.generation.name(self.0.plan.def.name).into_owned();
        let collected = lock(&self.0.collected);
        // In the order of their keys, so that a unit is the same each time.
        let mut changed: Vec<_> = collected.documents.iter().filter(|(_, entry)| entry.changed).collect();
        changed.sort_unstable_by_key(|(key, _)| *key);
        for (key, entry) in changed {
            let body = entry
                .value
                .as_ref()
                .map(|value| (entry.write)(&**value))
                .transpose()
                .map_err(|error| error.context(format!("the document `{key}`")))?;
            unit.documents.push(DocumentWrite { collection: collection.clone().into(), key: key.clone(), body, expected: entry.read });
        }
        unit.statements.extend(collected.statements.iter().cloned());
        Ok(())
    }

    /// What was done is committed. Documents are kept for what comes, if that is said.
    pub(super) fn committed(&self, keeps: bool) {
        let mut collected = lock(&self.0.collected);
        collected.statements.clear();
        collected.touched.clear();
        collected.changed = 0;
        if !keeps || self.0.shared {
            collected.documents.clear();
            collected.complete = false;
        }
        collected.documents.values_mut().for_each(|entry| entry.changed = false);
    }

    /// What was done is not committed, and is to be done again.
    pub(super) fn forget(&self) {
        *lock(&self.0.collected) = Collected::default();
    }

    /// Adds a statement, with the names that its tables have in this generation.
    pub(super) fn execute(&self, sql: &str, parameters: Vec<Value>) -> Result<()> {
        let statement = Statement { sql: self.named(sql)?, parameters };
        lock(&self.0.collected).statements.push(statement);
        Ok(())
    }

    /// Rows as they are before what was done here.
    pub(super) async fn select(&self, sql: &str, parameters: Vec<Value>) -> Result<Vec<Value>> {
        let statement = Statement { sql: self.named(sql)?, parameters };
        self.0.store.select(statement).await.map_err(store_error)
    }

    fn named(&self, sql: &str) -> Result<String> {
        match &self.0.plan.tables {
            Some(tables) => tables.named(sql, self.0.generation),
            None => Err(Error::internal(format!(
                "the projection `{}` has no tables: say how they are made in `const TABLES: &str = \"CREATE TABLE {{name}} (…)\"`",
                self.0.plan.def.name
            ))),
        }
    }

    /// Reads a document into memory, if it is not there.
    pub(super) async fn fetch<D: Kept>(&self, key: &str) -> Result<()> {
        {
            let collected = &mut *lock(&self.0.collected);
            if collected.documents.contains_key(key) {
                return Ok(());
            }
            if collected.complete {
                collected.touched.push(key.to_owned());
                collected.documents.insert(key.to_owned(), Entry { read: None, value: None, write: D::write, changed: false });
                return Ok(());
            }
        }
        let collection = self.0.generation.name(self.0.plan.def.name);
        let stored = self.0.store.document(&collection, key).await.map_err(store_error)?;
        let read = self.0.shared.then(|| stored.as_ref().map_or(0, |document| document.version));
        let value = match stored {
            Some(document) => {
                Some(D::read(&document.body).map_err(|error| error.context(format!("the document `{key}` of `{collection}`")))?)
            }
            None => None,
        };
        let entry = Entry { read, value: value.map(|value| Box::new(value) as Box<dyn Any + Send>), write: D::write, changed: false };
        let collected = &mut *lock(&self.0.collected);
        collected.touched.push(key.to_owned());
        collected.documents.entry(key.to_owned()).or_insert(entry);
        Ok(())
    }

    /// Looks at a document that was fetched.
    pub(super) fn look<D: Kept, T>(&self, key: &str, look: impl FnOnce(Option<&D>) -> T) -> T {
        let collected = lock(&self.0.collected);
        look(collected.documents.get(key).and_then(|entry| entry.value.as_ref()).and_then(|value| value.downcast_ref()))
    }

    /// Changes a document that was fetched, if it is there. Whether it is.
    pub(super) fn change<D: Kept>(&self, key: &str, change: impl FnOnce(&mut D)) -> bool {
        let collected = &mut *lock(&self.0.collected);
        let Some(entry) = collected.documents.get_mut(key) else { return false };
        let Some(document) = entry.value.as_mut().and_then(|value| value.downcast_mut()) else { return false };
        change(document);
        collected.changed += usize::from(!std::mem::replace(&mut entry.changed, true));
        true
    }

    /// Puts a document in the place of what is there, or removes that.
    pub(super) fn put<D: Kept>(&self, key: String, document: Option<D>) {
        let collected = &mut *lock(&self.0.collected);
        let touched = &mut collected.touched;
        let entry = collected.documents.entry(key).or_insert_with_key(|key| {
            touched.push(key.clone());
            Entry { read: None, value: None, write: D::write, changed: false }
        });
        entry.value = document.map(|document| Box::new(document) as Box<dyn Any + Send>);
        collected.changed += usize::from(!std::mem::replace(&mut entry.changed, true));
    }
}

/// A value that documents are made of.
pub(super) trait Kept: Any + Send + Sized {
    fn read(body: &str) -> Result<Self>;
    fn write(value: &dyn Any) -> Result<String>;
}

impl<D: serde::Serialize + serde::de::DeserializeOwned + Send + 'static> Kept for D {
    fn read(body: &str) -> Result<Self> {
        Ok(serde_json::from_str(body)?)
    }

    fn write(value: &dyn Any) -> Result<String> {
        match value.downcast_ref::<D>() {
            Some(value) => Ok(serde_json::to_string(value)?),
            None => Err(Error::internal("a document is of another type than its collection")),
        }
    }
}
