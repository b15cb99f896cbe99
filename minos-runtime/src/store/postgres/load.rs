//! Streams are read many at once: what was asked for while the previous ones were under way goes next, as one query.
//!
//! There is no timer: an idle service reads at once. A query reads only the beginning of a long stream, and who asked for it reads the rest alone, so
//! that nobody waits long for somebody else's. When a query fails, each reads alone, too: what is wrong with one stream is told to that one only.

use super::{
    errors::Place,
    read::{self, Readers},
};
use crate::{
    store::{Loaded, StoreResult, StoredEvent, StreamId, number},
    sync::lock,
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};
use tokio::sync::oneshot;
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

/// How many queries run at once: one that takes long does not keep those that come later waiting.
const AT_ONCE: usize = 2;
/// How many streams a query reads at most.
const STREAMS: usize = 128;
/// How many events of each.
const EVENTS: usize = 128;
/// A stream gets no further event in a query once its events have so many bytes there.
const BYTES: usize = 64 * 1024;
/// What the server counts for an event beside the bytes of its content, at most.
const HEADER: usize = 4;

/// How streams are read.
pub(super) struct Loads {
    readers: Arc<Readers>,
    place: Place,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Load>,
    /// How many tasks serve it.
    running: usize,
}

/// A stream that is asked for. Without an answer it is to be read alone.
struct Load {
    stream: StreamId,
    after: i64,
    /// Whether its snapshot is wanted, too.
    snapshot: bool,
    answer: oneshot::Sender<Vec<Row>>,
}

impl Loads {
    pub(super) fn new(readers: Arc<Readers>, place: Place) -> Self {
        Loads { readers, place, queue: Arc::default() }
    }

    /// The events of a stream with a version above `after`, in order.
    pub(super) async fn stream(&self, stream: StreamId, after: u64) -> StoreResult<Vec<StoredEvent>> {
        match self.ask(&stream, after, false).await {
            Some(rows) => self.whole(&stream, &rows).await,
            None => self.alone(&stream, after).await,
        }
    }

    /// The snapshot of a stream, and the events behind it, in order.
    pub(super) async fn state(&self, stream: StreamId) -> StoreResult<Loaded> {
        let error = |error| self.place.error(&error);
        let Some(mut rows) = self.ask(&stream, 0, true).await else {
            let rows = self.readers.query(read::SNAPSHOT, &[&stream.uuid, &&*stream.aggregate]).await?;
            let snapshot = rows.first().map(read::snapshot_alone).transpose().map_err(error)?;
            // Events are never removed: those behind it are there, whatever is written meanwhile.
            let events = self.alone(&stream, snapshot.as_ref().map_or(0, |snapshot| snapshot.version)).await?;
            return Ok(Loaded { snapshot, events });
        };
        let mut snapshot = None;
        if let Some(place) = rows.iter().position(read::is_snapshot) {
            snapshot = Some(read::snapshot(&rows.swap_remove(place)).map_err(error)?);
        }
        let events = self.whole(&stream, &rows).await?;
        Ok(Loaded { snapshot, events })
    }

    /// What a query answers that many share; `None` if it has to be read alone.
    async fn ask(&self, stream: &StreamId, after: u64, snapshot: bool) -> Option<Vec<Row>> {
        let (answer, wait) = oneshot::channel();
        self.queue(Load { stream: stream.clone(), after: number(after), snapshot, answer });
        wait.await.ok()
    }

    /// The events of these rows, and the rest if these are only a beginning.
    async fn whole(&self, stream: &StreamId, rows: &[Row]) -> StoreResult<Vec<StoredEvent>> {
        let mut events = self.events(rows)?;
        events.sort_by_key(|event| event.version);
        if let Some(last) = events.last()
            && !is_all(&events)
        {
            events.extend(self.alone(stream, last.version).await?);
        }
        Ok(events)
    }

