//! What a step of an isolated saga does is prepared: nobody but the saga sees it, and nobody changes what it is about, until it is decided.
//!
//! The events are kept in the event with which the step holds the aggregate, so whoever folds the stream for the same execution sees them, and others do
//! not. Messages and statements are kept with what is known of the step.

use super::hold::{HELD, Hold, HoldError, RELEASED, holder_of, is_by_hand, released, step_of, told};
use crate::{
    context::{SagaStep, store_error},
    error::{Error, Result},
    store::{NewEvent, NewMessage, Statement, Store, StoredEvent, StreamId, Unit},
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use uuid::Uuid;

/// What a step will do when it is decided, beside the events that its holds keep.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    /// Messages that will be sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<NewMessage>,
    /// Statements that will be executed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statements: Vec<Statement>,
}

/// What the event of a hold says: the step, and what it has prepared.
#[derive(Serialize)]
struct HeldWith<'e> {
    #[serde(flatten)]
    step: &'e SagaStep,
    prepared: Vec<Event<'e>>,
}

/// The same, as far as it is about what was prepared.
#[derive(Deserialize)]
struct PreparedEvents<'e> {
    #[serde(borrow, default)]
    prepared: Vec<Event<'e>>,
}

/// An event that will be appended.
#[derive(Serialize, Deserialize)]
struct Event<'e> {
    name: Cow<'e, str>,
    /// As text: an object in an object would have to be taken apart.
    data: Cow<'e, str>,
}

/// Turns what a unit does into what it has prepared.
///
/// # Errors
/// If it does what cannot be prepared.
pub(crate) fn prepare(unit: &mut Unit, step: &SagaStep) -> Result<Prepared> {
    if !unit.sagas.is_empty() {
        return Err(not_isolated("start a saga"));
    }
    if !unit.documents.is_empty() || !unit.collections.is_empty() {
        return Err(not_isolated("write documents"));
    }
    if !unit.unique.is_empty() {
        return Err(not_isolated("take or release a unique value"));
    }
    // They are of a state that is not there before it is decided.
    unit.snapshots.clear();
    for append in &mut unit.appends {
        let events = append.events.iter().filter(|event| event.name != HELD);
        let prepared = events.map(|event| Event { name: Cow::Borrowed(&*event.name), data: Cow::Borrowed(&*event.data) }).collect();
        let data = serde_json::to_string(&HeldWith { step, prepared })?;
        append.events = vec![NewEvent { name: HELD.into(), data }];
    }
    Ok(Prepared { messages: std::mem::take(&mut unit.messages), statements: std::mem::take(&mut unit.statements) })
}

/// Why a step of an isolated saga cannot do this.
pub(crate) fn not_isolated(what: &str) -> Error {
    Error::rejected(format!("a step of an isolated saga cannot {what}: others would see it before it is decided"))
}

fn prepared_by(data: &str) -> Result<Vec<Event<'_>>> {
    Ok(serde_json::from_str::<PreparedEvents<'_>>(data)?.prepared)
}

/// The events of a stream as an execution sees them: with those behind its holds that it has prepared, and that are not decided yet.
pub(super) fn as_seen_by(execution: Uuid, events: Vec<StoredEvent>) -> Result<Vec<StoredEvent>> {
    let undecided = events.iter().rposition(|event| event.name == RELEASED).map_or(0, |last| last + 1);
    let mut seen = Vec::with_capacity(events.len());
    for (n, event) in events.into_iter().enumerate() {
        if n < undecided || event.name != HELD || step_of(&event.data)?.execution != execution {
            seen.push(event);
            continue;
        }
        let prepared: Vec<_> = prepared_by(&event.data)?
            .into_iter()
            .map(|Event { name, data }| StoredEvent { name: name.into_owned(), data: data.into_owned(), ..event.clone() })
            .collect();
        seen.push(event);
        seen.extend(prepared);
    }
    Ok(seen)
}

