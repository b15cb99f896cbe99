//! What every store does: one suite, run on each implementation.
//!
//! ```ignore
//! minos_runtime::store_suite!(memory, async || Arc::new(MemoryStore::new()) as SharedStore);
//! ```

mod documents;
mod saga;
mod snapshots;
mod subjects;
mod unique;

pub use documents::{
    a_collection_is_cleared_and_replaced, a_collection_is_cleared_beside_its_writers, a_document_counts_its_writes,
    a_refused_unit_writes_no_document, an_index_is_made_once, documents_are_found, many_documents_are_read_at_once,
    writers_of_many_documents, writers_of_one_document,
};
#[cfg(test)]
pub(in crate::store) use saga::execution;
pub use saga::{
    a_refused_unit_leaves_its_executions_beside_others, a_step_is_open_until_its_end_is_heard, a_step_is_settled_once,
    a_unit_writes_each_execution_and_key_once, an_execution_has_a_version, an_execution_is_refused_with_all_of_its_unit,
    executions_advance_beside_each_other, executions_are_as_they_were_written, executions_are_found, one_of_many_advances_an_execution,
};
pub use snapshots::{a_state_is_a_snapshot_and_what_came_behind_it, many_states_are_loaded_at_once};
pub use subjects::{
    a_forgetting_stands_between_what_is_before_it_and_nothing_behind, a_subject_has_one_key_until_it_is_forgotten,
    a_unit_forgets_with_all_that_it_does, of_many_one_gives_the_key, what_is_sealed_needs_its_keys,
};
pub use unique::{a_refused_unit_takes_and_releases_nothing, a_value_has_one_owner, of_many_one_gets_a_value, values_change_hands};

use super::{
    Append, CLIENT_KEY, Cause, Field, Find, Handled, InboxRow, Kind, Lease, Mark, NewDeadLetter, NewEvent, NewMessage, SharedStore,
    StoreError, StoreResult, StreamId, Unit,
};
use jiff::Timestamp;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::task::JoinSet;
use uuid::Uuid;

/// Every case of the suite as a test of its own. `$make` makes an empty store, or `None` where that is not possible.
#[macro_export]
macro_rules! store_suite {
    ($name:ident, $make:expr) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            $crate::store_suite!(@cases $make;
                versions_are_checked refused_units_leave_nothing a_mark_is_set_once an_answer_is_kept_and_forgotten
                the_log_is_in_order a_tailing_reader_misses_nothing the_outbox_keeps_its_order checkpoints_only_advance
                the_log_skips_what_is_not_asked_for dead_letters_wait_for_the_operator what_is_parked_waits
                a_key_is_parked_or_flows_and_nothing_between a_dead_letter_is_dealt_with_once a_lease_has_one_owner
                a_lost_lease_fences writers_of_one_stream writers_of_many_streams changes_wake_who_waits
                big_and_odd_content a_version_that_no_store_counts_to_is_refused
                a_log_that_ends_before_its_reader_is_told
                an_execution_has_a_version an_execution_is_refused_with_all_of_its_unit one_of_many_advances_an_execution
                a_unit_writes_each_execution_and_key_once a_refused_unit_leaves_its_executions_beside_others
                executions_advance_beside_each_other executions_are_as_they_were_written executions_are_found a_step_is_settled_once
                a_step_is_open_until_its_end_is_heard
                a_document_counts_its_writes many_documents_are_read_at_once a_refused_unit_writes_no_document writers_of_one_document
                writers_of_many_documents a_collection_is_cleared_and_replaced a_collection_is_cleared_beside_its_writers
                an_index_is_made_once documents_are_found
                a_value_has_one_owner a_refused_unit_takes_and_releases_nothing of_many_one_gets_a_value values_change_hands
                a_state_is_a_snapshot_and_what_came_behind_it many_states_are_loaded_at_once
                a_subject_has_one_key_until_it_is_forgotten of_many_one_gives_the_key a_unit_forgets_with_all_that_it_does
                what_is_sealed_needs_its_keys a_forgetting_stands_between_what_is_before_it_and_nothing_behind
                close_finishes_and_refuses);
        }
    };
    (@cases $make:expr; $($case:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let make = $make;
            let store: Option<$crate::store::SharedStore> = make().await.into();
            if let Some(store) = store {
                $crate::store::suite::$case(store).await;
            }
        })*
    };
}

