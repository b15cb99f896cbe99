//! Aggregates that a saga holds: until its execution has ended, nobody else changes them.
//!
//! That somebody holds an aggregate is a fact of its own stream, told by internal events. So it costs nothing where nothing is held, and whoever has read
//! the aggregate before conflicts, runs again, and sees it.

use super::own_event;
use crate::{
    context::{Environment, SagaStep, store_error},
    error::{Error, ErrorKind, Result},
    store::{Cause, NewEvent, Store, StoreError, StoredEvent, StreamId, Unit},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// The event with which a step begins to hold an aggregate. Its content is the [`SagaStep`].
pub(super) const HELD: &str = "$held";
/// The event from which on nobody holds it.
pub(super) const RELEASED: &str = "$released";
/// How often the operator's release is tried again because somebody else wrote to the stream.
const ATTEMPTS: u32 = 16;

/// What [`RELEASED`] says.
#[derive(Serialize, Deserialize)]
struct Released {
    /// Which execution held it.
    execution: Uuid,
    /// Whether it was an operator, and not the end of the execution.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    by_hand: bool,
}

/// An aggregate that was taken hold of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its name.
    pub aggregate: String,
    /// Which one.
    pub uuid: Uuid,
    /// The version that says so.
    pub version: u64,
}

/// Why an aggregate cannot be held or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HoldError {
    /// Another execution holds it.
    #[error("{aggregate} {uuid} is held by the saga `{}` (execution {}) until that has ended: try again then", .by.saga, .by.execution)]
    Held {
        /// The aggregate's name.
        aggregate: String,
        /// Which one.
        uuid: Uuid,
        /// Who holds it.
        by: Box<SagaStep>,
    },
    /// What was prepared for an isolated saga is not there any more.
    #[error("what was prepared for {aggregate} {uuid} was released by hand, and cannot be applied any more")]
    ReleasedByHand {
        /// The aggregate's name.
        aggregate: String,
        /// Which one.
        uuid: Uuid,
    },
    /// This does not run for a saga.
    #[error("{aggregate} {uuid} cannot be held here: only a step of a saga can hold an aggregate, until the saga has ended")]
    NoStep {
        /// The aggregate's name.
        aggregate: String,
        /// Which one.
        uuid: Uuid,
    },
}

impl HoldError {
    /// As handlers see it.
    pub(super) fn into_error(self) -> Error {
        let kind = match self {
            HoldError::Held { .. } => ErrorKind::Conflict,
            HoldError::NoStep { .. } | HoldError::ReleasedByHand { .. } => ErrorKind::Rejected,
        };
        Error::new(kind, self.to_string()).caused_by(self)
    }
}

/// The event with which this step begins to hold an aggregate.
pub(super) fn held(step: &SagaStep) -> Result<NewEvent> {
    Ok(NewEvent { name: HELD.into(), data: serde_json::to_string(step)? })
}

pub(super) fn released(execution: Uuid, by_hand: bool) -> Result<NewEvent> {
    Ok(NewEvent { name: RELEASED.into(), data: serde_json::to_string(&Released { execution, by_hand })? })
}

/// Who begins to hold an aggregate, as [`HELD`] says.
pub(super) fn step_of(data: &str) -> Result<SagaStep> {
    Ok(serde_json::from_str(data)?)
}

/// Whether an operator has released it, as [`RELEASED`] says.
pub(super) fn is_by_hand(data: &str) -> Result<bool> {
    Ok(serde_json::from_str::<Released>(data)?.by_hand)
}

/// Who holds an aggregate after this internal event.
pub(super) fn holder(before: Option<SagaStep>, name: &str, data: &str) -> Result<Option<SagaStep>> {
    match name {
        HELD => Ok(Some(step_of(data)?)),
        RELEASED => Ok(None),
        _ => Ok(before),
    }
}

