//! How far a projection has come: one document for each, which every commit of it is compared with. So there is one that goes on, whoever else believes to.

use crate::{
    context::store_error,
    error::{Error, ErrorKind, Result},
    store::{Document, DocumentWrite, Store, StoreError, Unit},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The collection of these documents.
pub(super) const COLLECTION: &str = "minos/projections";

/// How far a projection has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The view that is read. None before its tables are made.
    pub live: Option<Built>,
    /// The one that is made beside it, to take its place.
    pub rebuild: Option<Built>,
    /// How many were begun.
    pub generations: u64,
}

/// A view that is made, or was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Built {
    /// Which one: later ones are higher.
    pub generation: u64,
    /// What it was made by.
    pub definition: String,
    /// The version of the projection that made it.
    pub version: u32,
    /// The position in the log up to which all is in it.
    pub position: u64,
    /// When it was begun, in UTC.
    pub begun_at: Timestamp,
}

/// Progress as it was read, or is to be written next.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) name: &'static str,
    pub(super) progress: Progress,
    /// The version of its document; 0 if there is none.
    version: u64,
}

impl State {
    pub(super) async fn read(store: &dyn Store, name: &'static str) -> Result<Self> {
        match store.document(COLLECTION, name).await.map_err(store_error)? {
            None => Ok(State { name, progress: Progress { live: None, rebuild: None, generations: 0 }, version: 0 }),
            Some(Document { body, version, .. }) => {
                let progress = serde_json::from_str(&body)
                    .map_err(|error| Error::internal(format!("the progress of the projection `{name}` cannot be read: {error}")))?;
                Ok(State { name, progress, version })
            }
        }
    }

    /// Whether a newer deployment goes on with this projection, so that an older one leaves it alone.
    pub(super) fn is_newer_than(&self, version: u32) -> bool {
        self.progress.live.iter().chain(&self.progress.rebuild).any(|built| built.version > version)
    }

    /// Whether nothing was written between the two.
    pub(super) fn is(&self, other: &State) -> bool {
        self.version == other.version
    }

    /// Adds to a unit that all this has come to pass, unless somebody else has gone on meanwhile: then nothing of the unit is written.
    pub(super) fn add_to(&self, unit: &mut Unit) -> Result<()> {
        let body = Some(serde_json::to_string(&self.progress)?);
        unit.documents.push(DocumentWrite { collection: COLLECTION.into(), key: self.name.to_owned(), body, expected: Some(self.version) });
        Ok(())
    }

    /// The unit was committed.
    pub(super) fn committed(&mut self) {
        self.version += 1;
    }

    /// Begins a new view, beside the one that is read if there is one.
    ///
    /// # Errors
    /// If one is being made already.
    pub(super) fn begin(&mut self, definition: String, version: u32, now: Timestamp) -> Result<()> {
        if let Some(Built { begun_at, position, .. }) = &self.progress.rebuild {
            let message = format!("`{}` is being rebuilt already, since {begun_at}, and has come to position {position}", self.name);
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        self.progress.generations += 1;
        self.progress.rebuild = Some(Built { generation: self.progress.generations, definition, version, position: 0, begun_at: now });
        Ok(())
    }
}

/// Whether a commit was refused because somebody else has gone on with this projection.
pub(super) fn is_overtaken(error: &StoreError) -> bool {
    matches!(error, StoreError::DocumentConflict { collection, .. } if collection == COLLECTION)
}
