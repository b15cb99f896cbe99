//! The key that is not in the database: with it, the keys of subjects are encrypted where they are stored.

use super::{Environment, store_error};
use crate::{
    codec::unhex,
    error::{Error, Result},
    sensitive::Seal,
    store::{Cause, DocumentWrite, StoreError, Unit},
};

/// The collection and the key of the document by which the master key is known again.
const KEYS: &str = "minos/keys";
const MASTER: &str = "master";

impl Environment {
    /// Sets the key with which the keys of subjects are encrypted: 64 hexadecimal digits, or nothing. All processes of a service have the same one, for ever.
    ///
    /// # Errors
    /// If it is no key, or not the one with which the service has begun.
    pub(crate) async fn set_master_key(&self, text: &str) -> Result<()> {
        let master = match text {
            "" => None,
            text => {
                let key = unhex(text.trim()).and_then(|bytes| Seal::of(&bytes));
                Some(key.ok_or_else(|| {
                    Error::invalid("`store.master_key` has to be 64 hexadecimal digits: `openssl rand -hex 32` makes some")
                })?)
            }
        };
        let proof = master.as_ref().map(Seal::proof);
        let known = self.store.document(KEYS, MASTER).await.map_err(store_error)?;
        match (&proof, known) {
            (None, None) => return Ok(()),
            (Some(proof), Some(known)) if known.body == *proof => {}
            (Some(proof), None) => self.keep_proof(proof.clone()).await?,
            (None, Some(_)) => {
                return Err(Error::invalid(
                    "`store.master_key` is missing: keys of persons in this store are encrypted with one, so set it again",
                ));
            }
            (Some(_), Some(_)) => {
                return Err(Error::invalid(
                    "`store.master_key` is not the one with which keys of persons in this store are encrypted: set that one",
                ));
            }
        }
        if let Some(master) = master {
            self.keys.set_master(master);
        }
        Ok(())
    }

    async fn keep_proof(&self, proof: String) -> Result<()> {
        let mut unit = Unit::new(self.clock.now(), Cause::nobody());
        unit.documents.push(DocumentWrite {
            collection: KEYS.into(),
            key: MASTER.to_owned(),
            body: Some(proof.clone()),
            expected: Some(0),
        });
        match self.store.commit(unit).await {
            Ok(_) => Ok(()),
            // Another process starts, too.
            Err(StoreError::DocumentConflict { .. }) => {
                let known = self.store.document(KEYS, MASTER).await.map_err(store_error)?;
                let same = known.is_some_and(|known| known.body == proof);
                if same { Ok(()) } else { Err(Error::invalid("another process of this service starts with another `store.master_key`")) }
            }
            Err(error) => Err(store_error(error)),
        }
    }
}
