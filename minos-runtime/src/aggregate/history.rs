//! What happened to an aggregate, and who has done it.

use crate::{
    error::{Error, Result},
    store::StoredEvent,
};
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use uuid::Uuid;

/// An event in the history of an aggregate: what happened, when, by whom, and why.
#[derive(Debug, Clone, Serialize)]
pub struct PastEvent {
    /// The version that it made. There may be gaps: what only Minos is concerned with, such as that a saga holds the aggregate, is not told.
    pub version: u64,
    /// The name of the event.
    pub name: String,
    /// When, in UTC.
    pub at: Timestamp,
    /// Who asked for it, if that was known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The same for everything that one request from outside led to, in all services.
    pub correlation_id: Uuid,
    /// The request or message that led to it directly.
    pub causation_id: Uuid,
    /// The content, as it is stored.
    pub data: Box<RawValue>,
}

impl PastEvent {
    pub(super) fn of(event: StoredEvent) -> Result<Self> {
        let StoredEvent { version, name, data, at, cause, .. } = event;
        let data = RawValue::from_string(data)
            .map_err(|error| Error::internal(format!("the event `{name}` of version {version} is no JSON: {error}")))?;
        Ok(PastEvent { version, name, at, user: cause.user, correlation_id: cause.correlation, causation_id: cause.causation, data })
    }

    /// The content as a type of yours.
    ///
    /// # Errors
    /// If it is not one.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(self.data.get())
            .map_err(|error| Error::from(error).context(format!("the event `{}` of version {}", self.name, self.version)))
    }
}
