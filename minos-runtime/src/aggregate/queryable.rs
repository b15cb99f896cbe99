//! Aggregates that are found by their fields: each has a document of its state, which is part of every commit of it.

use super::{Aggregate, Root, Seen, fold, root::Loaded};
use crate::{
    context::{Context, Environment, MakesDocument, store_error},
    document::{Condition, Find, Row},
    error::{Error, Result},
    store::{Cause, Document, DocumentWrite, StoreError, StoredEvent, StreamId, Unit},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use uuid::Uuid;

/// How many events are read at once by who makes the documents of what is there already.
const PAGE: usize = 4096;
/// The collection that says for which aggregates all documents are made.
const MADE: &str = "minos/queryables";
/// How often a document is made anew that others write at the same time.
const ATTEMPTS: u32 = 64;

/// An aggregate that is found by its fields; registered by `#[aggregate(queryable)]`.
#[doc(hidden)]
pub struct QueryableDef {
    pub name: &'static str,
    document: MakesDocument,
    pub module: &'static str,
    pub file: &'static str,
    pub line: u32,
}

inventory::collect!(QueryableDef);

impl QueryableDef {
    /// The registration of an aggregate.
    pub const fn of<A: Aggregate>(module: &'static str, file: &'static str, line: u32) -> Self {
        QueryableDef { name: A::NAME, document: document_of::<A>, module, file, line }
    }
}

/// What is stored of an aggregate for queries.
#[derive(Serialize, Deserialize)]
struct State<S> {
    uuid: Uuid,
    version: u64,
    created_at: Timestamp,
    updated_at: Timestamp,
    state: S,
}

fn document_of<A: Aggregate>(uuid: Uuid, events: Vec<StoredEvent>) -> Result<Option<String>> {
    fold::fold::<A>(uuid, None, None, events)?.as_ref().map(write).transpose()
}

fn write<A: Aggregate>(root: &Root<A>) -> Result<String> {
    let (uuid, version, created_at, updated_at) = (root.uuid(), root.version(), root.created_at(), root.updated_at());
    #[cfg(feature = "sensitive")]
    let _storing = crate::sensitive::storing(root.data_subject());
    Ok(serde_json::to_string(&State { uuid, version, created_at, updated_at, state: &**root })?)
}

/// Adds to a unit what queries find of an aggregate from then on.
pub(super) fn show<A: Aggregate>(cx: &mut Context, root: &Root<A>) -> Result<()> {
    if A::QUERYABLE && !cx.is_isolated() {
        let body = write(root)?;
        put(cx.unit(), A::NAME, root.uuid(), Some(body));
    }
    Ok(())
}

/// Adds to a unit that queries do not find an aggregate any more.
pub(super) fn hide<A: Aggregate>(cx: &mut Context, uuid: Uuid) {
    if A::QUERYABLE && !cx.is_isolated() {
        put(cx.unit(), A::NAME, uuid, None);
    }
}

/// Handlers may save an aggregate again and again: what it is at last counts.
fn put(unit: &mut Unit, collection: &'static str, uuid: Uuid, body: Option<String>) {
    let key = uuid.to_string();
    match unit.documents.iter_mut().find(|write| write.collection == collection && write.key == key) {
        Some(write) => write.body = body,
        // The version of its stream is compared, and that is enough.
        None => unit.documents.push(DocumentWrite { collection: collection.into(), key, body, expected: None }),
    }
}

impl<A: Aggregate> Row for Seen<A> {
    type Of = A;
    const COLLECTION: &'static str = A::NAME;

    fn read(key: &str, body: &str) -> Result<Self> {
        let State { uuid, version, created_at, updated_at, state } = crate::document::read(A::NAME, key, body)?;
        Ok(Seen::new(Root::loaded(Loaded { uuid, version, created_at, updated_at, held_by: None, state })))
    }
}

/// A query over the aggregates of a type.
pub(super) fn find<A: Aggregate>(cx: &Context, condition: Condition<A>) -> Find<'_, Seen<A>> {
    Find::new(cx, condition)
}

/// Makes the documents of aggregates that were there before they were queryable, once, before the service takes its first command.
pub(crate) async fn prepare(environment: &Environment, defs: &[&'static QueryableDef]) -> Result<()> {
    environment.set_queryables(defs.iter().map(|def| (def.name, def.document)).collect());
    for def in defs {
        if environment.store.document(MADE, def.name).await.map_err(store_error)?.is_none() {
            make(environment, def)
                .await
                .map_err(|error| error.context(format!("`{}` at {}:{} is not queryable yet", def.name, def.file, def.line)))?;
        }
    }
    Ok(())
}

async fn make(environment: &Environment, def: &QueryableDef) -> Result<()> {
    let made = existing(environment, def.name).await?;
    for uuid in &made {
        make_one(environment, def, &StreamId::new(def.name, *uuid)).await?;
    }
    mark(environment, MADE, def.name, "true".to_owned()).await?;
    if !made.is_empty() {
        tracing::info!(aggregate = def.name, count = made.len(), "aggregates that were there before are found by queries now");
    }
    Ok(())
}

/// All aggregates of this name that ever were.
pub(super) async fn existing(environment: &Environment, name: &str) -> Result<HashSet<Uuid>> {
    let (mut position, mut found, names) = (0, HashSet::new(), [name.to_owned()]);
    loop {
        let page = environment.store.log(position, PAGE, Some(&names)).await.map_err(store_error)?;
        found.extend(page.events.iter().map(|event| event.stream.uuid));
        if page.events.len() < PAGE {
            return Ok(found);
        }
        position = page.read;
    }
}

/// Writes down that what was there before is dealt with.
pub(super) async fn mark(environment: &Environment, collection: &'static str, name: &str, body: String) -> Result<()> {
    let mut unit = Unit::new(environment.clock.now(), Cause::nobody());
    unit.documents.push(DocumentWrite { collection: collection.into(), key: name.to_owned(), body: Some(body), expected: None });
    environment.store.commit(unit).await.map(drop).map_err(store_error)
}

/// The events of a stream, with what is sealed in them opened.
pub(super) async fn stored(environment: &Environment, stream: &StreamId) -> Result<Vec<StoredEvent>> {
    #[allow(unused_mut)]
    let mut events = environment.store.stream(stream.clone(), 0).await.map_err(store_error)?;
    #[cfg(feature = "sensitive")]
    environment.open_events(&mut events).await.map_err(store_error)?;
    Ok(events)
}

/// Makes a document, unless somebody else has written a newer one.
async fn make_one(environment: &Environment, def: &QueryableDef, stream: &StreamId) -> Result<()> {
    let store = &environment.store;
    for _ in 0..ATTEMPTS {
        let known: Option<Document> = store.document(def.name, &stream.uuid.to_string()).await.map_err(store_error)?;
        let body = (def.document)(stream.uuid, stored(environment, stream).await?)?;
        let mut unit = Unit::new(environment.clock.now(), Cause::nobody());
        let expected = Some(known.map_or(0, |document| document.version));
        unit.documents.push(DocumentWrite { collection: def.name.into(), key: stream.uuid.to_string(), body, expected });
        match environment.write(unit).await {
            Ok(_) => return Ok(()),
            Err(StoreError::DocumentConflict { .. }) => {}
            Err(error) => return Err(store_error(error)),
        }
    }
    Err(Error::unavailable(format!("{stream} is written again and again")))
}