/// Who holds the aggregate of a stream after these events of it.
pub(super) fn holder_of<'e>(stream: &StreamId, events: impl Iterator<Item = (&'e str, &'e str)>) -> Result<Option<SagaStep>> {
    let deleted = own_event(&stream.aggregate, "Deleted");
    let mut holder_now = None;
    for (name, data) in events {
        holder_now = if name == deleted { None } else { holder(holder_now, name, data)? };
    }
    Ok(holder_now)
}

pub(super) fn told(event: &StoredEvent) -> (&str, &str) {
    (&event.name, &event.data)
}

/// What this unit begins to hold.
pub(crate) fn taken(unit: &Unit) -> Vec<Hold> {
    let mut holds = Vec::new();
    for append in &unit.appends {
        for (event, version) in append.events.iter().zip(append.expected + 1..) {
            if event.name == HELD {
                holds.push(Hold { aggregate: append.stream.aggregate.to_string(), uuid: append.stream.uuid, version });
            }
        }
    }
    holds
}

/// Adds to a unit that an execution holds these no more, as far as it still does. If somebody writes to one of them meanwhile, the unit conflicts.
///
/// # Errors
/// If the store does not answer, or a stream cannot be read.
pub(crate) async fn release(store: &dyn Store, unit: &mut Unit, execution: Uuid, holds: &[Hold]) -> Result<()> {
    for hold in holds {
        let stream = StreamId::new(hold.aggregate.clone(), hold.uuid);
        let before = hold.version.saturating_sub(1);
        let stored = store.stream(stream.clone(), before).await.map_err(store_error)?;
        let append = unit.appends.iter().find(|append| append.stream == stream);
        let appended = append.into_iter().flat_map(|append| &append.events).map(|event| (&*event.name, &*event.data));
        let holder = holder_of(&stream, stored.iter().map(told).chain(appended))?;
        if holder.is_none_or(|holder| holder.execution != execution) {
            continue;
        }
        let version = append.map_or_else(|| stored.last().map_or(before, |event| event.version), |append| append.version());
        unit.append(&stream, version, vec![released(execution, false)?]);
    }
    Ok(())
}

/// Who holds an aggregate.
///
/// # Errors
/// If the store does not answer, or the stream cannot be read.
pub(crate) async fn held_by(store: &dyn Store, stream: &StreamId) -> Result<Option<SagaStep>> {
    let events = store.stream(stream.clone(), 0).await.map_err(store_error)?;
    holder_of(stream, events.iter().map(told))
}

