//! States that are kept, so that loading does not begin at the first event: `#[aggregate(snapshot(every = 100))]`.
//!
//! A snapshot is a cache. It is written behind a load that was long, when nobody waits for it; what this program cannot be sure to read as its own events would
//! be read is left aside, and the events are read from the first one on.

use super::{
    Aggregate, Evolution, Root,
    fold::{Base, fold},
    upcast::stamped,
};
use crate::{
    context::{Context, Past},
    error::{Error, Result},
    store::{Loaded, NewSnapshot, StoredEvent, StreamId},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{
    fs::File,
    hash::{DefaultHasher, Hasher},
    io::{self, Read},
    time::Duration,
};
use tokio::sync::OnceCell;
use tracing::{debug, warn};
use uuid::Uuid;

/// When the state of an aggregate is kept. Written by `#[aggregate(snapshot(…))]`.
#[doc(hidden)]
pub struct Snapshots {
    /// When so many events lie behind the last one.
    pub every: Option<u64>,
    /// When the last one is as old as this, and something has happened since.
    pub age: Option<Duration>,
    /// Which snapshots can be read, by the user's own account. Without it these are the ones that this very program has written.
    pub schema: Option<u32>,
}

/// What is kept, beside the version.
#[derive(Serialize, Deserialize)]
struct Kept<'s> {
    /// When it was taken.
    at: Timestamp,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(borrow)]
    state: &'s RawValue,
}

/// The aggregate of this uuid, from its snapshot on if there is one.
#[doc(hidden)]
pub async fn load<A: Aggregate>(cx: &Context, uuid: Uuid, recalls: bool, policy: &Snapshots) -> Result<Option<Root<A>>> {
    let Some(schema) = policy.schema().await else {
        return fold(uuid, cx.step(), None, cx.events(StreamId::new(A::NAME, uuid), recalls).await?);
    };
    let found = find(cx, StreamId::new(A::NAME, uuid), recalls, &schema, A::EVOLUTION).await?;
    let is_due = found.is_stored && policy.is_due(&found, cx.now());
    let Found { stream, base, events, .. } = found;
    let root = match fold(uuid, cx.step(), base.as_ref().map(|(_, base)| base), events) {
        Err(error) if base.is_some() => {
            let root = fold(uuid, cx.step(), None, cx.events_now(stream.clone()).await?)?;
            unreadable(cx, &stream, &error).await;
            root
        }
        folded => folded?,
    };
    if is_due && let Some(root) = &root {
        keep(cx, stream, root, schema)?;
    }
    Ok(root)
}

/// What a state is made of.
struct Found {
    stream: StreamId,
    /// The snapshot to begin at, and when it was taken.
    base: Option<(Timestamp, Base)>,
    events: Vec<StoredEvent>,
    /// Whether it is what the store has, and all of it.
    is_stored: bool,
}

async fn find(cx: &Context, stream: StreamId, recalls: bool, schema: &str, evolution: &Evolution) -> Result<Found> {
    let Past { loaded: Loaded { snapshot, events }, is_stored } = cx.past(&stream, recalls).await?;
    let events = cx.opened(events).await?;
    let Some(snapshot) = snapshot else { return Ok(Found { stream, base: None, events, is_stored }) };
    if snapshot.schema == schema {
        let state = cx.opened_state(&stream, snapshot.state).await?;
        match read(&stream, snapshot.version, &state, evolution) {
            Ok(base) => return Ok(Found { stream, base: Some(base), events, is_stored }),
            Err(error) => unreadable(cx, &stream, &error).await,
        }
    }
    let events = cx.events_now(stream.clone()).await?;
    Ok(Found { stream, base: None, events, is_stored })
}

fn read(stream: &StreamId, version: u64, state: &str, evolution: &Evolution) -> Result<(Timestamp, Base)> {
    let kept: Kept<'_> = serde_json::from_str(state)?;
    let fields = evolution.current(&stream.aggregate, "its snapshot", kept.state.get())?.into_owned();
    Ok((kept.at, Base { version, created_at: kept.created_at, updated_at: kept.updated_at, fields }))
}

/// Nothing is lost but time: the events are there.
async fn unreadable(cx: &Context, stream: &StreamId, error: &Error) {
    warn!(%stream, error = %error.chain(), "a snapshot cannot be read and is removed: the aggregate is made of all its events");
    if let Err(error) = cx.environment().store.forget_snapshot(stream.clone()).await {
        debug!(%stream, %error, "the snapshot stays for now");
    }
}

/// Keeps a state as it was loaded.
fn keep<A: Aggregate>(cx: &Context, stream: StreamId, root: &Root<A>, schema: String) -> Result<()> {
    // What a saga holds may have been prepared for it, and is not decided; which steps hold it is known from the events behind.
    if root.held_by().is_some() || cx.step().is_some() {
        return Ok(());
    }
    let state = {
        #[cfg(feature = "sensitive")]
        let _storing = crate::sensitive::storing(root.data_subject());
        serde_json::to_string(&**root)?
    };
    let state = RawValue::from_string(stamped(A::EVOLUTION.version, state))?;
    let kept = Kept { at: cx.now(), created_at: root.created_at(), updated_at: root.updated_at(), state: &state };
    let state = serde_json::to_string(&kept)?;
    cx.environment().keep_snapshot(NewSnapshot { stream, version: root.version(), schema, state });
    Ok(())
}

impl Snapshots {
    fn is_due(&self, found: &Found, now: Timestamp) -> bool {
        let Some(first) = found.events.first() else { return false };
        let since = found.base.as_ref().map_or(first.at, |(at, _)| *at);
        let is_old = self.age.is_some_and(|age| now.duration_since(since).unsigned_abs() >= age && now > since);
        is_old || self.every.is_some_and(|every| found.events.len() as u64 >= every)
    }

    /// Which snapshots are read; none, if that cannot be told.
    async fn schema(&self) -> Option<String> {
        match self.schema {
            Some(schema) => Some(schema.to_string()),
            None => program().await.map(str::to_owned),
        }
    }
}

/// Which program this is: another one may make another state of the same events.
async fn program() -> Option<&'static str> {
    static PROGRAM: OnceCell<Option<String>> = OnceCell::const_new();
    let program = PROGRAM.get_or_init(|| async {
        match tokio::task::spawn_blocking(fingerprint).await {
            Ok(Ok(fingerprint)) => Some(fingerprint),
            Ok(Err(error)) => {
                warn!(%error, "the file of this program cannot be read, so it cannot be told which snapshots are its own: none is used (`snapshot(…, schema = 1)` tells it in another way)");
                None
            }
            Err(_) => None,
        }
    });
    program.await.as_deref()
}

/// Of the whole file: there is nothing smaller that changes whenever a function does that makes states.
fn fingerprint() -> io::Result<String> {
    let mut file = File::open(std::env::current_exe()?)?;
    let (mut hasher, mut buffer) = (DefaultHasher::new(), vec![0; 256 * 1024]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(format!("program {:016x}", hasher.finish())),
            n => hasher.write(&buffer[..n]),
        }
    }
}
