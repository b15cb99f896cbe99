//! What happened to an aggregate, and who has done it.

use crate::{
    context::Context,
    error::{Error, Result},
    store::StoredEvent,
};
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use std::fmt;
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
    /// The content, as it is stored: what is sensitive is sealed, and [`read`](PastEvent::read) opens it.
    pub data: Box<RawValue>,
    #[serde(skip)]
    opened: Opened,
}

/// The content with what is sensitive in it, where that is another one. It is shown nowhere.
#[derive(Clone, Default)]
struct Opened(Option<String>);

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl PastEvent {
    pub(super) async fn all(cx: &Context, events: Vec<StoredEvent>) -> Result<Vec<Self>> {
        let opened = cx.opened(events.clone()).await?;
        events.into_iter().zip(opened).map(|(event, opened)| PastEvent::of(event, opened.data)).collect()
    }

    fn of(event: StoredEvent, opened: String) -> Result<Self> {
        let StoredEvent { version, name, data, at, cause, .. } = event;
        // What this handler has not committed yet is not sealed yet.
        #[cfg(feature = "sensitive")]
        let data = if crate::sensitive::is_marked(&data) { crate::sensitive::masked(&data) } else { data };
        let opened = Opened((opened != data).then_some(opened));
        let data = RawValue::from_string(data)
            .map_err(|error| Error::internal(format!("the event `{name}` of version {version} is no JSON: {error}")))?;
        Ok(PastEvent {
            version,
            name,
            at,
            user: cause.user.map(|user| user.id().to_owned()),
            correlation_id: cause.correlation,
            causation_id: cause.causation,
            data,
            opened,
        })
    }

    /// The content as a type of yours.
    ///
    /// # Errors
    /// If it is not one.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(self.opened.0.as_deref().unwrap_or(self.data.get()))
            .map_err(|error| Error::from(error).context(format!("the event `{}` of version {}", self.name, self.version)))
    }
}