/// Releases an aggregate by hand, whoever holds it, and says who did. That is recorded in its stream.
///
/// # Errors
/// If nobody holds it, or the store does not take it.
pub(crate) async fn release_by_hand(environment: &Arc<Environment>, stream: StreamId, by: Option<String>) -> Result<SagaStep> {
    let (store, id) = (&environment.store, Uuid::now_v7());
    let mut attempt = 0;
    loop {
        attempt += 1;
        let events = store.stream(stream.clone(), 0).await.map_err(store_error)?;
        let holder = holder_of(&stream, events.iter().map(told))?;
        let (Some(holder), Some(last)) = (holder, events.last()) else { return Err(Error::not_found(format!("nobody holds {stream}"))) };
        let mut unit =
            Unit::new(environment.clock.now(), Cause { correlation: id, causation: id, user: by.clone().map(Into::into), trace: None });
        unit.append(&stream, last.version, vec![released(holder.execution, true)?]);
        match environment.commit(unit).await {
            Ok(_) => {
                tracing::warn!(%stream, saga = holder.saga, execution = %holder.execution, by, "an operator has released what a saga held");
                return Ok(holder);
            }
            Err(StoreError::Conflict { .. }) if attempt < ATTEMPTS => {}
            Err(error) => return Err(store_error(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use jiff::Timestamp;

    const STREAM: Uuid = Uuid::from_u128(7);
    const MINE: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);

    fn stream() -> StreamId {
        StreamId::new("Foo", STREAM)
    }

    fn event(name: &'static str) -> NewEvent {
        NewEvent { name: name.into(), data: "{}".to_owned() }
    }

    fn held_for(execution: Uuid) -> NewEvent {
        held(&SagaStep { saga: "Order".into(), execution, service: "shop".into(), step: "take".into() }).unwrap()
    }

    fn unit(expected: u64, events: Vec<NewEvent>) -> Unit {
        let mut unit = Unit::new(Timestamp::UNIX_EPOCH, Cause { correlation: MINE, causation: MINE, user: None, trace: None });
        if !events.is_empty() {
            unit.append(&stream(), expected, events);
        }
        unit
    }

    /// The names of the events with which my execution ends that has done this, after what is stored. It is committed.
    async fn ended(stored: Vec<NewEvent>, version_of_hold: u64, last: Vec<NewEvent>) -> Vec<String> {
        let (store, expected) = (MemoryStore::new(), stored.len() as u64);
        store.commit(unit(0, stored)).await.unwrap();
        let mut unit = unit(expected, last);
        let hold = Hold { aggregate: "Foo".into(), uuid: STREAM, version: version_of_hold };
        release(&store, &mut unit, MINE, &[hold.clone(), hold]).await.unwrap();
        let names = unit.appends.iter().flat_map(|append| &append.events).map(|event| event.name.to_string()).collect();
        if !unit.is_empty() {
            store.commit(unit).await.unwrap();
        }
        assert!(held_by(&store, &stream()).await.unwrap().is_none_or(|by| by.execution == OTHER));
        names
    }

    #[tokio::test]
    async fn what_is_still_held_is_released_behind_what_the_unit_appends() {
        let stored = || vec![event("FooCreated"), held_for(MINE), event("FooUpdated")];
        assert_eq!(ended(stored(), 2, vec![]).await, [RELEASED]);
        assert_eq!(ended(stored(), 2, vec![event("FooUpdated")]).await, ["FooUpdated", RELEASED]);
        assert_eq!(ended(vec![event("FooCreated")], 2, vec![held_for(MINE)]).await, [HELD, RELEASED], "held and ended at once");
    }

    #[tokio::test]
    async fn what_is_not_held_any_more_is_left_alone() {
        let by_hand = || released(MINE, true).unwrap();
        assert_eq!(ended(vec![event("FooCreated"), held_for(MINE), by_hand()], 2, vec![]).await, [""; 0]);
        assert_eq!(ended(vec![event("FooCreated"), held_for(MINE), by_hand(), held_for(OTHER)], 2, vec![]).await, [""; 0]);
        assert_eq!(ended(vec![event("FooCreated"), held_for(MINE), event("FooDeleted")], 2, vec![]).await, [""; 0]);
        assert_eq!(ended(vec![event("FooCreated"), held_for(MINE)], 2, vec![event("FooDeleted")]).await, ["FooDeleted"]);
        let again = vec![event("FooCreated"), held_for(MINE), by_hand(), held_for(MINE)];
        assert_eq!(ended(again, 2, vec![]).await, [RELEASED], "it was held again");
    }

    #[tokio::test]
    async fn a_release_conflicts_with_who_writes_meanwhile() {
        let store = MemoryStore::new();
        store.commit(unit(0, vec![event("FooCreated"), held_for(MINE)])).await.unwrap();
        let mut end = unit(0, vec![]);
        release(&store, &mut end, MINE, &[Hold { aggregate: "Foo".into(), uuid: STREAM, version: 2 }]).await.unwrap();
        store.commit(unit(2, vec![event("FooUpdated")])).await.unwrap();
        assert!(matches!(store.commit(end).await, Err(StoreError::Conflict { actual: 3, .. })));
    }

    #[test]
    fn a_unit_tells_what_it_begins_to_hold() {
        let unit = unit(4, vec![event("FooUpdated"), held_for(MINE), event("FooUpdated")]);
        assert_eq!(taken(&unit), [Hold { aggregate: "Foo".into(), uuid: STREAM, version: 6 }]);
    }
}