fn unit() -> Unit {
    let at = Timestamp::from_microsecond(1_700_000_000_123_456).expect("a time");
    Unit::new(at, Cause { correlation: Uuid::now_v7(), causation: Uuid::now_v7(), user: Some("someone".into()), trace: None })
}

fn stream() -> StreamId {
    StreamId::new("Foo", Uuid::now_v7())
}

fn append(stream: &StreamId, expected: u64, names: &[&str]) -> Append {
    let events = names.iter().map(|name| NewEvent { name: (*name).to_owned().into(), data: format!("{{\"n\":\"{name}\"}}") }).collect();
    Append { stream: stream.clone(), expected, events }
}

fn appending(stream: &StreamId, expected: u64, names: &[&str]) -> Unit {
    Unit { appends: vec![append(stream, expected, names)], ..unit() }
}

fn message(topic: &str) -> NewMessage {
    NewMessage { id: Uuid::now_v7(), topic: topic.to_owned(), key: Some("k".to_owned()), headers: "{}".to_owned(), content: "1".to_owned() }
}

fn version_mark(key: &str, version: u64) -> Mark {
    Mark { subscriber: "reader".into(), handled: Handled::Version { key: key.to_owned(), version }, lane: None }
}

fn answer_mark(key: &str, answer: &str) -> Mark {
    Mark { subscriber: "reader".into(), handled: Handled::Message { key: key.to_owned(), answer: answer.to_owned() }, lane: None }
}

fn letter(key: &str, attempts: u32) -> NewDeadLetter {
    NewDeadLetter {
        subscriber: "reader".to_owned(),
        key: key.to_owned(),
        topic: "Foo".to_owned(),
        headers: "{}".to_owned(),
        content: vec![0xff, 0, 1],
        cause: "it is broken".to_owned(),
        attempts,
    }
}

async fn versions(store: &SharedStore, stream: &StreamId) -> Vec<u64> {
    store.stream(stream.clone(), 0).await.expect("the stream is read").iter().map(|event| event.version).collect()
}

#[allow(missing_docs)]
pub async fn versions_are_checked(store: SharedStore) {
    let stream = stream();
    let unit = appending(&stream, 0, &["FooCreated", "Renamed"]);
    store.commit(unit.clone()).await.expect("a new stream");
    for expected in [0, 1, 3] {
        let refused = store.commit(appending(&stream, expected, &["FooUpdated"])).await;
        assert_eq!(refused, Err(StoreError::Conflict { stream: stream.clone(), expected, actual: 2 }));
    }
    store.commit(appending(&stream, 2, &["FooUpdated"])).await.expect("the version fits");
    let events = store.stream(stream.clone(), 0).await.expect("the stream is read");
    assert_eq!(
        events.iter().map(|event| (event.version, event.name.as_str())).collect::<Vec<_>>(),
        [(1, "FooCreated"), (2, "Renamed"), (3, "FooUpdated")]
    );
    let first = &events[0];
    assert_eq!((&first.stream, &first.data, first.at, &first.cause), (&stream, &"{\"n\":\"FooCreated\"}".to_owned(), unit.at, &unit.cause));
    assert_eq!(store.stream(stream, 2).await.expect("the rest is read").len(), 1);
}

