//! A store in memory, for tests and for trying things out. What it holds ends with the process.

use super::{Committed, DeadLetter, Handled, InboxRow, OutboxRow, Statement, Store, StoreError, StoreResult, StoredEvent, StreamId, Unit};
use futures_util::future::{self, BoxFuture, FutureExt};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard},
};
use tokio::sync::watch;

/// A store in memory.
pub struct MemoryStore {
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    closed: bool,
    log: Vec<StoredEvent>,
    /// Where each stream's events are in the log.
    streams: HashMap<StreamId, Vec<usize>>,
    outbox: BTreeMap<u64, OutboxRow>,
    last_outbox: u64,
    inbox: HashMap<(String, String), (InboxRow, Timestamp)>,
    checkpoints: HashMap<String, u64>,
    dead_letters: BTreeMap<u64, DeadLetter>,
    last_dead_letter: u64,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        MemoryStore { state: Mutex::default(), changes: watch::Sender::new(0) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn read<T: Send + 'static>(&self, read: impl FnOnce(&State) -> T) -> BoxFuture<'_, StoreResult<T>> {
        let state = self.state();
        let answer = if state.closed { Err(StoreError::Closed) } else { Ok(read(&state)) };
        future::ready(answer).boxed()
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        MemoryStore::new()
    }
}

impl State {
    /// Whether this unit may be committed. Nothing is written before all of it is known to be fine.
    fn check(&self, unit: &Unit) -> StoreResult<()> {
        if self.closed {
            return Err(StoreError::Closed);
        }
        if let Some(statement) = unit.statements.first() {
            return Err(unsupported(statement));
        }
        if let Some(mark) = &unit.mark {
            let known = self.inbox.get(&(mark.subscriber.to_string(), mark.handled.key().to_owned()));
            let duplicate = match (&mark.handled, known) {
                (_, None) => false,
                (Handled::Version { version, .. }, Some((row, _))) => row.version >= *version,
                (Handled::Message { .. }, Some(_)) => true,
            };
            if duplicate {
                return Err(StoreError::Duplicate { subscriber: mark.subscriber.to_string(), key: mark.handled.key().to_owned() });
            }
        }
        for append in &unit.appends {
            let actual = self.streams.get(&append.stream).map_or(0, Vec::len) as u64;
            if actual != append.expected {
                return Err(StoreError::Conflict { stream: append.stream.clone(), expected: append.expected, actual });
            }
        }
        Ok(())
    }

    fn apply(&mut self, unit: Unit) -> Committed {
        for append in unit.appends {
            let places = self.streams.entry(append.stream.clone()).or_default();
            for (event, version) in append.events.into_iter().zip(append.expected + 1..) {
                places.push(self.log.len());
                self.log.push(StoredEvent {
                    position: self.log.len() as u64 + 1,
                    stream: append.stream.clone(),
                    version,
                    name: event.name.into_owned(),
                    data: event.data,
                    at: unit.at,
                    cause: unit.cause.clone(),
                });
            }
        }
        for message in unit.messages {
            self.last_outbox += 1;
            self.outbox.insert(self.last_outbox, OutboxRow { id: self.last_outbox, message });
        }
        if let Some(mark) = unit.mark {
            let (key, row) = match mark.handled {
                Handled::Version { key, version } => (key, InboxRow { version, answer: None }),
                Handled::Message { key, answer } => (key, InboxRow { version: 0, answer: Some(answer) }),
            };
            self.inbox.insert((mark.subscriber.into_owned(), key), (row, unit.at));
        }
        for letter in unit.dead_letters {
            self.last_dead_letter += 1;
            self.dead_letters.insert(self.last_dead_letter, DeadLetter { id: self.last_dead_letter, at: unit.at, letter });
        }
        for id in unit.resolved {
            self.dead_letters.remove(&id);
        }
        for (name, position) in unit.checkpoints {
            let checkpoint = self.checkpoints.entry(name).or_default();
            *checkpoint = position.max(*checkpoint);
        }
        for id in unit.sent {
            self.outbox.remove(&id);
        }
        Committed { position: self.log.len() as u64 }
    }
}

fn unsupported(statement: &Statement) -> StoreError {
    StoreError::Unsupported(format!("the memory store knows no SQL, so it cannot run `{}`: use `sqlite://…`", statement.sql))
}

impl Store for MemoryStore {
    fn describe(&self) -> String {
        "memory (gone when the process ends)".to_owned()
    }

    fn commit(&self, unit: Unit) -> BoxFuture<'_, StoreResult<Committed>> {
        let tell = !unit.appends.is_empty() || !unit.messages.is_empty();
        let mut state = self.state();
        let result = state.check(&unit).map(|()| state.apply(unit));
        drop(state);
        if tell && result.is_ok() {
            self.changes.send_modify(|count| *count += 1);
        }
        future::ready(result).boxed()
    }

    fn stream(&self, stream: StreamId, after: u64) -> BoxFuture<'_, StoreResult<Vec<StoredEvent>>> {
        self.read(|state| {
            let places = state.streams.get(&stream).map(Vec::as_slice).unwrap_or_default();
            let after = usize::try_from(after).unwrap_or(usize::MAX);
            places.iter().skip(after).filter_map(|place| state.log.get(*place)).cloned().collect()
        })
    }

    fn log(&self, after: u64, limit: usize) -> BoxFuture<'_, StoreResult<Vec<StoredEvent>>> {
        self.read(|state| state.log.iter().skip(usize::try_from(after).unwrap_or(usize::MAX)).take(limit).cloned().collect())
    }

    fn outbox(&self, after: u64, limit: usize) -> BoxFuture<'_, StoreResult<Vec<OutboxRow>>> {
        self.read(|state| state.outbox.range(after.saturating_add(1)..).take(limit).map(|(_, row)| row.clone()).collect())
    }

    fn handled(&self, subscriber: &str, key: &str) -> BoxFuture<'_, StoreResult<Option<InboxRow>>> {
        let place = (subscriber.to_owned(), key.to_owned());
        self.read(|state| state.inbox.get(&place).map(|(row, _)| row.clone()))
    }

    fn checkpoint(&self, name: &str) -> BoxFuture<'_, StoreResult<u64>> {
        self.read(|state| state.checkpoints.get(name).copied().unwrap_or_default())
    }

    fn dead_letters(&self, after: u64, limit: usize) -> BoxFuture<'_, StoreResult<Vec<DeadLetter>>> {
        self.read(|state| state.dead_letters.range(after.saturating_add(1)..).take(limit).map(|(_, letter)| letter.clone()).collect())
    }

    fn forget_answers(&self, before: Timestamp) -> BoxFuture<'_, StoreResult<u64>> {
        let mut state = self.state();
        let count = state.inbox.len();
        state.inbox.retain(|_, (row, at)| row.answer.is_none() || *at >= before);
        future::ready(Ok((count - state.inbox.len()) as u64)).boxed()
    }

    fn select(&self, statement: Statement) -> BoxFuture<'_, StoreResult<Vec<serde_json::Value>>> {
        future::ready(Err(unsupported(&statement))).boxed()
    }

    fn ping(&self) -> BoxFuture<'_, StoreResult<()>> {
        self.read(|_| ())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.state().closed = true;
        future::ready(()).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SharedStore;
    use std::sync::Arc;

    crate::store_suite!(suite, async || Arc::new(MemoryStore::new()) as SharedStore);
}
