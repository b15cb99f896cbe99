//! Documents: JSON under a collection and a key. Read models are made of them.

use super::{StoreError, StoreResult};
use serde_json::Value as Json;
use std::{borrow::Cow, collections::HashSet};

/// How many bytes the name of a collection and a key have at most, together: an index holds them.
const NAME: usize = 2000;

/// A document as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its key, unique in its collection.
    pub key: String,
    /// Counts its writes, from 1. One that was removed and is written again begins anew.
    pub version: u64,
    /// Its content, as JSON.
    pub body: String,
}

/// A document to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentWrite {
    /// The collection.
    pub collection: Cow<'static, str>,
    /// The key.
    pub key: String,
    /// What it is from then on, as JSON without NUL characters; `None` removes it. Whole numbers are kept as `i64`, others as `f64`.
    pub body: Option<String>,
    /// The version that it has before: 0 if it is not there, `None` for whatever there is. If it has another one, the unit is refused as
    /// [`StoreError::DocumentConflict`](super::StoreError::DocumentConflict).
    pub expected: Option<u64>,
}

/// What becomes of a collection as a whole, before any document of the same unit is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CollectionChange {
    /// All its documents are removed.
    Clear {
        /// The collection.
        collection: Cow<'static, str>,
    },
    /// Its documents are replaced by those of another one, which has none then.
    Replace {
        /// The collection.
        collection: Cow<'static, str>,
        /// The other one.
        with: Cow<'static, str>,
    },
}

impl CollectionChange {
    /// The collections that are changed.
    pub(super) fn collections(&self) -> impl Iterator<Item = &str> {
        let (collection, with) = match self {
            CollectionChange::Clear { collection } => (collection, None),
            CollectionChange::Replace { collection, with } => (collection, Some(with)),
        };
        std::iter::once(collection).chain(with).map(|name| &**name)
    }
}

/// Refuses what no store can keep.
pub(super) fn check(writes: &[DocumentWrite], changes: &[CollectionChange]) -> StoreResult<()> {
    let refused = |what: String| Err(StoreError::Unstorable(what));
    let (mut changed, mut written) = (HashSet::new(), HashSet::new());
    for name in changes.iter().flat_map(CollectionChange::collections) {
        check_name(name, "")?;
        if !changed.insert(name) {
            return refused(format!("the collection `{name}` is changed twice in one unit"));
        }
    }
    for DocumentWrite { collection, key, body, expected } in writes {
        check_name(collection, key)?;
        // Stores compare each one with what is stored: two of one unit would not see each other.
        if !written.insert((collection, key)) {
            return refused(format!("the document `{key}` of `{collection}` is written twice in one unit"));
        }
        if expected.is_some() && changed.contains(&**collection) {
            return refused(format!("the unit changes the collection `{collection}`, so it cannot expect a version of `{key}`"));
        }
        let Some(body) = body else { continue };
        match serde_json::from_str(body) {
            Err(error) => return refused(format!("the document `{key}` of `{collection}` is no JSON: {error}")),
            Ok(json) if body.contains("\\u0000") && has_nul(&json) => {
                return refused(format!("the document `{key}` of `{collection}` has a NUL character in it"));
            }
            Ok(_) => {}
        }
    }
    Ok(())
}

fn check_name(collection: &str, key: &str) -> StoreResult<()> {
    if collection.contains('\0') || key.contains('\0') {
        return Err(StoreError::Unstorable(format!("the name of a document has a NUL character in it: {collection:?} {key:?}")));
    }
    if collection.len() + key.len() > NAME {
        let begin: String = key.chars().take(40).collect();
        return Err(StoreError::Unstorable(format!(
            "the key `{begin}…` of `{collection}` is too long: both names have at most {NAME} bytes together"
        )));
    }
    Ok(())
}

fn has_nul(json: &Json) -> bool {
    match json {
        Json::String(text) => text.contains('\0'),
        Json::Array(items) => items.iter().any(has_nul),
        Json::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}