#[allow(missing_docs)]
pub async fn refused_units_leave_nothing(store: SharedStore) {
    let (taken, free) = (stream(), stream());
    store.commit(appending(&taken, 0, &["FooCreated"])).await.expect("a new stream");
    let mut refused = appending(&free, 0, &["FooCreated"]);
    refused.appends.push(append(&taken, 0, &["FooCreated"]));
    refused.messages.push(message("a"));
    refused.mark = Some(version_mark("k", 1));
    refused.checkpoints.push(("c".to_owned(), 5));
    // Beside neighbours that are committed, at once, in one batch if the store makes batches.
    let mut tasks = JoinSet::new();
    for n in 0..20 {
        let (store, refused) = (store.clone(), refused.clone());
        tasks.spawn(async move {
            if n % 2 == 0 {
                store.commit(refused).await.is_err()
            } else {
                store.commit(appending(&stream(), 0, &["FooCreated"])).await.is_ok()
            }
        });
    }
    assert!(tasks.join_all().await.into_iter().all(|as_expected| as_expected));
    assert!(versions(&store, &free).await.is_empty());
    assert_eq!(store.log(0, 100, None).await.expect("the log is read").events.len(), 11);
    assert!(store.outbox(0, 10).await.expect("the outbox is read").is_empty());
    assert_eq!(store.handled("reader", "k").await, Ok(None));
    assert_eq!(store.checkpoint("c").await, Ok(0));
}

#[allow(missing_docs)]
pub async fn a_mark_is_set_once(store: SharedStore) {
    let handle =
        async |version| store.commit(Unit { mark: Some(version_mark("Foo/1", version)), messages: vec![message("done")], ..unit() }).await;
    handle(2).await.expect("the first time");
    for version in [1, 2] {
        assert_eq!(handle(version).await, Err(StoreError::Duplicate { subscriber: "reader".to_owned(), key: "Foo/1".to_owned() }));
    }
    handle(5).await.expect("a later version");
    assert_eq!(store.handled("reader", "Foo/1").await, Ok(Some(InboxRow { version: 5, answer: None })));
    assert_eq!(store.outbox(0, 10).await.expect("the outbox is read").len(), 2);
    // Two at once: one of them.
    let both = tokio::join!(handle(6), handle(6));
    assert!(both.0.is_ok() != both.1.is_ok(), "{both:?}");
    let other = Mark { subscriber: "other".into(), ..version_mark("Foo/1", 2) };
    store.commit(Unit { mark: Some(other), ..unit() }).await.expect("another subscriber has its own marks");
}

#[allow(missing_docs)]
pub async fn an_answer_is_kept_and_forgotten(store: SharedStore) {
    let unit = Unit { mark: Some(answer_mark("id", "the answer")), ..unit() };
    store.commit(unit.clone()).await.expect("the first time");
    let again = Unit { mark: Some(answer_mark("id", "another answer")), ..unit.clone() };
    assert!(matches!(store.commit(again).await, Err(StoreError::Duplicate { .. })));
    assert_eq!(store.handled("reader", "id").await, Ok(Some(InboxRow { version: 0, answer: Some("the answer".to_owned()) })));
    store.commit(Unit { mark: Some(version_mark("Foo/1", 1)), ..unit.clone() }).await.expect("an event");
    assert_eq!(store.forget_answers(unit.at).await, Ok(0), "it is not older than this");
    let later = Timestamp::from_microsecond(unit.at.as_microsecond() + 1).expect("a time");
    let client = format!("{CLIENT_KEY}k");
    store.commit(Unit { mark: Some(answer_mark(&client, "the answer")), ..unit.clone() }).await.expect("a request of a client");
    assert_eq!(store.forget_answers(later).await, Ok(2));
    assert_eq!(store.forget_answers(later).await, Ok(0), "there is nothing left to forget");
    assert_eq!(store.handled("reader", &client).await, Ok(None), "clients are promised some time only");
    assert_eq!(
        store.handled("reader", "id").await,
        Ok(Some(InboxRow { version: 0, answer: None })),
        "that it was handled is known for ever"
    );
    let again = Unit { mark: Some(answer_mark("id", "another answer")), ..unit.clone() };
    assert!(matches!(store.commit(again).await, Err(StoreError::Duplicate { .. })));
    assert!(store.handled("reader", "Foo/1").await.expect("the inbox is read").is_some(), "events are known for ever");
}