    fn queue(&self, load: Load) {
        let mut queue = lock(&self.queue);
        queue.waiting.push_back(load);
        if queue.running < AT_ONCE {
            queue.running += 1;
            let running = Running { queue: self.queue.clone(), counted: true };
            tokio::spawn(serve(self.readers.clone(), running));
        }
    }

    async fn alone(&self, stream: &StreamId, after: u64) -> StoreResult<Vec<StoredEvent>> {
        self.events(&self.readers.query(read::STREAM, &[&stream.uuid, &&*stream.aggregate, &number(after)]).await?)
    }

    fn events(&self, rows: &[Row]) -> StoreResult<Vec<StoredEvent>> {
        rows.iter().map(read::event).collect::<Result<_, _>>().map_err(|error| self.place.error(&error))
    }
}

/// Whether a query that read these events of a stream has read all of them, for certain.
fn is_all(events: &[StoredEvent]) -> bool {
    events.len() < EVENTS && events.iter().map(|event| event.data.len() + HEADER).sum::<usize>() < BYTES
}

/// Serves the queue until it is empty.
async fn serve(readers: Arc<Readers>, mut running: Running) {
    loop {
        // Those who are about to ask get to do so first.
        tokio::task::yield_now().await;
        let Some(loads) = running.next() else { return };
        let uuids: Vec<Uuid> = loads.iter().map(|load| load.stream.uuid).collect();
        let aggregates: Vec<&str> = loads.iter().map(|load| &*load.stream.aggregate).collect();
        let after: Vec<i64> = loads.iter().map(|load| load.after).collect();
        let wanted: Vec<bool> = loads.iter().map(|load| load.snapshot).collect();
        let parameters: [&(dyn ToSql + Sync); 6] = [&uuids, &aggregates, &after, &(EVENTS as i64), &(BYTES as i64), &wanted];
        let read = match wanted.contains(&true) {
            true => readers.query(read::STATES, &parameters).await,
            false => readers.query(read::BEGINNINGS, &parameters[..5]).await,
        };
        match read {
            Ok(rows) => answer(loads, rows),
            // Each is told what is wrong with its own.
            Err(error) => tracing::debug!(%error, streams = loads.len(), "streams could not be read at once; each is read alone"),
        }
    }
}

/// Gives each load its rows. What cannot be told apart answers nobody.
fn answer(loads: Vec<Load>, rows: Vec<Row>) {
    let mut all: Vec<Vec<Row>> = loads.iter().map(|_| Vec::new()).collect();
    for row in rows {
        let of = row.try_get::<_, i64>(read::BEGINNING_OF).ok().and_then(|number| usize::try_from(number - 1).ok());
        let Some(rows) = of.and_then(|place| all.get_mut(place)) else { return };
        rows.push(row);
    }
    for (load, rows) in loads.into_iter().zip(all) {
        // Nobody may wait for it any more.
        let _ = load.answer.send(rows);
    }
}

/// A task that serves the queue, counted there until it ends.
struct Running {
    queue: Arc<Mutex<Queue>>,
    counted: bool,
}

impl Running {
    /// The loads of the next query; `None` when the queue is empty, and this one is not counted any more.
    fn next(&mut self) -> Option<Vec<Load>> {
        let mut queue = lock(&self.queue);
        let mut loads = Vec::new();
        while loads.len() < STREAMS
            && let Some(load) = queue.waiting.pop_front()
        {
            // Somebody may have given up meanwhile.
            if !load.answer.is_closed() {
                loads.push(load);
            }
        }
        if loads.is_empty() {
            queue.running -= 1;
            self.counted = false;
        }
        self.counted.then_some(loads)
    }
}

impl Drop for Running {
    /// One that did not come to its end leaves nobody waiting.
    fn drop(&mut self) {
        if self.counted {
            let mut queue = lock(&self.queue);
            queue.running -= 1;
            queue.waiting.clear();
        }
    }
}
