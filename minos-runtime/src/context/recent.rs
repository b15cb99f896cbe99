//! Streams as this process last wrote or read them.
//!
//! Most handlers load what was written a moment ago, by the same process. Another process may have written since, so what is remembered here decides
//! nothing alone: who appends to such a stream has its version checked by the commit, and of all the others the [`Context`](super::Context)
//! asks the store, behind the handler, whether there is more by now. If so the handler runs again, and reads the store itself.

use crate::{
    store::{Append, Cause, StoredEvent, StreamId, Unit},
    sync::lock,
};
use jiff::Timestamp;
use quick_cache::{Weighter, unsync::Cache};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::Instant;

/// A stream with more events or bytes is not remembered.
const EVENTS: usize = 64;
const BYTES: u64 = 64 * 1024;
/// What an event takes beside its texts, about.
const OVERHEAD: usize = 200;
/// How long a stream is not remembered that another process writes, too: to be wrong about it costs more than to read it.
const SHARED_FOR: Duration = Duration::from_secs(10);

/// The streams that are remembered.
#[derive(Clone)]
pub(crate) struct RecentStreams(Option<Arc<Mutex<Streams>>>);

type Streams = Cache<StreamId, Entry, Bytes>;

#[derive(Clone)]
enum Entry {
    /// All events of the stream.
    Events(Arc<Vec<StoredEvent>>),
    /// Others write it, too, or it is not known what was written.
    Shared(Instant),
}

#[derive(Clone)]
struct Bytes;

impl Weighter<StreamId, Entry> for Bytes {
    fn weight(&self, _: &StreamId, entry: &Entry) -> u64 {
        match entry {
            Entry::Events(events) => bytes(events),
            Entry::Shared(_) => OVERHEAD as u64,
        }
    }
}

fn bytes(events: &[StoredEvent]) -> u64 {
    let user = |event: &StoredEvent| event.cause.user.as_ref().map_or(0, |user| user.text().len());
    events.iter().map(|event| event.name.len() + event.data.len() + user(event) + OVERHEAD).sum::<usize>() as u64
}

/// What a unit that is being committed adds to its streams. Unless it is said what became of it, they are not remembered for a while: it may be there, or come.
pub(crate) struct Writing<'r> {
    recent: &'r RecentStreams,
    appends: Vec<Vec<StoredEvent>>,
}

impl Writing<'_> {
    /// It was committed.
    pub(crate) fn written(mut self) {
        self.recent.written(std::mem::take(&mut self.appends));
    }

    /// Nothing of it was.
    pub(crate) fn refused(mut self) {
        self.appends.clear();
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        for event in self.appends.iter().filter_map(|events| events.first()) {
            self.recent.differs(&event.stream);
        }
    }
}

impl RecentStreams {
    /// Remembers about so many bytes; nothing at all with 0.
    pub(crate) fn new(capacity: usize) -> Self {
        let streams = || Cache::with_weighter(capacity / 1024, capacity as u64, Bytes);
        RecentStreams((capacity > 0).then(|| Arc::new(Mutex::new(streams()))))
    }

    /// All events of a stream, as far as they are known here.
    pub(crate) fn events(&self, stream: &StreamId) -> Option<Vec<StoredEvent>> {
        let events = match lock(self.0.as_ref()?).get(stream)? {
            Entry::Events(events) => events.clone(),
            Entry::Shared(_) => return None,
        };
        Some(events.to_vec())
    }

    /// All events of a stream were read from the store.
    pub(crate) fn read(&self, stream: &StreamId, events: &[StoredEvent]) {
        let Some(streams) = &self.0 else { return };
        let mut streams = lock(streams);
        match streams.peek(stream) {
            Some(Entry::Events(known)) if known.len() >= events.len() => {}
            Some(Entry::Shared(since)) if since.elapsed() < SHARED_FOR => {}
            _ => keep(&mut streams, stream.clone(), Arc::new(events.to_vec())),
        }
    }

    /// A unit is about to be committed.
    pub(crate) fn writing(&self, unit: &Unit) -> Writing<'_> {
        let appends = match &self.0 {
            None => Vec::new(),
            Some(_) => unit.appends.iter().map(|append| appended(append, unit.at, &unit.cause).collect()).collect(),
        };
        Writing { recent: self, appends }
    }

    fn written(&self, appends: Vec<Vec<StoredEvent>>) {
        let Some(streams) = &self.0 else { return };
        for events in appends {
            let Some((stream, first)) = events.first().map(|event| (event.stream.clone(), event.version)) else { continue };
            let mut streams = lock(streams);
            if matches!(streams.peek(&stream), Some(Entry::Shared(_))) {
                continue;
            }
            // Taken out and put back: what grows in its place would let nothing else go.
            let mut known = match streams.remove(&stream) {
                Some((_, Entry::Events(known))) => known,
                _ => Arc::default(),
            };
            // What was known may be older than what the unit was made for; and of two units the later one may be told first.
            if known.len() as u64 + 1 == first {
                let all = Arc::make_mut(&mut known);
                // There are many streams, and most will not get more soon.
                all.reserve_exact(events.len());
                all.extend(events);
                keep(&mut streams, stream, known);
            }
        }
    }

    /// The store has, or may have, other events of a stream than were known here.
    pub(crate) fn differs(&self, stream: &StreamId) {
        if let Some(streams) = &self.0 {
            lock(streams).insert(stream.clone(), Entry::Shared(Instant::now()));
        }
    }
}

fn keep(streams: &mut Streams, stream: StreamId, events: Arc<Vec<StoredEvent>>) {
    if events.len() <= EVENTS && bytes(&events) <= BYTES {
        streams.insert(stream, Entry::Events(events));
    } else {
        streams.remove(&stream);
    }
}

/// Events as they are once they are appended, but for their position, which is not known before.
pub(crate) fn appended<'u>(append: &'u Append, at: Timestamp, cause: &'u Cause) -> impl Iterator<Item = StoredEvent> + 'u {
    append.events.iter().zip(append.expected + 1..).map(move |(event, version)| StoredEvent {
        position: 0,
        stream: append.stream.clone(),
        version,
        name: event.name.to_string(),
        data: event.data.clone(),
        at,
        cause: cause.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::NewEvent;
    use uuid::Uuid;

    #[test]
    fn streams_that_grow_push_others_out() {
        let recent = RecentStreams::new(64 * 1024);
        let streams: Vec<_> = (0..400).map(|_| StreamId::new("Foo", Uuid::now_v7())).collect();
        for expected in 0..20 {
            for stream in &streams {
                let events = vec![NewEvent { name: "E".into(), data: "{}".to_owned() }];
                let mut unit = Unit::new(Timestamp::UNIX_EPOCH, Cause::nobody());
                unit.appends.push(Append { stream: stream.clone(), expected, events });
                recent.writing(&unit).written();
            }
            let kept = lock(recent.0.as_ref().unwrap());
            assert!(kept.weight() <= kept.capacity(), "{} bytes of {}", kept.weight(), kept.capacity());
        }
    }
}