#[allow(missing_docs)]
pub async fn the_log_is_in_order(store: SharedStore) {
    let streams: Vec<_> = (0..3).map(|_| stream()).collect();
    for version in 0..4 {
        for stream in &streams {
            store.commit(appending(stream, version, &["E"])).await.expect("committed");
        }
    }
    let (mut after, mut seen) = (0, Vec::new());
    loop {
        let page = store.log(after, 5, None).await.expect("the log is read").events;
        let Some(last) = page.last() else { break };
        assert!(page.windows(2).all(|pair| pair[0].position < pair[1].position) && page[0].position > after);
        after = last.position;
        seen.extend(page);
    }
    assert_eq!(seen.len(), 12);
    assert!(seen.iter().zip(streams.iter().cycle()).all(|(event, stream)| event.stream == *stream), "in the order of the commits");
}

#[allow(missing_docs)]
pub async fn a_tailing_reader_misses_nothing(store: SharedStore) {
    const WRITERS: u64 = 16;
    const EACH: u64 = 40;
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let store = store.clone();
        writers.spawn(async move {
            let stream = stream();
            for version in 0..EACH {
                store.commit(appending(&stream, version, &["E"])).await.expect("committed");
            }
        });
    }
    let mut changes = store.changes();
    let (mut after, mut seen, mut last) = (0, 0, HashMap::new());
    while seen < WRITERS * EACH {
        changes.mark_unchanged();
        let page = store.log(after, 7, None).await.expect("the log is read").events;
        if page.is_empty() {
            changes.changed().await.expect("the store is open");
        }
        for event in page {
            assert!(event.position > after);
            after = event.position;
            seen += 1;
            assert_eq!(event.version, last.insert(event.stream, event.version).unwrap_or_default() + 1, "no version is skipped");
        }
    }
    writers.join_all().await;
    assert!(store.log(after, 1, None).await.expect("the log is read").events.is_empty());
}

#[allow(missing_docs)]
pub async fn the_outbox_keeps_its_order(store: SharedStore) {
    let sent: Vec<_> = (0..5).map(|n| message(&format!("t{n}"))).collect();
    for message in &sent {
        store.commit(Unit { messages: vec![message.clone()], ..unit() }).await.expect("committed");
    }
    let rows = store.outbox(0, 10).await.expect("the outbox is read");
    assert_eq!(rows.iter().map(|row| &row.message).collect::<Vec<_>>(), sent.iter().collect::<Vec<_>>());
    assert_eq!(store.outbox(rows[1].id, 2).await.expect("the outbox is read"), rows[2..4]);
    store.commit(Unit { sent: rows.iter().map(|row| row.id).collect(), ..unit() }).await.expect("removed");
    assert!(store.outbox(0, 10).await.expect("the outbox is read").is_empty());
    store.commit(Unit { messages: vec![message("later")], ..unit() }).await.expect("committed");
    let later = store.outbox(rows[4].id, 10).await.expect("the outbox is read");
    assert_eq!(later.len(), 1, "a number is never given twice");
}

#[allow(missing_docs)]
pub async fn checkpoints_only_advance(store: SharedStore) {
    let save = async |position| store.commit(Unit { checkpoints: vec![("relay".to_owned(), position)], ..unit() }).await.expect("saved");
    assert_eq!(store.checkpoint("relay").await, Ok(0));
    save(7).await;
    save(3).await;
    assert_eq!(store.checkpoint("relay").await, Ok(7));
    assert_eq!(store.checkpoint("other").await, Ok(0));
}