/// Adds to a unit what an execution has prepared for these, and that it holds them no more. What it has applied already is left alone.
///
/// # Errors
/// If an operator has released it, or the store does not answer.
pub(crate) async fn apply(store: &dyn Store, unit: &mut Unit, execution: Uuid, holds: &[Hold]) -> Result<()> {
    for hold in holds {
        let stream = StreamId::new(hold.aggregate.clone(), hold.uuid);
        // From the beginning: another step may have prepared something before this one.
        let stored = store.stream(stream.clone(), 0).await.map_err(store_error)?;
        let append = unit.appends.iter().find(|append| append.stream == stream);
        let version = append.map_or_else(|| stored.last().map_or(0, |event| event.version), |append| append.version());
        let appended = append.into_iter().flat_map(|append| &append.events).map(|event| (&*event.name, &*event.data));
        let all: Vec<_> = stored.iter().map(told).chain(appended).collect();
        let at = usize::try_from(hold.version).unwrap_or(usize::MAX);
        let end = all.iter().skip(at).find(|(name, _)| *name == RELEASED);
        if let Some((_, data)) = end {
            if is_by_hand(data)? {
                return Err(HoldError::ReleasedByHand { aggregate: hold.aggregate.clone(), uuid: hold.uuid }.into_error());
            }
            continue;
        }
        let mut events = Vec::new();
        let undecided = all.iter().rposition(|(name, _)| *name == RELEASED).map_or(0, |last| last + 1);
        for (_, data) in all.iter().skip(undecided).filter(|(name, _)| *name == HELD) {
            if step_of(data)?.execution == execution {
                let prepared = prepared_by(data)?.into_iter();
                events.extend(prepared.map(|Event { name, data }| NewEvent { name: name.into_owned().into(), data: data.into_owned() }));
            }
        }
        let then = all.iter().copied().chain(events.iter().map(|event| (&*event.name, &*event.data)));
        let held = holder_of(&stream, then)?.is_some_and(|holder| holder.execution == execution);
        // Also behind a deletion, with which nobody holds it any more: by this it is known to be applied.
        if held || !events.is_empty() {
            events.push(released(execution, false)?);
        }
        unit.append(&stream, version, events);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        aggregate::{release, taken},
        store::{Cause, CollectionChange, MemoryStore, NewSnapshot, UniqueWrite},
    };
    use jiff::Timestamp;

    const MINE: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);

    fn stream() -> StreamId {
        StreamId::new("Foo", Uuid::from_u128(7))
    }

    fn step(execution: Uuid) -> SagaStep {
        SagaStep { saga: "Order".into(), execution, service: "shop".into(), step: "take".into() }
    }

    fn unit(version: u64, names: &[&'static str]) -> Unit {
        let mut unit = Unit::new(Timestamp::UNIX_EPOCH, Cause { correlation: MINE, causation: MINE, user: None, trace: None });
        let events = names.iter().map(|name| NewEvent { name: (*name).into(), data: r#"{"a":"\"ü"}"#.to_owned() }).collect();
        unit.append(&stream(), version, events);
        unit
    }

    /// A store in which my execution has prepared these, each by a step, after what was there.
    async fn prepared(before: &[&'static str], steps: &[&[&'static str]]) -> (MemoryStore, Vec<Hold>) {
        let (store, mut version, mut holds) = (MemoryStore::new(), before.len() as u64, Vec::new());
        if !before.is_empty() {
            store.commit(unit(0, before)).await.unwrap();
        }
        for names in steps {
            let mut unit = unit(version, names);
            prepare(&mut unit, &step(MINE)).unwrap();
            holds.extend(taken(&unit));
            store.commit(unit).await.unwrap();
            version += 1;
        }
        (store, holds)
    }

    async fn names(store: &MemoryStore, execution: Uuid) -> Vec<String> {
        let events = store.stream(stream(), 0).await.unwrap();
        as_seen_by(execution, events).unwrap().into_iter().map(|event| event.name).filter(|name| !name.starts_with('$')).collect()
    }

    async fn applied(store: &MemoryStore, holds: &[Hold]) -> Result<()> {
        let mut unit = Unit::new(Timestamp::UNIX_EPOCH, Cause { correlation: MINE, causation: MINE, user: None, trace: None });
        apply(store, &mut unit, MINE, holds).await?;
        if !unit.is_empty() {
            store.commit(unit).await.map_err(store_error)?;
        }
        Ok(())
    }

    #[test]
    fn what_others_would_see_before_it_is_decided_is_refused() {
        let mut documents = unit(0, &["FooCreated"]);
        documents.collections.push(CollectionChange::Clear { collection: "foos".into() });
        let mut unique = unit(0, &["FooCreated"]);
        let (aggregate, field, value) = ("Foo".into(), "name".into(), "1".to_owned());
        unique.unique.push(UniqueWrite { aggregate, field, value, uuid: MINE, takes: true });
        for mut unit in [documents, unique] {
            let error = prepare(&mut unit, &step(MINE)).unwrap_err();
            assert!(error.to_string().contains("a step of an isolated saga cannot"), "{error}");
        }
        let mut unit = unit(0, &["FooCreated"]);
        unit.snapshots.push(NewSnapshot { stream: stream(), version: 1, schema: String::new(), state: "{}".to_owned() });
        prepare(&mut unit, &step(MINE)).unwrap();
        assert!(unit.snapshots.is_empty(), "they are of a state that is not there yet");
    }

    #[tokio::test]
    async fn what_is_prepared_is_seen_by_its_execution_alone_until_it_is_applied() {
        let (store, holds) = prepared(&["FooCreated"], &[&["FooUpdated", "Said"], &["FooUpdated"]]).await;
        let all = ["FooCreated", "FooUpdated", "Said", "FooUpdated"];
        assert_eq!(names(&store, MINE).await, all);
        assert_eq!(names(&store, OTHER).await, ["FooCreated"]);
        // Whichever of the steps comes first: what both have prepared is applied in the order in which it was.
        applied(&store, &holds[1..]).await.unwrap();
        applied(&store, &holds[..1]).await.unwrap();
        applied(&store, &holds).await.unwrap();
        for execution in [MINE, OTHER] {
            assert_eq!(names(&store, execution).await, all);
        }
        let events = store.stream(stream(), 0).await.unwrap();
        assert_eq!(events[3].data, r#"{"a":"\"ü"}"#, "as it was");
        assert_eq!(events.last().unwrap().name, RELEASED);
    }

    #[tokio::test]
    async fn what_is_created_and_deleted_at_once_is_nothing_in_the_end() {
        let (store, holds) = prepared(&[], &[&["FooCreated"], &["FooDeleted"]]).await;
        assert_eq!(names(&store, OTHER).await, [""; 0]);
        applied(&store, &holds).await.unwrap();
        let stored = async || store.stream(stream(), 0).await.unwrap().into_iter().map(|event| event.name).collect::<Vec<_>>();
        let all = ["$held", "$held", "FooCreated", "FooDeleted", "$released"];
        assert_eq!(stored().await, all);
        for hold in &holds {
            applied(&store, std::slice::from_ref(hold)).await.unwrap();
        }
        assert_eq!(stored().await, all, "each step is applied by a message of its own, and all of them once");
    }

    #[tokio::test]
    async fn what_is_dropped_is_seen_by_nobody() {
        let (store, holds) = prepared(&["FooCreated"], &[&["FooUpdated"]]).await;
        let mut unit = Unit::new(Timestamp::UNIX_EPOCH, Cause { correlation: MINE, causation: MINE, user: None, trace: None });
        release(&store, &mut unit, MINE, &holds).await.unwrap();
        store.commit(unit).await.unwrap();
        assert_eq!(names(&store, MINE).await, ["FooCreated"]);
        // It may be prepared again.
        let mut again = self::unit(3, &["Said"]);
        prepare(&mut again, &step(MINE)).unwrap();
        let holds = taken(&again);
        store.commit(again).await.unwrap();
        assert_eq!(names(&store, MINE).await, ["FooCreated", "Said"]);
        applied(&store, &holds).await.unwrap();
        assert_eq!(names(&store, OTHER).await, ["FooCreated", "Said"]);
    }

    #[tokio::test]
    async fn what_was_released_by_hand_is_not_applied() {
        let (store, holds) = prepared(&["FooCreated"], &[&["FooUpdated"]]).await;
        let mut unit = self::unit(2, &[]);
        unit.append(&stream(), 2, vec![released(MINE, true).unwrap()]);
        store.commit(unit).await.unwrap();
        let error = applied(&store, &holds).await.unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(HoldError::ReleasedByHand { .. })), "{error}");
        assert_eq!(names(&store, MINE).await, ["FooCreated"]);
    }
}
