//! The envelope around the content of a message.

use crate::{
    auth::Identity,
    error::{Error, ErrorKind, Result},
    store::{Cause, NewMessage, OutboxRow, StoredEvent},
    trace::{self, Trace},
};
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageKind {
    /// Something happened.
    Event,
    /// Something is to be done or answered: the receiver's handler says which.
    Request,
    /// The answer to a request.
    Reply,
}

/// An attempt at a step of a saga, as a message of it says. The same in the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepCall {
    /// The execution.
    pub execution: Uuid,
    /// Of which saga.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub saga: String,
    /// The step.
    pub step: String,
    /// What is to be done about it.
    pub direction: Direction,
    /// Which attempt at that, from 1.
    pub attempt: u32,
    /// Of the answer to [`Direction::Cancel`]: the step has not happened, and never will.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub not_done: bool,
    /// Of an answer: what was done holds aggregates until the execution ends.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub holds: bool,
    /// Of a request: the saga is isolated, so what is done is only prepared.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub isolated: bool,
    /// The execution has ended: what this direction of the step holds is released, and if it was not done it never will be. This has no answer.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub release: bool,
    /// The other way, to whoever sent this: the step keeps something, and has not heard how the execution ends. If that is decided it is told once more, by
    /// [`Direction::Commit`], or as a release.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub asks: bool,
}

impl StepCall {
    /// An attempt.
    pub fn new(execution: Uuid, saga: impl Into<String>, step: impl Into<String>, direction: Direction, attempt: u32) -> Self {
        let (saga, step) = (saga.into(), step.into());
        StepCall { execution, saga, step, direction, attempt, not_done: false, holds: false, isolated: false, release: false, asks: false }
    }

    /// Whether this says what becomes of that which the step holds or has prepared. An attempt at the step need not come before it, and what waits for this may have
    /// the same key.
    ///
    /// [`Direction::Cancel`] is not one of these: an attempt that has begun may have had an effect outside or begun a saga before anything was committed, so
    /// it ends before it is said that the step was not done.
    pub fn frees(&self) -> bool {
        self.release || matches!(self.direction, Direction::Commit | Direction::Abort)
    }
}

/// What is done about a step of a saga.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// It is to happen.
    Execute,
    /// It was never answered. The other side is asked to say whether it has happened, and if not, never to do it.
    Cancel,
    /// It has happened, and is to be undone.
    Undo,
    /// It is prepared, for an isolated saga, and is to be applied: that is decided.
    Commit,
    /// It is prepared, or may be, and is to be dropped.
    Abort,
}

/// What about which step: `pay/execute`.
impl fmt::Display for StepCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.step, self.direction)
    }
}

