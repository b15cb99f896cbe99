//! Documents in memory: each is read for each question.

use crate::store::{CollectionChange, Document, DocumentWrite, Filter, Find, StoreError, StoreResult};
use serde_json::Value as Json;
use std::collections::{BTreeMap, HashMap};

/// Collections of documents, by their names and keys.
#[derive(Default)]
pub(super) struct Documents(HashMap<String, BTreeMap<String, Document>>);

impl Documents {
    /// Whether a document is what its writer expects it to be.
    pub(super) fn check(&self, write: &DocumentWrite) -> StoreResult<()> {
        let actual = self.one(&write.collection, &write.key).map_or(0, |document| document.version);
        if write.expected.is_some_and(|expected| expected != actual) {
            return Err(StoreError::DocumentConflict { collection: write.collection.to_string(), key: write.key.clone(), actual });
        }
        Ok(())
    }

    pub(super) fn change(&mut self, change: CollectionChange) {
        match change {
            CollectionChange::Clear { collection } => drop(self.0.remove(&*collection)),
            CollectionChange::Replace { collection, with } => {
                let documents = self.0.remove(&*with).unwrap_or_default();
                self.0.insert(collection.into_owned(), documents);
            }
        }
    }

    pub(super) fn write(&mut self, DocumentWrite { collection, key, body, .. }: DocumentWrite) {
        let documents = self.0.entry(collection.into_owned()).or_default();
        match body {
            Some(body) => {
                let version = documents.get(&key).map_or(0, |document| document.version) + 1;
                documents.insert(key.clone(), Document { key, version, body });
            }
            None => drop(documents.remove(&key)),
        }
    }

    pub(super) fn one(&self, collection: &str, key: &str) -> Option<&Document> {
        self.0.get(collection)?.get(key)
    }

    /// Those that a filter is true of, with their contents.
    fn matching<'d>(&'d self, collection: &str, filter: &Filter) -> impl Iterator<Item = (Json, &'d Document)> {
        let documents = self.0.get(collection).into_iter().flat_map(BTreeMap::values);
        // What was written is JSON.
        documents
            .map(|document| (serde_json::from_str(&document.body).unwrap_or_default(), document))
            .filter(|(body, _)| filter.matches(body))
    }

    pub(super) fn find(&self, find: &Find) -> Vec<Document> {
        let behind = |(body, document): &(Json, &Document)| find.is_behind(body, &document.key);
        let mut found: Vec<_> = self.matching(&find.collection, &find.filter).filter(behind).collect();
        found.sort_by(|(one, first), (other, second)| find.compare((one, &first.key), (other, &second.key)));
        found.into_iter().take(find.limit).map(|(_, document)| document.clone()).collect()
    }

    pub(super) fn count(&self, collection: &str, filter: &Filter) -> u64 {
        self.matching(collection, filter).count() as u64
    }
}
