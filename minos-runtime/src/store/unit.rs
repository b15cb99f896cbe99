//! What is written: the unit of work, and what it is made of.

use super::{
    CollectionChange, DocumentWrite, Lease, NewKey, NewSnapshot, SagaWrite, StoreError, StoreResult, StreamId, UniqueWrite, document,
    subject, unique,
};
use crate::{auth::Identity, trace::Trace};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::HashSet};
use uuid::Uuid;

/// Why something was written: carried from the request to every event and message that follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The same for everything that one request from outside led to.
    pub correlation: Uuid,
    /// The id of the request or message that led to this directly.
    pub causation: Uuid,
    /// Who asked, if known.
    pub user: Option<Identity>,
    /// The place in a trace of whoever asked from outside. Messages and executions keep it; events do not, whose correlation is the trace.
    pub trace: Option<Trace>,
}

impl Cause {
    /// Of what no request has led to, such as what Minos does by itself in time.
    pub fn nobody() -> Self {
        Cause { correlation: Uuid::nil(), causation: Uuid::nil(), user: None, trace: None }
    }
}

/// An event to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The event's name, such as `FooCreated`.
    pub name: Cow<'static, str>,
    /// Its content, as JSON.
    pub data: String,
}

/// Events to append to one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The stream.
    pub stream: StreamId,
    /// The version that the stream has before: 0 for a new one. The first event gets the next one.
    pub expected: u64,
    /// The events, in order.
    pub events: Vec<NewEvent>,
}

impl Append {
    /// The version that the stream has then.
    pub fn version(&self) -> u64 {
        self.expected + self.events.len() as u64
    }
}

/// A message to send, once the unit is committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewMessage {
    /// Its id, by which receivers know a repetition.
    pub id: Uuid,
    /// The topic.
    pub topic: String,
    /// Messages of one key are delivered in order.
    pub key: Option<String>,
    /// The headers, as a JSON object.
    pub headers: String,
    /// The content, as JSON.
    pub content: String,
}

/// The mark that something was handled: the inbox. A unit whose mark is already there is refused as
/// [`StoreError::Duplicate`](super::StoreError::Duplicate), and nothing of it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Who handled it: the handler's stable name.
    pub subscriber: Cow<'static, str>,
    /// What was handled.
    pub handled: Handled,
    /// The key under which it would be put among the dead letters of its subscriber. While there is one of that key the unit is refused as
    /// [`StoreError::Parked`](super::StoreError::Parked): its turn comes after that one.
    pub lane: Option<String>,
}

/// What the keys of clients begin with, apart from those of messages: the inbox keeps them for a while only.
pub const CLIENT_KEY: &str = "http ";

/// What a [`Mark`] is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handled {
    /// An event, or anything else that comes in numbered order: one row per key, which keeps the highest number for ever.
    Version {
        /// The stream, or another name of what is numbered.
        key: String,
        /// Its version; the mark is a duplicate when this is not above the last one.
        version: u64,
    },
    /// A message or request with an id of its own: one row each, with the answer that a repetition gets. A message's row stays for ever, without the
    /// answer in the end; a client's only as long as its answer.
    Message {
        /// The message's id or the client's idempotency key.
        key: String,
        /// The answer, as the caller of the store encodes it.
        answer: String,
    },
    /// A step that somebody has attempted: one row each, with the last answer, for ever.
    Step {
        /// The step.
        key: String,
        /// What is known of it from then on.
        becomes: StepMark,
        /// The answer, as the caller of the store encodes it.
        answer: String,
    },
}

/// What is known of a step. It only goes on: what comes too late for that is a duplicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepMark {
    /// This attempt, from 1, was answered, and a later one may do it. A duplicate if this one or a later one was, or the step is done.
    Answered(u64),
    /// This attempt has done it, and keeps something until it hears how its saga has ended. A duplicate as `Answered` is.
    Open {
        /// Which attempt.
        attempt: u64,
        /// When somebody has to ask, if nothing was heard.
        ask_at: Timestamp,
    },
    /// This attempt has done it. A duplicate as `Answered` is.
    Done(u64),
    /// No attempt will ever do it. A duplicate if one has done it.
    Never,
    /// Of a step that is open: it was asked how its saga has ended. A duplicate if that is known.
    Asked {
        /// When to ask again.
        ask_at: Timestamp,
    },
    /// Of a step that is open: how its saga has ended was heard. A duplicate if that was known.
    Ended,
}

/// The version of the inbox row of a step that is settled: the highest that every store can count to.
pub const SETTLED: u64 = i64::MAX as u64;
/// That of one that is done, and open.
pub const OPEN: u64 = SETTLED - 1;

