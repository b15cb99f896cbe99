//! What happened: to one aggregate, and in all of the log. Contents are told as they are stored, so what is sensitive in them is sealed.

use super::def;
use crate::{
    context::{Context, store_error},
    error::{Error, Result},
    handler::{FromRequest, HandlerDef, Kind, Path, Query, Request, Response},
    store::{SharedStore, StoredEvent, StreamId},
};
use futures_util::future::{BoxFuture, FutureExt};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;
use uuid::Uuid;

/// How many events are told at once, unless fewer are asked for.
const PAGE: usize = 1000;
/// How many are told of the end of the log, unless another number is asked for.
const LAST: usize = 10;
/// How long somebody waits for the next event. It is short, because a stop of the service waits for them.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is looked then: what other processes of the service commit, nobody tells.
const LOOK: Duration = Duration::from_millis(200);

pub(super) static HISTORY: HandlerDef = def(Kind::Query, "history", &[("GET", "/streams/{aggregate}/{uuid}")], history);
pub(super) static LOG: HandlerDef = def(Kind::Query, "log", &[("GET", "/events")], log);

/// An event, as the operator sees it.
#[derive(Serialize)]
struct Told {
    position: u64,
    aggregate: String,
    uuid: Uuid,
    version: u64,
    name: String,
    at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    correlation_id: Uuid,
    causation_id: Uuid,
    data: Box<RawValue>,
}

impl Told {
    fn of(event: StoredEvent) -> Result<Self> {
        let StoredEvent { position, stream, version, name, data, at, cause } = event;
        // What is no JSON, though it should be, is told as a text.
        let data = match serde_json::from_str::<&RawValue>(&data) {
            Ok(data) => data.to_owned(),
            Err(_) => to_raw_value(&data)?,
        };
        Ok(Told {
            position,
            aggregate: stream.aggregate.into_owned(),
            uuid: stream.uuid,
            version,
            name,
            at,
            user: cause.user.as_ref().map(|user| user.id().to_owned()),
            correlation_id: cause.correlation,
            causation_id: cause.causation,
            data,
        })
    }