impl Direction {
    /// Its name, as it is stored.
    pub fn name(self) -> &'static str {
        match self {
            Direction::Execute => "execute",
            Direction::Cancel => "cancel",
            Direction::Undo => "undo",
            Direction::Commit => "commit",
            Direction::Abort => "abort",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A message with all that is known of it. In a broker the content is the value, the rest are headers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// Its id: a repetition has the same one.
    pub id: Uuid,
    /// What it is for.
    pub kind: MessageKind,
    /// Where it goes.
    #[serde(skip)]
    pub topic: String,
    /// Messages of one key are handled in order.
    #[serde(skip)]
    pub key: Option<String>,
    /// The name of the event or the request.
    pub name: String,
    /// Of an event: whose it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub aggregate: Option<String>,
    /// Of an event: which one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uuid: Option<Uuid>,
    /// Of an event: its place in the stream.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<u64>,
    /// When it came to be.
    pub occurred_at: Timestamp,
    /// The same for everything that one request from outside led to.
    pub correlation: Uuid,
    /// The id of what led to this directly.
    pub causation: Uuid,
    /// Who asked, if known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<Identity>,
    /// The topic that waits for the answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reply_to: Option<String>,
    /// Of a reply: the HTTP status that the same answer would have.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<u16>,
    /// Of a step of a saga and its answer: which attempt.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub saga: Option<StepCall>,
    /// The place in a trace of whoever asked from outside.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "trace::if_any")]
    pub traceparent: Option<Trace>,
    /// The content, as JSON.
    #[serde(skip)]
    pub content: Bytes,
}

/// What an answer says when it is an error.
#[derive(Debug, Serialize, Deserialize)]
pub struct Failure {
    /// What has happened, as far as it is the asker's business.
    pub detail: String,
    /// Whether somebody else was in the way, which may pass. By its status alone, a conflict looks like a rule of the domain.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub conflict: bool,
}

/// Whether an answer of this status tells an error.
pub fn is_error(status: http::StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

impl Envelope {
    /// An event of the log, on its way to those who listen.
    pub fn of_event(event: StoredEvent) -> Self {
        let name = format!("{}/{}", event.stream.aggregate, event.version);
        Envelope {
            id: Uuid::new_v5(&event.stream.uuid, name.as_bytes()),
            kind: MessageKind::Event,
            topic: event.stream.aggregate.to_string(),
            key: Some(event.stream.uuid.to_string()),
            name: event.name,
            aggregate: Some(event.stream.aggregate.into_owned()),
            uuid: Some(event.stream.uuid),
            version: Some(event.version),
            occurred_at: event.at,
            correlation: event.cause.correlation,
            causation: event.cause.causation,
            user: event.cause.user,
            reply_to: None,
            status: None,
            saga: None,
            traceparent: event.cause.trace,
            content: event.data.into(),
        }
    }

    /// A request for the handler of this name.
    pub fn request(id: Uuid, name: &str, key: Option<String>, content: impl Into<Bytes>, at: Timestamp, cause: Cause) -> Self {
        Envelope {
            id,
            kind: MessageKind::Request,
            topic: name.to_owned(),
            key,
            name: name.to_owned(),
            aggregate: None,
            uuid: None,
            version: None,
            occurred_at: at,
            correlation: cause.correlation,
            causation: cause.causation,
            user: cause.user,
            reply_to: None,
            status: None,
            saga: None,
            traceparent: cause.trace,
            content: content.into(),
        }
    }

    /// The answer to this request, if somebody waits for it. Its id follows from the request's, so that a repeated request has
    /// a repeated answer.
    pub fn reply(&self, status: u16, content: impl Into<Bytes>, at: Timestamp) -> Option<Envelope> {
        let topic = self.reply_to.clone()?;
        Some(Envelope {
            id: Uuid::new_v5(&self.id, b"reply"),
            kind: MessageKind::Reply,
            topic,
            // What is answered to one execution comes in order.
            key: Some(self.saga.as_ref().map_or(self.id, |call| call.execution).to_string()),
            name: self.name.clone(),
            aggregate: None,
            uuid: None,
            version: None,
            occurred_at: at,
            correlation: self.correlation,
            causation: self.id,
            user: self.user.clone(),
            reply_to: None,
            status: Some(status),
            saga: self.saga.clone(),
            traceparent: self.traceparent,
            content: content.into(),
        })
    }

    /// Asks whoever sent this request for a step how its saga ends, if it says where that is heard.
    pub fn question(&self, at: Timestamp) -> Option<Envelope> {
        let (topic, call) = (self.reply_to.clone()?, self.saga.clone()?);
        let key = Some(call.execution.to_string());
        let saga = Some(StepCall { asks: true, ..call });
        let content = Bytes::from_static(b"null");
        Some(Envelope {
            id: Uuid::now_v7(),
            topic,
            key,
            saga,
            content,
            reply_to: None,
            occurred_at: at,
            causation: self.id,
            ..self.clone()
        })
    }

    /// What this answer says: its content, or the error.
    ///
    /// # Errors
    /// The error that was answered.
    pub fn outcome(self) -> Result<Bytes> {
        let status = self.status.and_then(|status| http::StatusCode::from_u16(status).ok()).unwrap_or(http::StatusCode::OK);
        if is_error(status) {
            let told = serde_json::from_slice(&self.content);
            let Failure { detail, conflict } =
                told.unwrap_or_else(|_| Failure { detail: "no reason was given".to_owned(), conflict: false });
            return Err(match conflict {
                true => Error::new(ErrorKind::Conflict, detail).with_status(status),
                false => Error::of_status(status, detail),
            });
        }
        Ok(if self.content.is_empty() { Bytes::from_static(b"null") } else { self.content })
    }

    /// Whether it is about a step of a saga of who gets it: the answer to it, or the question how the saga ends.
    pub fn is_for_saga(&self) -> bool {
        self.saga.as_ref().is_some_and(|call| self.kind == MessageKind::Reply || call.asks)
    }

    /// The step that this is a request for. What else says that it is one is not.
    pub fn step(&self) -> Option<&StepCall> {
        self.saga.as_ref().filter(|_| self.kind == MessageKind::Request)
    }

    /// The headers, as one JSON object.
    pub fn headers(&self) -> String {
        // Only strings, numbers and ids: there is nothing in it that JSON cannot say.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The row that waits in the outbox until this is sent.
    pub fn into_row(self) -> Result<NewMessage> {
        let headers = self.headers();
        let content =
            String::from_utf8(self.content.into()).map_err(|error| Error::from(error).context("the content of a message is JSON text"))?;
        Ok(NewMessage { id: self.id, topic: self.topic, key: self.key, headers, content })
    }

    /// The message of an outbox row.
    ///
    /// # Errors
    /// If its headers cannot be read; the row comes back with the error.
    pub fn of_row(row: OutboxRow) -> Result<Self, (Error, Box<OutboxRow>)> {
        match Envelope::of_headers(&row.message.headers, &row.message.topic) {
            Ok(envelope) => {
                let NewMessage { topic, key, content, .. } = row.message;
                Ok(Envelope { topic, key, content: content.into(), ..envelope })
            }
            Err(error) => Err((error, Box::new(row))),
        }
    }

    /// A message put together again from its headers and content.
    pub fn of_parts(headers: &str, topic: String, key: Option<String>, content: Bytes) -> Result<Self> {
        let envelope = Envelope::of_headers(headers, &topic)?;
        Ok(Envelope { topic, key, content, ..envelope })
    }

    fn of_headers(headers: &str, topic: &str) -> Result<Self> {
        serde_json::from_str(headers)
            .map_err(|error| Error::invalid(format!("the headers of a message on `{topic}` cannot be read: {error}")))
    }

    /// Why what follows from this message happens.
    pub fn cause(&self) -> Cause {
        Cause { correlation: self.correlation, causation: self.id, user: self.user.clone(), trace: self.traceparent }
    }
}