#[allow(missing_docs)]
pub async fn dead_letters_wait_for_the_operator(store: SharedStore) {
    let letter = letter("Foo/1", 3);
    let unit = Unit { dead_letters: vec![letter.clone(), letter.clone()], ..unit() };
    store.commit(unit.clone()).await.expect("put aside");
    let letters = store.dead_letters(None, 0, 10).await.expect("they are read");
    assert_eq!((letters.len(), &letters[0].letter, letters[0].at), (2, &letter, unit.at));
    store.commit(Unit { resolved: vec![letters[0].id], ..unit.clone() }).await.expect("dealt with");
    let left = store.dead_letters(None, 0, 10).await.expect("they are read");
    assert_eq!(left.iter().map(|letter| letter.id).collect::<Vec<_>>(), [letters[1].id, letters[1].id + 1, letters[1].id + 2]);
    assert_eq!(store.dead_letters(None, letters[1].id, 1).await.expect("they are read").len(), 1);
}

#[allow(missing_docs)]
pub async fn the_log_skips_what_is_not_asked_for(store: SharedStore) {
    let bar = || StreamId::new("Bar", Uuid::now_v7());
    for stream in [stream(), bar(), bar(), stream(), bar()] {
        store.commit(appending(&stream, 0, &["E"])).await.expect("committed");
    }
    let all = store.log(0, 10, None).await.expect("the log is read");
    let end = all.events[4].position;
    assert_eq!((all.events.len(), all.read), (5, end));
    let names = ["Foo".to_owned(), "Nobody".to_owned()];
    let foos = store.log(0, 10, Some(&names)).await.expect("the log is read");
    assert_eq!((foos.events, foos.read), (vec![all.events[0].clone(), all.events[3].clone()], end), "what was skipped was seen");
    let first = store.log(0, 1, Some(&names)).await.expect("the log is read");
    assert_eq!((first.events.len(), first.read), (1, all.events[0].position), "there may be more");
    let none = store.log(0, 10, Some(&[])).await.expect("the log is read");
    assert_eq!((none.events.len(), none.read), (0, end));
    let later = store.log(end, 10, Some(&names)).await.expect("the log is read");
    assert_eq!((later.events.len(), later.read), (0, end), "it never goes back");
}

#[allow(missing_docs)]
pub async fn what_is_parked_waits(store: SharedStore) {
    let handle = async |key: &str, version| {
        let mark = Mark { lane: Some(key.to_owned()), ..version_mark(key, version) };
        store.commit(Unit { mark: Some(mark), messages: vec![message("done")], ..unit() }).await.map(|_| ())
    };
    let wait = async |key: &str| store.commit(Unit { dead_letters: vec![letter(key, 0)], ..unit() }).await.map(|_| ());
    let (subscriber, key) = ("reader".to_owned(), "Foo/1".to_owned());
    handle("Foo/1", 1).await.expect("it flows");
    assert_eq!(wait("Foo/1").await, Err(StoreError::NotParked { subscriber: subscriber.clone(), key: key.clone() }));
    store.commit(Unit { dead_letters: vec![letter("Foo/1", 3)], ..unit() }).await.expect("put aside");
    assert_eq!(handle("Foo/1", 2).await, Err(StoreError::Parked { subscriber: subscriber.clone(), key: key.clone() }));
    assert_eq!(handle("Foo/1", 1).await, Err(StoreError::Duplicate { subscriber: subscriber.clone(), key: key.clone() }), "it is known");
    handle("Foo/2", 1).await.expect("another key flows");
    let other = Mark { subscriber: "other".into(), lane: Some(key.clone()), ..version_mark("Foo/1", 2) };
    store.commit(Unit { mark: Some(other), ..unit() }).await.expect("and another subscriber");
    wait("Foo/1").await.expect("it waits behind the first");
    assert_eq!(store.parked().await, Ok(vec![(subscriber, key)]));
    store.commit(Unit { dead_letters: vec![letter("Foo/2", 1)], ..unit() }).await.expect("put aside");
    let waiting = store.dead_letters(Some(("reader", "Foo/1")), 0, 10).await.expect("they are read");
    assert_eq!(waiting.iter().map(|letter| letter.letter.attempts).collect::<Vec<_>>(), [3, 0]);
    assert_eq!(store.dead_letters(Some(("reader", "Foo/1")), waiting[0].id, 1).await.expect("they are read"), waiting[1..]);
    store.commit(Unit { resolved: waiting.iter().map(|letter| letter.id).collect(), ..unit() }).await.expect("dealt with");
    handle("Foo/1", 2).await.expect("it flows again");
    assert_eq!(store.outbox(0, 10).await.expect("the outbox is read").len(), 3, "nothing of what was refused was written");
}