    fn all(events: impl IntoIterator<Item = StoredEvent>) -> Result<Vec<Self>> {
        events.into_iter().map(Told::of).collect()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    /// The version behind which it begins.
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

/// What happened to one aggregate.
#[derive(Serialize)]
struct Stream {
    aggregate: String,
    uuid: Uuid,
    /// The version that it has now.
    version: u64,
    events: Vec<Told>,
}

fn history<'a>(cx: &'a mut Context, request: &'a Request) -> BoxFuture<'a, Result<Response>> {
    async move {
        let Path((aggregate, uuid)) = Path::<(String, Uuid)>::from_request(request)?;
        let Query(Part { after, limit }) = Query::from_request(request)?;
        let stream = StreamId::new(aggregate, uuid);
        let events = cx.environment().store.stream(stream.clone(), after).await.map_err(store_error)?;
        if events.is_empty() && after == 0 {
            return Err(Error::not_found(format!("nothing has ever happened to {stream}: is the name of the aggregate right?")));
        }
        let version = events.last().map_or(after, |event| event.version);
        let StreamId { aggregate, uuid } = stream;
        let events = Told::all(events.into_iter().take(limit.unwrap_or(PAGE).min(PAGE)))?;
        Response::json(&Stream { aggregate: aggregate.into_owned(), uuid, version, events })
    }
    .boxed()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reading {
    /// The position behind which it begins; if it is not said, it is the end of the log.
    after: Option<u64>,
    /// How many of the end of the log.
    last: Option<usize>,
    limit: Option<usize>,
    /// Names of aggregates, with commas between them; all, if none is said.
    aggregate: Option<String>,
    /// Whether to wait a little, if there is nothing.
    #[serde(default)]
    wait: bool,
}

/// A part of the log.
#[derive(Serialize)]
struct Log {
    events: Vec<Told>,
    /// Where to read on.
    read: u64,
}

fn log<'a>(cx: &'a mut Context, request: &'a Request) -> BoxFuture<'a, Result<Response>> {
    async move {
        let Query(Reading { after, last, limit, aggregate, wait }) = Query::from_request(request)?;
        let limit = limit.unwrap_or(PAGE).clamp(1, PAGE);
        let aggregates: Option<Vec<String>> = aggregate.map(|names| names.split(',').map(str::to_owned).collect());
        let (store, aggregates) = (cx.environment().store.clone(), aggregates.as_deref());
        let log = match after {
            Some(after) => behind(&store, after, limit, aggregates, wait).await?,
            None => end(&store, last.unwrap_or(LAST).min(PAGE), aggregates).await?,
        };
        Response::json(&log)
    }
    .boxed()
}

/// What comes behind a position; if nothing does, somebody may wait for it.
async fn behind(store: &SharedStore, after: u64, limit: usize, aggregates: Option<&[String]>, wait: bool) -> Result<Log> {
    let deadline = Instant::now() + PATIENCE;
    let mut changes = store.changes();
    loop {
        changes.mark_unchanged();
        let page = store.log(after, limit, aggregates).await.map_err(store_error)?;
        if !page.events.is_empty() || !wait || Instant::now() >= deadline {
            return Ok(Log { events: Told::all(page.events)?, read: page.read });
        }
        // The store that tells of changes may be gone: then the time alone says when to look again.
        let told = tokio::time::timeout(LOOK, changes.changed()).await;
        if matches!(told, Ok(Err(_))) {
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// The last events. Nobody knows where the tenth from the end is, so it is looked for ever farther back.
async fn end(store: &SharedStore, last: usize, aggregates: Option<&[String]>) -> Result<Log> {
    // The log of no aggregate is empty, and says how far it goes.
    let head = store.log(0, 1, Some(&[])).await.map_err(store_error)?.read;
    let mut back = last as u64;
    loop {
        let from = head.saturating_sub(back);
        let (mut read, mut events) = (from, VecDeque::new());
        while read < head {
            let page = store.log(read, PAGE, aggregates).await.map_err(store_error)?;
            events.extend(page.events.into_iter().filter(|event| event.position <= head));
            events.drain(..events.len().saturating_sub(last));
            if page.read <= read {
                break;
            }
            read = page.read;
        }
        if events.len() >= last || from == 0 {
            return Ok(Log { events: Told::all(events)?, read: head });
        }
        back = back.saturating_mul(8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Append, Cause, MemoryStore, NewEvent, Store, Unit};
    use std::sync::Arc;

    /// Events of two aggregates: every tenth is one of a `Rare`, and the others are of a `Foo`.
    async fn store(events: u64) -> SharedStore {
        let store: SharedStore = Arc::new(MemoryStore::new());
        for n in 0..events {
            put(&store, if n % 10 == 0 { "Rare" } else { "Foo" }, n).await;
        }
        store
    }

    async fn put(store: &SharedStore, aggregate: &'static str, n: u64) {
        let mut unit = Unit::new(Timestamp::UNIX_EPOCH, Cause::nobody());
        let events = vec![NewEvent { name: "Happened".into(), data: format!("{{\"n\":{n}}}") }];
        unit.appends.push(Append { stream: StreamId::new(aggregate, Uuid::from_u128(n.into())), expected: 0, events });
        Store::commit(&**store, unit).await.unwrap();
    }

    fn positions(log: &Log) -> Vec<u64> {
        log.events.iter().map(|event| event.position).collect()
    }

    #[tokio::test]
    async fn the_end_of_the_log_is_found_though_most_of_it_is_of_others() {
        let store = store(101).await;
        let log = end(&store, 3, None).await.unwrap();
        assert_eq!((positions(&log), log.read), (vec![99, 100, 101], 101));
        let log = end(&store, 3, Some(&["Rare".to_owned()])).await.unwrap();
        assert_eq!((positions(&log), log.read), (vec![81, 91, 101], 101));
        let log = end(&store, 50, Some(&["Rare".to_owned()])).await.unwrap();
        assert_eq!(log.events.len(), 11, "there are no more");
        let log = end(&store, 3, Some(&["Nobody".to_owned()])).await.unwrap();
        assert_eq!((log.events.len(), log.read), (0, 101));
        assert_eq!(end(&store, 0, None).await.unwrap().events.len(), 0);
        assert_eq!(end(&self::store(0).await, 3, None).await.unwrap().read, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_the_next_event_gets_it_or_nothing_after_a_while() {
        let store = store(1).await;
        let before = Instant::now();
        assert_eq!(behind(&store, 1, 10, None, false).await.unwrap().events.len(), 0);
        assert_eq!(before.elapsed(), Duration::ZERO, "it was not told to wait");
        assert_eq!(behind(&store, 1, 10, None, true).await.unwrap().events.len(), 0);
        assert!(before.elapsed() >= PATIENCE, "{:?}", before.elapsed());
        let writing = async {
            tokio::time::sleep(LOOK / 2).await;
            put(&store, "Foo", 7).await;
        };
        let before = Instant::now();
        let (log, ()) = tokio::join!(behind(&store, 1, 10, None, true), writing);
        assert_eq!(positions(&log.unwrap()), [2]);
        assert_eq!(before.elapsed(), LOOK / 2, "it is told, and need not be looked for");
    }
}
