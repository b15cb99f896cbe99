//! References to aggregates of other services, resolved: one question for all of a type, answered by the service that owns them.

use super::{Aggregate, AggregateRef, Ref};
use crate::{
    context::Context,
    error::{Error, ErrorKind, Result},
    message::Envelope,
    store::Cause,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned};
use serde_json::value::RawValue;
use std::{collections::HashMap, ops::Deref};
use uuid::Uuid;

/// How many aggregates are asked for at once.
const AT_ONCE: usize = 200;

/// A reference that cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no {aggregate} {uuid}, to which something refers")]
pub struct Unresolved {
    /// Whose it is.
    pub aggregate: &'static str,
    /// Which one.
    pub uuid: Uuid,
}

impl Unresolved {
    fn into_error(self) -> Error {
        Error::new(ErrorKind::NotFound, self.to_string()).caused_by(self)
    }
}

/// The part of another service's aggregate that this one knows, as it is now.
#[derive(Debug, Clone)]
pub struct Resolved<T> {
    state: T,
    uuid: Uuid,
    version: u64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl<T> Resolved<T> {
    /// The uuid.
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// The version that it had in its service.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// When it was created, in UTC.
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// When it had last changed, in UTC.
    pub fn updated_at(&self) -> Timestamp {
        self.updated_at
    }

    /// The state alone.
    pub fn into_inner(self) -> T {
        self.state
    }
}

impl<T> Deref for Resolved<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.state
    }
}

impl<T: Serialize> Serialize for Resolved<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Answer<'r, T> {
            uuid: Uuid,
            version: u64,
            created_at: Timestamp,
            updated_at: Timestamp,
            #[serde(flatten)]
            state: &'r T,
        }
        let Resolved { state, uuid, version, created_at, updated_at } = self;
        Answer { uuid: *uuid, version: *version, created_at: *created_at, updated_at: *updated_at, state }.serialize(serializer)
    }
}

/// What is asked of the service that owns the aggregates.
#[derive(Serialize, Deserialize)]
pub(crate) struct States {
    pub(crate) uuids: Vec<Uuid>,
}

/// What is known of an aggregate beside its fields.
#[derive(Deserialize)]
struct Identity {
    uuid: Uuid,
    version: u64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl<T: AggregateRef + DeserializeOwned> Ref<T> {
    /// The aggregate that it refers to, as its service knows it now. That service says `#[aggregate(resolvable)]`.
    ///
    /// # Errors
    /// [`Unresolved`] if there is none (any more), what the other service answers, or [`ErrorKind::Timeout`] if it does not.
    pub async fn resolve(&self, cx: &Context) -> Result<Resolved<T>> {
        let mut found = Ref::resolve_all(cx, [self]).await?;
        found.remove(&self.uuid()).ok_or_else(|| Unresolved { aggregate: T::NAME, uuid: self.uuid() }.into_error())
    }

    /// All that these refer to, by their uuids, by one question to their service. What is not there is not among them.
    ///
    /// # Errors
    /// What the other service answers, or [`ErrorKind::Timeout`] if it does not.
    pub async fn resolve_all<'r>(cx: &Context, refs: impl IntoIterator<Item = &'r Ref<T>>) -> Result<HashMap<Uuid, Resolved<T>>>
    where
        T: 'r,
    {
        let mut uuids: Vec<Uuid> = refs.into_iter().map(Ref::uuid).collect();
        uuids.sort();
        uuids.dedup();
        let mut all = HashMap::with_capacity(uuids.len());
        for uuids in uuids.chunks(AT_ONCE) {
            for state in ask(cx, T::NAME, uuids.to_vec()).await? {
                let resolved =
                    read::<T>(state.get()).map_err(|error| error.context(format!("`{}`, as its service has answered it", T::NAME)))?;
                all.insert(resolved.uuid, resolved);
            }
        }
        Ok(all)
    }
}

fn read<T: DeserializeOwned>(state: &str) -> Result<Resolved<T>> {
    let Identity { uuid, version, created_at, updated_at } = serde_json::from_str(state)?;
    Ok(Resolved { state: serde_json::from_str(state)?, uuid, version, created_at, updated_at })
}

async fn ask(cx: &Context, aggregate: &str, uuids: Vec<Uuid>) -> Result<Vec<Box<RawValue>>> {
    let topic = format!("{aggregate}.states");
    let cause = Cause { causation: cx.id(), correlation: cx.correlation_id(), user: cx.caller().identity().cloned(), trace: cx.trace() };
    let envelope = Envelope::request(Uuid::now_v7(), &topic, None, serde_json::to_vec(&States { uuids })?, cx.now(), cause);
    let answer = cx
        .environment()
        .ask(envelope)
        .await
        .map_err(|error| error.context(format!("the states of `{aggregate}` could not be asked for")))?;
    Ok(serde_json::from_slice(&answer)?)
}

/// The answer of the service that owns aggregates of this type.
pub(crate) async fn states<A: Aggregate>(cx: &Context, States { uuids }: States) -> Result<Vec<super::Root<A>>> {
    let mut found = Vec::with_capacity(uuids.len());
    for uuid in uuids {
        found.extend(A::find_one(cx, uuid).await?);
    }
    Ok(found)
}
