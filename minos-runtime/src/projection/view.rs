//! What a projection works on: its read model, and nothing else.

use super::{Projection, work::Work};
use crate::{
    document::Document,
    error::{Error, Result},
};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{fmt, marker::PhantomData};

/// The read model of a projection, as its functions change it.
///
/// It has tables of its own ([`execute`](View::execute)), or documents, if the projection is a [`Document`] itself. What is done here is committed together
/// with the progress of the projection, or not at all. It can have no effect outside, so that a rebuild does nothing twice: it has no mail to send, no
/// message, and no clock but the time of the event.
pub struct View<P> {
    work: Work,
    of: PhantomData<fn() -> P>,
}

impl<P> fmt::Debug for View<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").finish_non_exhaustive()
    }
}

impl<P: Projection> View<P> {
    #[doc(hidden)]
    pub fn of(work: &Work) -> Self {
        View { work: work.clone(), of: PhantomData }
    }

    /// When the event happened, in UTC.
    pub fn now(&self) -> Timestamp {
        self.work.now()
    }

    /// Adds a statement for the projection's tables, whose names stand in braces, as in `TABLES`: `UPDATE {balances} SET …`.
    ///
    /// # Errors
    /// If it names a table that `TABLES` does not make. What the database says of it is known when it is committed.
    pub fn execute(&mut self, sql: impl AsRef<str>, parameters: impl IntoIterator<Item = Value>) -> Result<()> {
        self.work.execute(sql.as_ref(), parameters.into_iter().collect())
    }

    /// Reads rows of the projection's tables, as they are before what was done here since the last commit: to count, let the database count
    /// (`SET seats = seats + 1`).
    ///
    /// # Errors
    /// If the statement fails, or a row is not a `T`.
    pub async fn select<T: DeserializeOwned>(
        &self,
        sql: impl AsRef<str> + Send,
        parameters: impl IntoIterator<Item = Value> + Send,
    ) -> Result<Vec<T>> {
        let rows = self.work.select(sql.as_ref(), parameters.into_iter().collect()).await?;
        rows.into_iter().map(|row| serde_json::from_value(row).map_err(Error::from)).collect()
    }
}

impl<P: Projection + Document> View<P> {
    /// The document of this key, as it is by now.
    ///
    /// # Errors
    /// If the store does not answer, or what is stored cannot be read as this type.
    pub async fn get(&self, key: impl ToString + Send) -> Result<Option<P>>
    where
        P: Clone,
    {
        let key = key.to_string();
        self.work.fetch::<P>(&key).await?;
        Ok(self.work.look(&key, |document: Option<&P>| document.cloned()))
    }

    /// Writes a document, in place of the one of this key.
    pub fn put(&mut self, key: impl ToString, document: P) {
        self.work.put(key.to_string(), Some(document));
    }

    /// Removes the document of this key, if it is there.
    pub fn remove(&mut self, key: impl ToString) {
        self.work.put::<P>(key.to_string(), None);
    }

    /// Changes the document of this key.
    ///
    /// # Errors
    /// If there is none: use [`update_or`](View::update_or) where that is no mistake.
    pub async fn update(&mut self, key: impl ToString + Send, change: impl FnOnce(&mut P) + Send) -> Result<()> {
        let key = key.to_string();
        self.work.fetch::<P>(&key).await?;
        if self.work.change(&key, change) { Ok(()) } else { Err(Error::not_found(format!("`{}` has no document `{key}`", P::NAME))) }
    }

    /// Changes the document of this key, or this one, if there is none.
    ///
    /// # Errors
    /// If the store does not answer, or what is stored cannot be read as this type.
    pub async fn update_or(&mut self, key: impl ToString + Send, new: P, change: impl FnOnce(&mut P) + Send) -> Result<()> {
        let key = key.to_string();
        self.work.fetch::<P>(&key).await?;
        if self.work.look(&key, |document: Option<&P>| document.is_none()) {
            self.work.put(key.clone(), Some(new));
        }
        self.work.change(&key, change);
        Ok(())
    }
}
