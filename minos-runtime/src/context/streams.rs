//! How a handler reads streams: from the store or from what is remembered, in its turn, and opened.

use super::{Context, HotGuard, Reads, appended, store_error};
use crate::{
    error::{Error, ErrorKind, Result},
    store::{Loaded, StoredEvent, StreamId},
    sync::lock,
};
use futures_util::future::try_join_all;
use std::sync::Mutex;

/// What a state is made of, as a handler sees it.
pub(crate) struct Past {
    pub(crate) loaded: Loaded,
    /// Whether it is what the store has now, and nothing else.
    pub(crate) is_stored: bool,
}

impl Past {
    /// All events, of which some may not be stored, or not be the last ones.
    fn known(events: Vec<StoredEvent>) -> Self {
        Past { loaded: Loaded { snapshot: None, events }, is_stored: false }
    }
}

impl Context {
    /// The events of a stream as they are now, whatever is remembered of it: those stored, then those that this unit appends to it.
    pub(crate) async fn events_now(&self, stream: StreamId) -> Result<Vec<StoredEvent>> {
        self.opened(self.read(stream, false).await?).await
    }

    /// The same with all that is sensitive sealed, to be shown.
    pub(crate) async fn events_sealed(&self, stream: StreamId) -> Result<Vec<StoredEvent>> {
        self.read(stream, false).await
    }

    /// Events with what is sealed in them opened, as far as it can be.
    #[cfg(feature = "sensitive")]
    pub(crate) async fn opened(&self, mut events: Vec<StoredEvent>) -> Result<Vec<StoredEvent>> {
        self.environment.open_events(&mut events).await.map_err(store_error)?;
        Ok(events)
    }

    /// The same of a state that was kept of a stream.
    #[cfg(feature = "sensitive")]
    pub(crate) async fn opened_state(&self, stream: &StreamId, state: String) -> Result<String> {
        let opened = self.environment.open_content(&stream.aggregate, stream.uuid, &state).await.map_err(store_error)?;
        Ok(opened.unwrap_or(state))
    }

    /// In this build, nothing is sealed.
    #[cfg(not(feature = "sensitive"))]
    pub(crate) async fn opened_state(&self, _: &StreamId, state: String) -> Result<String> {
        Ok(state)
    }

    /// In this build, nothing is sealed.
    #[cfg(not(feature = "sensitive"))]
    pub(crate) async fn opened(&self, events: Vec<StoredEvent>) -> Result<Vec<StoredEvent>> {
        Ok(events)
    }

    /// The events of a stream, from what is remembered of it if that is said, and how this handler reads.
    pub(crate) async fn events(&self, stream: StreamId, recalls: bool) -> Result<Vec<StoredEvent>> {
        self.opened(self.read(stream, recalls).await?).await
    }

    async fn read(&self, stream: StreamId, recalls: bool) -> Result<Vec<StoredEvent>> {
        self.queue_up(&stream).await;
        let recalled = if recalls { self.recall(&stream) } else { None };
        let mut events = match recalled {
            Some(events) => events,
            None => self.stored(&stream).await?,
        };
        if let Some(append) = self.unit.appends.iter().find(|append| append.stream == stream) {
            // The store may have moved on since: what this unit appends was made for the version before.
            events.truncate(usize::try_from(append.expected).unwrap_or(usize::MAX));
            events.extend(appended(append, self.unit.at, &self.unit.cause));
        }
        Ok(events)
    }

    /// What a state is made of: the snapshot of a stream and the events behind it, or all events.
    pub(crate) async fn past(&self, stream: &StreamId, recalls: bool) -> Result<Past> {
        if self.unit.appends.iter().any(|append| append.stream == *stream) {
            return Ok(Past::known(self.read(stream.clone(), recalls).await?));
        }
        self.queue_up(stream).await;
        if recalls && let Some(events) = self.recall(stream) {
            return Ok(Past::known(events));
        }
        let loaded = self.environment.store.load(stream.clone()).await.map_err(store_error)?;
        if self.reads != Reads::ToAnswer && loaded.snapshot.is_none() {
            self.environment.recent.read(stream, &loaded.events);
        }
        Ok(Past { loaded, is_stored: true })
    }

    /// The events of a stream that are remembered, if this handler may rely on them.
    fn recall(&self, stream: &StreamId) -> Option<Vec<StoredEvent>> {
        let mut recalled = lock(&self.recalled);
        // Who asks again wants to know what has changed.
        if self.reads != Reads::Recalling || recalled.iter().any(|(known, _)| known == stream) {
            return None;
        }
        let events = self.environment.recent.events(stream)?;
        recalled.push((stream.clone(), events.len() as u64));
        Some(events)
    }

    /// The events of a stream in the store.
    async fn stored(&self, stream: &StreamId) -> Result<Vec<StoredEvent>> {
        let events = self.environment.store.stream(stream.clone(), 0).await.map_err(store_error)?;
        if self.reads != Reads::ToAnswer {
            self.environment.recent.read(stream, &events);
        }
        Ok(events)
    }

    /// Before what cannot be taken back: an error if what this handler was told from memory is not so any more. Then it runs again.
    pub(crate) async fn up_to_date(&self) -> Result<()> {
        match self.is_outdated(false).await? {
            true => Err(Error::new(ErrorKind::Conflict, "others have changed what this read: look again, and try again")),
            false => Ok(()),
        }
    }

    /// Whether what this handler was told from memory is not so any more. If its unit is to be committed, that finds it out for the streams that it
    /// appends to, unless it has read them again before.
    pub(crate) async fn is_outdated(&self, to_be_committed: bool) -> Result<bool> {
        let appends =
            |stream: &StreamId, version| self.unit.appends.iter().any(|append| append.stream == *stream && append.expected == version);
        let is_open = |(stream, version): &&(StreamId, u64)| !(to_be_committed && appends(stream, *version));
        let recalled: Vec<_> = lock(&self.recalled).iter().filter(is_open).cloned().collect();
        if recalled.is_empty() {
            return Ok(false);
        }
        // At once: a store that reads many streams by one query is asked once.
        let moved = try_join_all(recalled.iter().map(|(stream, version)| self.has_moved(stream, *version))).await?;
        let mut outdated = false;
        for ((stream, _), _) in recalled.iter().zip(moved).filter(|(_, moved)| *moved) {
            self.environment.recent.differs(stream);
            outdated = true;
        }
        Ok(outdated)
    }

    /// Whether a stream has moved on from this version.
    pub(crate) async fn has_moved(&self, stream: &StreamId, version: u64) -> Result<bool> {
        Ok(!self.environment.store.stream(stream.clone(), version).await.map_err(store_error)?.is_empty())
    }

    /// Where handlers conflict, they queue up instead of trying again and again. Who writes nothing does not.
    async fn queue_up(&self, stream: &StreamId) {
        if self.reads == Reads::ToAnswer {
            return;
        }
        let held = |held: &Mutex<Vec<HotGuard>>| held.lock().is_ok_and(|held| held.iter().any(|guard| guard.is_for(stream)));
        if !held(&self.held)
            && let Some(guard) = self.environment.hot.enter(stream).await
            && let Ok(mut held) = self.held.lock()
        {
            held.push(guard);
        }
    }
}