impl StepMark {
    fn above(self) -> u64 {
        match self {
            StepMark::Answered(attempt) | StepMark::Open { attempt, .. } | StepMark::Done(attempt) => attempt,
            StepMark::Never => OPEN,
            StepMark::Asked { .. } | StepMark::Ended => SETTLED,
        }
    }

    fn version(self) -> u64 {
        match self {
            StepMark::Answered(attempt) => attempt,
            StepMark::Open { .. } | StepMark::Asked { .. } => OPEN,
            StepMark::Done(_) | StepMark::Never | StepMark::Ended => SETTLED,
        }
    }
}

impl Handled {
    /// The key of what was handled.
    pub fn key(&self) -> &str {
        match self {
            Handled::Version { key, .. } | Handled::Message { key, .. } | Handled::Step { key, .. } => key,
        }
    }

    /// The number that a row must be below for this not to be a duplicate; `None` if there must be no row.
    pub(super) fn above(&self) -> Option<u64> {
        match self {
            Handled::Version { version, .. } => Some(*version),
            Handled::Message { .. } => None,
            Handled::Step { becomes, .. } => Some(becomes.above()),
        }
    }

    /// The version and the answer that the row has from then on.
    pub(super) fn becomes(&self) -> (u64, Option<&str>) {
        match self {
            Handled::Version { version, .. } => (*version, None),
            Handled::Message { answer, .. } => (0, Some(answer)),
            Handled::Step { becomes, answer, .. } => (becomes.version(), Some(answer)),
        }
    }

    /// The time that the row has from then on, if it is handled at this one.
    pub(super) fn time(&self, at: Timestamp) -> Timestamp {
        match self {
            Handled::Step { becomes: StepMark::Open { ask_at, .. } | StepMark::Asked { ask_at }, .. } => *ask_at,
            _ => at,
        }
    }
}

/// A statement of the user's own, for read models. It runs in the unit's transaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    /// The SQL, in the dialect of the store. Parameters are `$1`, `$2`, … on both databases.
    pub sql: String,
    /// The parameters, in order: null, booleans, numbers and strings; arrays and objects are bound as JSON text.
    pub parameters: Vec<serde_json::Value>,
}

/// A message that could not be handled, kept for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDeadLetter {
    /// The handler that failed.
    pub subscriber: String,
    /// The key that is parked: later messages of it wait behind this one.
    pub key: String,
    /// Where it came from.
    pub topic: String,
    /// The message's headers, as a JSON object.
    pub headers: String,
    /// The raw content.
    pub content: Vec<u8>,
    /// Why: the error, or the dead letter that blocks this one.
    pub cause: String,
    /// How often it was tried; 0 if it only waits behind another one. If there is no other one of its subscriber and key any more, the unit is
    /// refused as [`StoreError::NotParked`](super::StoreError::NotParked).
    pub attempts: u32,
}

/// What one handler did: committed in one transaction, or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// When: the time of all its events.
    pub at: Timestamp,
    /// Why.
    pub cause: Cause,
    /// Events, at most one [`Append`] per stream.
    pub appends: Vec<Append>,
    /// Messages to send.
    pub messages: Vec<NewMessage>,
    /// The inbox mark.
    pub mark: Option<Mark>,
    /// Statements for read models.
    pub statements: Vec<Statement>,
    /// Executions of sagas, each at most once, and at most one new one of a saga and key.
    pub sagas: Vec<SagaWrite>,
    /// Messages that could not be handled.
    pub dead_letters: Vec<NewDeadLetter>,
    /// Dead letters that are dealt with, to be removed. If one is not there any more, the unit is refused as
    /// [`StoreError::Resolved`](super::StoreError::Resolved), so that each is dealt with once.
    pub resolved: Vec<u64>,
    /// Documents, each at most once.
    pub documents: Vec<DocumentWrite>,
    /// What becomes of collections as wholes, each at most once, before the documents are written.
    pub collections: Vec<CollectionChange>,
    /// Unique values that are taken or released.
    pub unique: Vec<UniqueWrite>,
    /// Snapshots. They never refuse a unit.
    pub snapshots: Vec<NewSnapshot>,
    /// Keys of subjects that had none, each at most once.
    pub new_keys: Vec<NewKey>,
    /// Subjects with whose keys something in it is encrypted. If one of them has none any more, the unit is refused as
    /// [`StoreError::Forgotten`](super::StoreError::Forgotten): what nobody can read is not stored.
    pub sealed_for: Vec<Uuid>,
    /// Subjects whose keys are forgotten for ever; also those that the unit brings along, and those that would come.
    ///
    /// A key is gone from the database from then on, and with it whatever was encrypted with it. It is not gone from backups, standbys that lag, and
    /// archived logs: they have to be removed within the time by which it has to be forgotten. PostgreSQL keeps the bytes in its file until the next `VACUUM`.
    pub forgotten: Vec<Uuid>,
    /// How far readers of the log have come, by name.
    pub checkpoints: Vec<(String, u64)>,
    /// Outbox rows that were sent, to be removed.
    pub sent: Vec<u64>,
    /// The lease under which this was done. If it is not held under its epoch any more, the unit is refused as
    /// [`StoreError::Fenced`](super::StoreError::Fenced). That its time has passed is no reason, as long as nobody else took it.
    pub fence: Option<Lease>,
}