/// Many try to wait behind a dead letter while it is dealt with, and one to be handled.
#[allow(missing_docs)]
pub async fn a_key_is_parked_or_flows_and_nothing_between(store: SharedStore) {
    for round in 0..20 {
        let key = format!("Foo/{round}");
        store.commit(Unit { dead_letters: vec![letter(&key, 3)], ..unit() }).await.expect("put aside");
        let first = store.dead_letters(Some(("reader", &key)), 0, 1).await.expect("they are read")[0].id;
        let mut tasks = JoinSet::new();
        for n in 0..8 {
            let mark = Mark { lane: Some(key.clone()), ..version_mark(&key, 1) };
            let unit = match n {
                3 => Unit { resolved: vec![first], ..unit() },
                6 => Unit { mark: Some(mark), ..unit() },
                _ => Unit { dead_letters: vec![letter(&key, 0)], ..unit() },
            };
            let store = store.clone();
            tasks.spawn(async move { (n, store.commit(unit).await.map(|_| ())) });
        }
        let results: HashMap<_, _> = tasks.join_all().await.into_iter().collect();
        assert_eq!(results[&3], Ok(()));
        let left = store.dead_letters(Some(("reader", &key)), 0, 10).await.expect("they are read");
        let waiting = results.iter().filter(|(n, result)| !matches!(n, 3 | 6) && result.is_ok()).count();
        assert_eq!(left.len(), waiting, "{results:?}");
        // Those that came before the first was dealt with wait behind each other; if there were none, nobody may have come in later.
        assert!(waiting == 0 || left[0].id > first, "{left:?}");
        assert!(waiting == 0 || results[&6].is_err(), "what was handled had nothing before it: {results:?}");
    }
}

#[allow(missing_docs)]
pub async fn a_dead_letter_is_dealt_with_once(store: SharedStore) {
    store.commit(Unit { dead_letters: vec![letter("Foo/1", 3)], ..unit() }).await.expect("put aside");
    let id = store.dead_letters(None, 0, 1).await.expect("they are read")[0].id;
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        tasks.spawn(async move { store.commit(Unit { resolved: vec![id], messages: vec![message("done")], ..unit() }).await });
    }
    let results = tasks.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(results.iter().flat_map(|result| result.as_ref().err()).all(|error| *error == StoreError::Resolved(id)), "{results:?}");
    assert_eq!(store.outbox(0, 10).await.expect("the outbox is read").len(), 1);
}

