//! Forgetting a person: the key goes with the unit that says so, and all services hear of it.

use super::Context;
use crate::{
    error::Result,
    store::{NewEvent, StreamId},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The aggregate whose events say what became of subjects.
pub(crate) const DATA_SUBJECT: &str = "DataSubject";
/// The event that says that one was forgotten.
pub(crate) const FORGOTTEN: &str = "Forgotten";

/// A subject was forgotten: `#[event("DataSubject.Forgotten")]` takes an `Event<SubjectForgotten>`, whose [`uuid`](crate::Event::uuid) is the subject. What was
/// [exposed](crate::Sensitive::expose) and kept somewhere, as in a read model, is to be removed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SubjectForgotten {}

impl Context {
    /// Forgets a subject for ever, with this unit: all that is [`Sensitive`](crate::Sensitive) of it cannot be read any more, in the log, in documents, and in what
    /// was sent to others, and nothing sensitive can be stored of it again. Whether anything was known of it.
    ///
    /// Services hear of it as `#[event("DataSubject.Forgotten")]`, once. Another process of this service may go on to read for 5 seconds. What was copied out of the
    /// database, such as backups, holds the key until it is removed.
    ///
    /// # Errors
    /// If the store does not answer, or this is a step of an isolated saga: what is forgotten cannot be taken back.
    pub async fn forget_subject(&mut self, subject: Uuid) -> Result<bool> {
        if self.is_isolated() {
            return Err(crate::error::Error::rejected("a step of an isolated saga cannot forget a subject: it could not be taken back"));
        }
        let environment = self.environment();
        let known = environment.keys.is_known(&environment.store, subject).await?;
        if !self.unit.forgotten.contains(&subject) {
            self.unit.forgotten.push(subject);
        }
        let stream = StreamId::new(DATA_SUBJECT, subject);
        if self.events_sealed(stream.clone()).await?.is_empty() {
            self.append(stream, 0, vec![NewEvent { name: FORGOTTEN.into(), data: "{}".to_owned() }])?;
        }
        Ok(known)
    }
}