impl Unit {
    /// A unit in which nothing has happened yet.
    pub fn new(at: Timestamp, cause: Cause) -> Self {
        Unit {
            at,
            cause,
            appends: Vec::new(),
            messages: Vec::new(),
            mark: None,
            statements: Vec::new(),
            sagas: Vec::new(),
            dead_letters: Vec::new(),
            resolved: Vec::new(),
            documents: Vec::new(),
            collections: Vec::new(),
            unique: Vec::new(),
            snapshots: Vec::new(),
            new_keys: Vec::new(),
            sealed_for: Vec::new(),
            forgotten: Vec::new(),
            checkpoints: Vec::new(),
            sent: Vec::new(),
            fence: None,
        }
    }

    /// Appends events to a stream that is at this version as the unit sees it: behind what it has appended already. Whether it is.
    pub fn append(&mut self, stream: &StreamId, version: u64, events: Vec<NewEvent>) -> bool {
        match self.appends.iter_mut().find(|append| append.stream == *stream) {
            None => self.appends.push(Append { stream: stream.clone(), expected: version, events }),
            Some(append) if append.version() == version => append.events.extend(events),
            Some(_) => return false,
        }
        true
    }

    /// About how many bytes its contents have.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(super) fn bytes(&self) -> usize {
        let events = self.appends.iter().flat_map(|append| &append.events).map(|event| event.data.len());
        let messages = self.messages.iter().map(|message| message.headers.len() + message.content.len());
        let letters = self.dead_letters.iter().map(|letter| letter.headers.len() + letter.content.len() + letter.cause.len());
        let statements = self.statements.iter().map(|statement| statement.sql.len());
        let answer = match &self.mark {
            Some(Mark { handled: Handled::Message { answer, .. } | Handled::Step { answer, .. }, .. }) => answer.len(),
            _ => 0,
        };
        let sagas = self.sagas.iter().map(|write| write.row.state.len());
        let documents = self.documents.iter().map(|write| write.body.as_ref().map_or(0, String::len));
        let snapshots = self.snapshots.iter().map(|snapshot| snapshot.state.len());
        events.chain(messages).chain(letters).chain(statements).chain(sagas).chain(documents).chain(snapshots).sum::<usize>() + answer
    }

    /// Refuses what no store can keep.
    pub(super) fn check(&self) -> StoreResult<()> {
        self.check_sagas()?;
        document::check(&self.documents, &self.collections)?;
        unique::check(&self.unique)?;
        subject::check(&self.new_keys)?;
        match self.mark.as_ref().map(|mark| (mark.handled.key(), mark.handled.above())) {
            Some((key, Some(version))) if version > SETTLED => {
                Err(StoreError::Unstorable(format!("{key} cannot be at version {version}: the highest is {SETTLED}")))
            }
            _ => Ok(()),
        }
    }

    /// Stores compare each execution with what is stored: two of one unit would not see each other.
    fn check_sagas(&self) -> StoreResult<()> {
        let (mut ids, mut keys) = (HashSet::new(), HashSet::new());
        for SagaWrite { expected, row } in &self.sagas {
            if !ids.insert(row.id) {
                return Err(StoreError::Unstorable(format!("the execution {} is written twice in one unit", row.id)));
            }
            if let Some(key) = row.key.as_ref().filter(|_| *expected == 0)
                && !keys.insert((&row.saga, key))
            {
                return Err(StoreError::SagaExists { saga: row.saga.clone(), key: key.clone() });
            }
        }
        Ok(())
    }

    /// Whether it takes a transaction of several messages: its statements are run one by one.
    #[cfg(feature = "postgres")]
    pub(super) fn has_statements(&self) -> bool {
        !self.statements.is_empty() || !self.forgotten.is_empty()
    }

    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.appends.is_empty()
            && self.messages.is_empty()
            && self.mark.is_none()
            && self.statements.is_empty()
            && self.sagas.is_empty()
            && self.dead_letters.is_empty()
            && self.resolved.is_empty()
            && self.documents.is_empty()
            && self.collections.is_empty()
            && self.unique.is_empty()
            && self.snapshots.is_empty()
            && self.new_keys.is_empty()
            && self.forgotten.is_empty()
            && self.checkpoints.is_empty()
            && self.sent.is_empty()
    }
}