#[allow(missing_docs)]
pub async fn a_lease_has_one_owner(store: SharedStore) {
    let (ada, bob, hour) = (Uuid::now_v7(), Uuid::now_v7(), Duration::from_secs(3600));
    let first = store.acquire("relay", ada, hour).await.expect("it answers").expect("it is free");
    assert_eq!(store.acquire("relay", ada, hour).await, Ok(Some(first.clone())), "it is renewed");
    assert_eq!(store.acquire("relay", bob, hour).await, Ok(None));
    assert!(store.acquire("timers", bob, hour).await.expect("it answers").is_some(), "another one");
    store.release(first.clone()).await.expect("it is given back");
    let second = store.acquire("relay", bob, hour).await.expect("it answers").expect("it is free");
    assert!(second.epoch > first.epoch);
    store.release(first).await.expect("that it is not held any more is nothing");
    assert_eq!(store.acquire("relay", ada, hour).await, Ok(None), "an old one gives nothing back");
    store.release(second.clone()).await.expect("it is given back");
    let third = store.acquire("relay", bob, Duration::from_millis(20)).await.expect("it answers").expect("it is free");
    assert!(third.epoch > second.epoch, "got again is not the same as kept");
    let fourth = loop {
        // Its time passes.
        match store.acquire("relay", ada, hour).await.expect("it answers") {
            Some(lease) => break lease,
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    assert!(fourth.epoch > third.epoch);
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        tasks.spawn(async move { store.acquire("race", Uuid::now_v7(), Duration::from_secs(3600)).await.expect("it answers") });
    }
    assert_eq!(tasks.join_all().await.into_iter().flatten().count(), 1);
}

#[allow(missing_docs)]
pub async fn a_lost_lease_fences(store: SharedStore) {
    let (ada, bob, hour) = (Uuid::now_v7(), Uuid::now_v7(), Duration::from_secs(3600));
    let save = async |lease: &Lease, position| {
        let unit = Unit { checkpoints: vec![("relay".to_owned(), position)], fence: Some(lease.clone()), ..unit() };
        store.commit(unit).await.map(|_| ())
    };
    let fenced = Err(StoreError::Fenced("relay".to_owned()));
    let none = Lease { name: "relay".to_owned(), epoch: 1 };
    assert_eq!(save(&none, 1).await, fenced, "nobody has it");
    let lease = store.acquire("relay", ada, Duration::ZERO).await.expect("it answers").expect("it is free");
    save(&lease, 2).await.expect("its time has passed, and nobody took it");
    let next = store.acquire("relay", bob, hour).await.expect("it answers").expect("its time has passed");
    assert_eq!(save(&lease, 3).await, fenced);
    save(&next, 4).await.expect("who has it");
    store.release(next.clone()).await.expect("it is given back");
    assert_eq!(save(&next, 5).await, fenced);
    assert_eq!(store.checkpoint("relay").await, Ok(4));
}

/// Appends one event, again on the new version when somebody was faster.
async fn append_in_the_end(store: &SharedStore, stream: &StreamId) -> StoreResult<()> {
    loop {
        let version = store.stream(stream.clone(), 0).await?.len() as u64;
        match store.commit(appending(stream, version, &["E"])).await {
            Ok(_) => return Ok(()),
            Err(StoreError::Conflict { .. }) => tokio::task::yield_now().await,
            Err(error) => return Err(error),
        }
    }
}

async fn writers(store: &SharedStore, streams: Vec<StreamId>) {
    let mut tasks = JoinSet::new();
    for stream in streams {
        let store = store.clone();
        tasks.spawn(async move { append_in_the_end(&store, &stream).await });
    }
    assert!(tasks.join_all().await.iter().all(Result::is_ok), "all are acknowledged");
}

#[allow(missing_docs)]
pub async fn writers_of_one_stream(store: SharedStore) {
    let stream = stream();
    writers(&store, vec![stream.clone(); 200]).await;
    assert_eq!(versions(&store, &stream).await, (1..=200).collect::<Vec<_>>());
}

#[allow(missing_docs)]
pub async fn writers_of_many_streams(store: SharedStore) {
    let streams: Vec<_> = (0..200).map(|_| stream()).collect();
    writers(&store, streams.clone()).await;
    for stream in &streams {
        assert_eq!(versions(&store, stream).await, [1]);
    }
    assert_eq!(store.log(0, 1000, None).await.expect("the log is read").events.len(), 200);
}

#[allow(missing_docs)]
pub async fn changes_wake_who_waits(store: SharedStore) {
    for unit in [appending(&stream(), 0, &["E"]), Unit { messages: vec![message("t")], ..unit() }] {
        let mut changes = store.changes();
        changes.mark_unchanged();
        let waits = tokio::spawn(async move { changes.changed().await.is_ok() });
        store.commit(unit).await.expect("committed");
        assert!(waits.await.expect("it does not panic"));
    }
}

#[allow(missing_docs)]
pub async fn big_and_odd_content(store: SharedStore) {
    let stream = StreamId::new("Größe'; DROP TABLE events; --", Uuid::now_v7());
    let data = serde_json::to_string(&"ä\u{0}\"'\\\u{10ffff}".repeat(100_000)).expect("JSON");
    let event = NewEvent { name: "Ereignis 'x'".into(), data: data.clone() };
    store
        .commit(Unit { appends: vec![Append { stream: stream.clone(), expected: 0, events: vec![event] }], ..unit() })
        .await
        .expect("committed");
    let events = store.stream(stream, 0).await.expect("the stream is read");
    assert!(events[0].data == data && events[0].name == "Ereignis 'x'");
}

#[allow(missing_docs)]
pub async fn a_version_that_no_store_counts_to_is_refused(store: SharedStore) {
    for version in [u64::MAX, 1 << 63] {
        let refused = store.commit(Unit { mark: Some(version_mark("Foo/1", version)), ..unit() }).await;
        assert!(matches!(&refused, Err(error @ StoreError::Unstorable(_)) if !error.kind().is_transient()), "{refused:?}");
    }
    store.commit(Unit { mark: Some(version_mark("Foo/1", 1)), ..unit() }).await.expect("what comes later is no duplicate of it");
    store.commit(Unit { mark: Some(version_mark("Foo/1", i64::MAX as u64)), ..unit() }).await.expect("the highest");
}

#[allow(missing_docs)]
pub async fn a_log_that_ends_before_its_reader_is_told(store: SharedStore) {
    let stream = stream();
    store.commit(appending(&stream, 0, &["E"])).await.expect("committed");
    let read = store.log(0, 10, None).await.expect("the log is read").read;
    assert_eq!(store.log(read, 10, None).await.expect("there is no more").read, read);
    let lost = store.log(read + 1000, 10, None).await;
    assert!(matches!(lost, Err(StoreError::Behind { reader, .. }) if reader == read + 1000), "{lost:?}");
    store.commit(appending(&stream, 1, &["E"])).await.expect("committed");
    assert_eq!(store.log(read, 10, None).await.expect("the log is read").events.len(), 1);
}

#[allow(missing_docs)]
pub async fn close_finishes_and_refuses(store: SharedStore) {
    let before: Vec<_> = (0..50)
        .map(|_| {
            let store: SharedStore = Arc::clone(&store);
            tokio::spawn(async move { store.commit(appending(&stream(), 0, &["E"])).await })
        })
        .collect();
    tokio::task::yield_now().await;
    store.close().await;
    for commit in before {
        let result = commit.await.expect("it does not panic");
        assert!(matches!(result, Ok(_) | Err(StoreError::Closed)), "{result:?}");
    }
    assert_eq!(store.commit(appending(&stream(), 0, &["E"])).await, Err(StoreError::Closed));
    assert_eq!(store.ping().await, Err(StoreError::Closed));
    assert_eq!(store.checkpoint("relay").await, Err(StoreError::Closed));
    assert_eq!(store.acquire("relay", Uuid::now_v7(), Duration::from_secs(5)).await, Err(StoreError::Closed));
    assert_eq!(store.forget_answers(Timestamp::MAX).await, Err(StoreError::Closed));
    assert_eq!(store.forget_sagas(Timestamp::MAX).await, Err(StoreError::Closed));
    assert_eq!(store.wake_saga(Uuid::now_v7(), 1, Timestamp::MAX).await, Err(StoreError::Closed));
    assert_eq!(store.open_steps(Timestamp::MAX, None, 10).await, Err(StoreError::Closed));
    assert_eq!(store.find(Find::all("foos", 1)).await, Err(StoreError::Closed));
    assert_eq!(store.index("foos", Field::new(["n"], Kind::Number)).await, Err(StoreError::Closed));
    assert_eq!(store.load(stream()).await, Err(StoreError::Closed));
    assert_eq!(store.forget_snapshot(stream()).await, Err(StoreError::Closed));
}
