//! What is read.

use super::{Cause, NewDeadLetter, NewMessage, StreamId};
use jiff::Timestamp;

/// An event as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place in the order of all events of the store; there may be gaps, but a reader never sees a lower one later.
    pub position: u64,
    /// The stream.
    pub stream: StreamId,
    /// Its place in the stream, from 1, without gaps.
    pub version: u64,
    /// The event's name.
    pub name: String,
    /// Its content, as JSON.
    pub data: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub cause: Cause,
}

impl StoredEvent {
    /// Whether it is the framework's own affair, such as who holds the aggregate. It counts as a version of its stream, and is told to nobody.
    pub fn is_internal(&self) -> bool {
        self.name.starts_with('$')
    }
}

/// A part of the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogPage {
    /// The events, in order.
    pub events: Vec<StoredEvent>,
    /// The position up to which all was seen, whether it is in this page or was not asked for: where to read on.
    pub read: u64,
}

/// A message that waits to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its number; later ones are higher.
    pub id: u64,
    /// The message.
    pub message: NewMessage,
}

/// What the inbox knows of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRow {
    /// The last version handled; 0 for a message. For a step the last attempt that was answered, or [`OPEN`](super::OPEN) or [`SETTLED`](super::SETTLED).
    pub version: u64,
    /// The answer to a message; `None` once it is forgotten.
    pub answer: Option<String>,
}

/// A step of a saga that was done here, and keeps something until it is known how the saga ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenStep {
    /// Whose mark it is: the handler's stable name.
    pub subscriber: String,
    /// The step.
    pub key: String,
    /// When somebody has to ask.
    pub ask_at: Timestamp,
    /// The answer, as the caller of the store encodes it.
    pub answer: String,
}

/// A dead letter as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number; later ones are higher.
    pub id: u64,
    /// When it was put there.
    pub at: Timestamp,
    /// The rest.
    pub letter: NewDeadLetter,
}
