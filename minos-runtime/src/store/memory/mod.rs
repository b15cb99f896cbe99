//! A store in memory, for tests and for trying things out. What it holds ends with the process.

mod documents;
mod unique;

use super::{
    CLIENT_KEY, Cause, Committed, DeadLetter, Document, Field, Filter, Find, InboxRow, Lease, LiveDefinition, Loaded, LogPage, Mark,
    NewKey, NewSnapshot, OPEN, OpenStep, OutboxRow, SagaFilter, SagaRow, SagaWrite, Snapshot, Statement, Store, StoreError, StoreResult,
    StoredEvent, StreamId, SubjectKey, Unit, find,
};
use crate::sync::lock;
use documents::Documents;
use futures_util::future::{self, BoxFuture, FutureExt};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};
use tokio::sync::watch;
use unique::Values;
use uuid::Uuid;

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
    leases: HashMap<String, LeaseRow>,
    sagas: BTreeMap<Uuid, SagaRow>,
    documents: Documents,
    unique: Values,
    snapshots: HashMap<StreamId, Snapshot>,
    subjects: HashMap<Uuid, SubjectKey>,
}

struct LeaseRow {
    owner: Option<Uuid>,
    epoch: u64,
    until: Instant,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        MemoryStore { state: Mutex::default(), changes: watch::Sender::new(0) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn read<T: Send + 'static>(&self, read: impl FnOnce(&State) -> T) -> BoxFuture<'_, StoreResult<T>> {
        self.change(|state| read(state))
    }

    fn change<T: Send + 'static>(&self, change: impl FnOnce(&mut State) -> T) -> BoxFuture<'_, StoreResult<T>> {
        let mut state = self.state();
        let answer = if state.closed { Err(StoreError::Closed) } else { Ok(change(&mut state)) };
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
        unit.check()?;
        if let Some(statement) = unit.statements.first() {
            return Err(unsupported(statement));
        }
        if let Some(lease) = &unit.fence
            && !self.leases.get(&lease.name).is_some_and(|row| row.owner.is_some() && row.epoch == lease.epoch)
        {
            return Err(StoreError::Fenced(lease.name.clone()));
        }
        if let Some(mark) = &unit.mark {
            let known = self.inbox.get(&(mark.subscriber.to_string(), mark.handled.key().to_owned()));
            if known.is_some_and(|(row, _)| mark.handled.above().is_none_or(|version| row.version >= version)) {
                return Err(StoreError::Duplicate { subscriber: mark.subscriber.to_string(), key: mark.handled.key().to_owned() });
            }
        }
        if let Some(Mark { subscriber, lane: Some(lane), .. }) = &unit.mark
            && self.is_parked(subscriber, lane)
        {
            return Err(StoreError::Parked { subscriber: subscriber.to_string(), key: lane.clone() });
        }
        if let Some(letter) =
            unit.dead_letters.iter().find(|letter| letter.attempts == 0 && !self.is_parked(&letter.subscriber, &letter.key))
        {
            return Err(StoreError::NotParked { subscriber: letter.subscriber.clone(), key: letter.key.clone() });
        }
        if let Some(id) = unit.resolved.iter().find(|id| !self.dead_letters.contains_key(id)) {
            return Err(StoreError::Resolved(*id));
        }
        for write in &unit.sagas {
            self.check_saga(write)?;
        }
        for append in &unit.appends {
            let actual = self.streams.get(&append.stream).map_or(0, Vec::len) as u64;
            if actual != append.expected {
                return Err(StoreError::Conflict { stream: append.stream.clone(), expected: append.expected, actual });
            }
        }
        unit.documents.iter().try_for_each(|write| self.documents.check(write))?;
        for NewKey { subject, .. } in &unit.new_keys {
            match self.subjects.get(subject) {
                Some(SubjectKey::Known(_)) => return Err(StoreError::KeyExists(*subject)),
                Some(SubjectKey::Forgotten(_)) => return Err(StoreError::Forgotten(*subject)),
                None => {}
            }
        }
        let has_key = |subject: &&Uuid| matches!(self.subjects.get(subject), Some(SubjectKey::Known(_)));
        if let Some(subject) = unit.sealed_for.iter().find(|subject| !has_key(subject)) {
            return Err(StoreError::Forgotten(*subject));
        }
        for write in unit.unique.iter().filter(|write| write.takes) {
            self.unique.check(write, &unit.unique)?;
        }
        Ok(())
    }

    fn check_saga(&self, SagaWrite { expected, row }: &SagaWrite) -> StoreResult<()> {
        let actual = self.sagas.get(&row.id).map_or(0, |stored| stored.version);
        if actual != *expected {
            return Err(StoreError::SagaMoved { id: row.id, expected: *expected, actual });
        }
        match &row.key {
            Some(key) if *expected == 0 && self.saga_of_key(&row.saga, key).is_some() => {
                Err(StoreError::SagaExists { saga: row.saga.clone(), key: key.clone() })
            }
            _ => Ok(()),
        }
    }

    fn put_snapshot(&mut self, NewSnapshot { stream, version, schema, state }: NewSnapshot) {
        let known = self.snapshots.get(&stream);
        if known.is_none_or(|known| version > known.version || version == known.version && schema != known.schema) {
            self.snapshots.insert(stream, Snapshot { version, schema, state });
        }
    }

    /// The events of a stream with a version above `after`.
    fn stream(&self, stream: &StreamId, after: u64) -> Vec<StoredEvent> {
        let places = self.streams.get(stream).map(Vec::as_slice).unwrap_or_default();
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        places.iter().skip(after).filter_map(|place| self.log.get(*place)).cloned().collect()
    }

    fn forget_subject(&mut self, subject: Uuid, at: Timestamp) {
        if !matches!(self.subjects.get(&subject), Some(SubjectKey::Forgotten(_))) {
            self.subjects.insert(subject, SubjectKey::Forgotten(at));
        }
    }

    fn saga_of_key(&self, saga: &str, key: &str) -> Option<&SagaRow> {
        self.sagas.values().find(|row| row.saga == saga && row.key.as_deref() == Some(key))
    }

    fn is_parked(&self, subscriber: &str, key: &str) -> bool {
        self.dead_letters.values().any(|DeadLetter { letter, .. }| letter.subscriber == subscriber && letter.key == key)
    }

    fn acquire(&mut self, name: String, owner: Uuid, ttl: Duration) -> Option<Lease> {
        let now = Instant::now();
        let row = self.leases.entry(name.clone()).or_insert(LeaseRow { owner: None, epoch: 0, until: now });
        if row.owner != Some(owner) {
            if row.owner.is_some() && row.until > now {
                return None;
            }
            row.owner = Some(owner);
            row.epoch += 1;
        }
        row.until = now + ttl;
        Some(Lease { name, epoch: row.epoch })
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
                    cause: Cause { trace: None, ..unit.cause.clone() },
                });
            }
        }
        for message in unit.messages {
            self.last_outbox += 1;
            self.outbox.insert(self.last_outbox, OutboxRow { id: self.last_outbox, message });
        }
        if let Some(mark) = unit.mark {
            let (version, answer) = mark.handled.becomes();
            let row = InboxRow { version, answer: answer.map(str::to_owned) };
            let at = mark.handled.time(unit.at);
            self.inbox.insert((mark.subscriber.to_string(), mark.handled.key().to_owned()), (row, at));
        }
        for SagaWrite { mut row, .. } in unit.sagas {
            if let Some(SagaRow { saga, key, cause, started_at, .. }) = self.sagas.remove(&row.id) {
                row = SagaRow { saga, key, cause, started_at, ..row };
            }
            self.sagas.insert(row.id, row);
        }
        unit.collections.into_iter().for_each(|change| self.documents.change(change));
        unit.documents.into_iter().for_each(|write| self.documents.write(write));
        self.unique.write(&unit.unique);
        unit.snapshots.into_iter().for_each(|snapshot| self.put_snapshot(snapshot));
        self.subjects.extend(unit.new_keys.into_iter().map(|NewKey { subject, key }| (subject, SubjectKey::Known(key))));
        for subject in unit.forgotten {
            self.forget_subject(subject, unit.at);
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
        self.read(|state| state.stream(&stream, after))
    }

    fn log(&self, after: u64, limit: usize, aggregates: Option<&[String]>) -> BoxFuture<'_, StoreResult<LogPage>> {
        let page = self.read(|state| {
            if after > state.log.len() as u64 {
                return Err(StoreError::Behind { log: state.log.len() as u64, reader: after });
            }
            let rest = state.log.iter().skip(usize::try_from(after).unwrap_or(usize::MAX));
            let wanted = |event: &&StoredEvent| aggregates.is_none_or(|all| all.iter().any(|name| *name == event.stream.aggregate));
            let events: Vec<_> = rest.filter(wanted).take(limit).cloned().collect();
            let end = after.max(state.log.len() as u64);
            let read = if events.len() == limit { events.last().map_or(after, |event| event.position) } else { end };
            Ok(LogPage { events, read })
        });
        page.map(StoreResult::flatten).boxed()
    }

    fn outbox(&self, after: u64, limit: usize) -> BoxFuture<'_, StoreResult<Vec<OutboxRow>>> {
        self.read(|state| state.outbox.range(after.saturating_add(1)..).take(limit).map(|(_, row)| row.clone()).collect())
    }

    fn handled(&self, subscriber: &str, key: &str) -> BoxFuture<'_, StoreResult<Option<InboxRow>>> {
        let place = (subscriber.to_owned(), key.to_owned());
        self.read(|state| state.inbox.get(&place).map(|(row, _)| row.clone()))
    }

    fn open_steps(&self, ask_by: Timestamp, after: Option<&OpenStep>, limit: usize) -> BoxFuture<'_, StoreResult<Vec<OpenStep>>> {
        let after = after.map(|OpenStep { subscriber, key, ask_at, .. }| (*ask_at, subscriber.clone(), key.clone()));
        self.read(|state| {
            let open = state.inbox.iter().filter(|(_, (row, at))| row.version == OPEN && *at <= ask_by);
            let mut open: Vec<_> = open.map(|((subscriber, key), (row, at))| ((*at, subscriber.clone(), key.clone()), row)).collect();
            open.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
            let behind = open.into_iter().filter(|(place, _)| after.as_ref().is_none_or(|after| place > after)).take(limit);
            let step = |((ask_at, subscriber, key), row): (_, &InboxRow)| OpenStep {
                subscriber,
                key,
                ask_at,
                answer: row.answer.clone().unwrap_or_default(),
            };
            behind.map(step).collect()
        })
    }

    fn checkpoint(&self, name: &str) -> BoxFuture<'_, StoreResult<u64>> {
        self.read(|state| state.checkpoints.get(name).copied().unwrap_or_default())
    }

    fn dead_letters(&self, of: Option<(&str, &str)>, after: u64, limit: usize) -> BoxFuture<'_, StoreResult<Vec<DeadLetter>>> {
        let wanted =
            |found: &&DeadLetter| of.is_none_or(|(subscriber, key)| found.letter.subscriber == subscriber && found.letter.key == key);
        self.read(|state| {
            let rest = state.dead_letters.range(after.saturating_add(1)..).map(|(_, letter)| letter);
            rest.filter(wanted).take(limit).cloned().collect()
        })
    }

    fn parked(&self) -> BoxFuture<'_, StoreResult<Vec<(String, String)>>> {
        self.read(|state| {
            let letters = state.dead_letters.values().map(|DeadLetter { letter, .. }| (letter.subscriber.clone(), letter.key.clone()));
            letters.collect::<BTreeSet<_>>().into_iter().collect()
        })
    }

    fn saga(&self, id: Uuid) -> BoxFuture<'_, StoreResult<Option<SagaRow>>> {
        self.read(|state| state.sagas.get(&id).cloned())
    }

    fn saga_of_key(&self, saga: &str, key: &str) -> BoxFuture<'_, StoreResult<Option<SagaRow>>> {
        self.read(|state| state.saga_of_key(saga, key).cloned())
    }

    fn sagas(&self, filter: SagaFilter, after: Option<Uuid>, limit: usize) -> BoxFuture<'_, StoreResult<Vec<SagaRow>>> {
        let wanted = |row: &&SagaRow| {
            after.is_none_or(|after| row.id > after)
                && filter.saga.as_ref().is_none_or(|saga| row.saga == *saga)
                && filter.status.as_ref().is_none_or(|status| row.status == *status)
        };
        self.read(|state| state.sagas.values().filter(wanted).take(limit).cloned().collect())
    }

    fn saga_wakes(&self, limit: usize) -> BoxFuture<'_, StoreResult<Vec<(Timestamp, Uuid)>>> {
        self.read(|state| {
            let wakes = state.sagas.values().filter_map(|row| Some((row.wake?, row.id)));
            wakes.collect::<BTreeSet<_>>().into_iter().take(limit).collect()
        })
    }

    fn live_sagas(&self, after: Timestamp, limit: usize) -> BoxFuture<'_, StoreResult<Vec<(Timestamp, Uuid)>>> {
        self.read(|state| {
            let live = state.sagas.values().filter(|row| !row.ended && row.started_at > after).map(|row| (row.started_at, row.id));
            live.collect::<BTreeSet<_>>().into_iter().take(limit).collect()
        })
    }

    fn wake_saga(&self, id: Uuid, version: u64, at: Timestamp) -> BoxFuture<'_, StoreResult<()>> {
        self.change(|state| {
            if let Some(row) = state.sagas.get_mut(&id).filter(|row| row.version == version && !row.ended) {
                row.wake = Some(at);
            }
        })
    }

    fn live_definitions(&self) -> BoxFuture<'_, StoreResult<Vec<LiveDefinition>>> {
        self.read(|state| {
            let mut live = BTreeMap::<_, u64>::new();
            for row in state.sagas.values().filter(|row| !row.ended) {
                *live.entry((row.saga.clone(), row.definition.clone())).or_default() += 1;
            }
            live.into_iter().map(|((saga, definition), executions)| LiveDefinition { saga, definition, executions }).collect()
        })
    }

    fn forget_sagas(&self, before: Timestamp) -> BoxFuture<'_, StoreResult<u64>> {
        self.change(|state| {
            let known = state.sagas.len();
            state.sagas.retain(|_, row| !row.ended || row.changed_at >= before);
            (known - state.sagas.len()) as u64
        })
    }

    fn acquire(&self, name: &str, owner: Uuid, ttl: Duration) -> BoxFuture<'_, StoreResult<Option<Lease>>> {
        self.change(|state| state.acquire(name.to_owned(), owner, ttl))
    }

    fn release(&self, lease: Lease) -> BoxFuture<'_, StoreResult<()>> {
        self.change(|state| {
            if let Some(row) = state.leases.get_mut(&lease.name).filter(|row| row.epoch == lease.epoch) {
                row.owner = None;
            }
        })
    }

    fn forget_answers(&self, before: Timestamp) -> BoxFuture<'_, StoreResult<u64>> {
        self.change(|state| {
            let mut forgotten = 0;
            state.inbox.retain(|(_, key), (row, at)| {
                // Those of steps have a version.
                if row.answer.is_none() || row.version > 0 || *at >= before {
                    return true;
                }
                forgotten += 1;
                row.answer = None;
                !key.starts_with(CLIENT_KEY)
            });
            forgotten
        })
    }

    fn document(&self, collection: &str, key: &str) -> BoxFuture<'_, StoreResult<Option<Document>>> {
        self.read(|state| state.documents.one(collection, key).cloned())
    }

    fn documents_of(&self, collection: &str, keys: &[String]) -> BoxFuture<'_, StoreResult<Vec<Document>>> {
        self.read(|state| {
            let keys = keys.iter().collect::<BTreeSet<_>>();
            keys.into_iter().filter_map(|key| state.documents.one(collection, key)).cloned().collect()
        })
    }

    fn find(&self, find: Find) -> BoxFuture<'_, StoreResult<Vec<Document>>> {
        match find.check() {
            Ok(()) => self.read(|state| state.documents.find(&find)),
            Err(error) => future::ready(Err(error)).boxed(),
        }
    }

    fn count(&self, collection: &str, filter: Filter) -> BoxFuture<'_, StoreResult<u64>> {
        match filter.check() {
            Ok(()) => self.read(|state| state.documents.count(collection, &filter)),
            Err(error) => future::ready(Err(error)).boxed(),
        }
    }

    fn index(&self, _: &str, field: Field) -> BoxFuture<'_, StoreResult<()>> {
        // All is looked at for each question.
        let checked = find::check_path(&field.path);
        self.read(|_| checked).map(StoreResult::flatten).boxed()
    }

    fn owner_of(&self, aggregate: &str, field: &str, value: &str) -> BoxFuture<'_, StoreResult<Option<Uuid>>> {
        self.read(|state| state.unique.owner_of((aggregate, field, value)))
    }

    fn load(&self, stream: StreamId) -> BoxFuture<'_, StoreResult<Loaded>> {
        self.read(|state| {
            let snapshot = state.snapshots.get(&stream).cloned();
            let events = state.stream(&stream, snapshot.as_ref().map_or(0, |snapshot| snapshot.version));
            Loaded { snapshot, events }
        })
    }

    fn forget_snapshot(&self, stream: StreamId) -> BoxFuture<'_, StoreResult<()>> {
        self.change(|state| drop(state.snapshots.remove(&stream)))
    }

    fn keys_of(&self, subjects: &[Uuid]) -> BoxFuture<'_, StoreResult<Vec<(Uuid, SubjectKey)>>> {
        self.read(|state| {
            let subjects = subjects.iter().copied().collect::<BTreeSet<_>>();
            subjects.into_iter().filter_map(|subject| Some((subject, state.subjects.get(&subject)?.clone()))).collect()
        })
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

    #[tokio::test]
    async fn nothing_changes_once_it_is_closed() {
        use crate::store::Cause;
        let cause = Cause::nobody();
        let row = |ended, wake| SagaRow {
            id: Uuid::now_v7(),
            saga: "Pay".to_owned(),
            key: None,
            definition: String::new(),
            status: String::new(),
            ended,
            wake,
            version: 1,
            state: "{}".to_owned(),
            cause: cause.clone(),
            started_at: Timestamp::UNIX_EPOCH,
            changed_at: Timestamp::UNIX_EPOCH,
        };
        let (ended, due) = (row(true, None), row(false, Some(Timestamp::UNIX_EPOCH)));
        let store = MemoryStore::new();
        let writes = [&ended, &due].map(|row| SagaWrite { expected: 0, row: row.clone() });
        store.commit(Unit { sagas: writes.to_vec(), ..Unit::new(Timestamp::UNIX_EPOCH, cause.clone()) }).await.unwrap();
        store.close().await;
        assert_eq!(store.forget_sagas(Timestamp::MAX).await, Err(StoreError::Closed));
        assert_eq!(store.wake_saga(due.id, 1, Timestamp::MAX).await, Err(StoreError::Closed));
        let state = store.state();
        assert_eq!((state.sagas.get(&ended.id), state.sagas.get(&due.id)), (Some(&ended), Some(&due)));
    }
}
