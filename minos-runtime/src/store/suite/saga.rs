//! Executions of sagas, and marks of their steps.

use super::{append, message, stream, unit, version_mark, versions};
use crate::{
    store::{
        Cause, Handled, InboxRow, LiveDefinition, Mark, OPEN, OpenStep, SETTLED, SagaFilter, SagaRow, SagaWrite, SharedStore, StepMark,
        StoreError, StoreResult, Unit,
    },
    trace::Trace,
};
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use uuid::Uuid;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_microsecond(1_700_000_000_123_456).expect("a time") + SignedDuration::from_secs(seconds)
}

fn trace() -> Option<Trace> {
    Trace::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
}

fn row(saga: &str, key: Option<&str>) -> SagaRow {
    SagaRow {
        id: Uuid::now_v7(),
        saga: saga.to_owned(),
        key: key.map(str::to_owned),
        definition: "abc".to_owned(),
        status: "running".to_owned(),
        ended: false,
        wake: None,
        version: 1,
        state: r#"{"text":"\u0000 ü \" \\ 'x'"}"#.to_owned(),
        cause: Cause { correlation: Uuid::now_v7(), causation: Uuid::now_v7(), user: Some("someone \"else\"".into()), trace: trace() },
        started_at: at(0),
        changed_at: at(0),
    }
}

/// A new one of those that the cases write.
#[cfg(test)]
pub(in crate::store) fn execution() -> SagaRow {
    row("Pay", None)
}

fn writing(writes: Vec<SagaWrite>) -> Unit {
    Unit { sagas: writes, ..unit() }
}

async fn write(store: &SharedStore, expected: u64, row: &SagaRow) -> StoreResult<()> {
    store.commit(writing(vec![SagaWrite { expected, row: row.clone() }])).await.map(|_| ())
}

async fn read(store: &SharedStore, id: Uuid) -> Option<SagaRow> {
    store.saga(id).await.expect("it is read")
}

#[allow(missing_docs)]
pub async fn an_execution_has_a_version(store: SharedStore) {
    let first = row("Pay", Some("order-1"));
    assert_eq!(read(&store, first.id).await, None);
    let moved = |expected, actual| Err(StoreError::SagaMoved { id: first.id, expected, actual });
    assert_eq!(write(&store, 1, &first).await, moved(1, 0));
    write(&store, 0, &first).await.expect("a new one");
    assert_eq!(read(&store, first.id).await, Some(first.clone()));
    assert_eq!(write(&store, 0, &first).await, moved(0, 1));
    let second = SagaRow {
        status: "compensating".to_owned(),
        wake: Some(at(5)),
        version: 2,
        state: "{}".to_owned(),
        changed_at: at(1),
        ..first.clone()
    };
    // What never changes is not written again.
    let other = SagaRow { saga: "Other".to_owned(), key: None, cause: unit().cause, started_at: at(9), ..second.clone() };
    write(&store, 1, &other).await.expect("the version fits");
    assert_eq!(read(&store, first.id).await, Some(second.clone()));
    assert_eq!(store.saga_of_key("Pay", "order-1").await.expect("it is read"), Some(second));
    for expected in [0, 1, 3] {
        assert_eq!(write(&store, expected, &first).await, moved(expected, 2));
    }
}

#[allow(missing_docs)]
pub async fn an_execution_is_refused_with_all_of_its_unit(store: SharedStore) {
    let (known, stream) = (row("Pay", Some("order-1")), stream());
    write(&store, 0, &known).await.expect("a new one");
    let taken = row("Pay", Some("order-1"));
    for (expected, row) in [(0, taken.clone()), (5, known.clone())] {
        let fine = SagaWrite { expected: 0, row: self::row("Pay", None) };
        let (id, refused) = (fine.row.id, SagaWrite { expected, row });
        let unit = Unit {
            appends: vec![append(&stream, 0, &["FooCreated"])],
            messages: vec![message("Pay")],
            mark: Some(version_mark("x", 1)),
            ..writing(vec![fine, refused])
        };
        let error = store.commit(unit).await.expect_err("it is refused");
        assert!(matches!(error, StoreError::SagaExists { .. } | StoreError::SagaMoved { .. }), "{error:?}");
        assert_eq!(read(&store, id).await, None);
    }
    assert!(versions(&store, &stream).await.is_empty());
    assert!(store.outbox(0, 10).await.expect("it is read").is_empty());
    assert_eq!(store.handled("reader", "x").await.expect("it is read"), None);
    assert_eq!(write(&store, 0, &taken).await, Err(StoreError::SagaExists { saga: "Pay".to_owned(), key: "order-1".to_owned() }));
    write(&store, 0, &row("Refund", Some("order-1"))).await.expect("it is the key of another saga");
    write(&store, 0, &row("Pay", None)).await.expect("without a key");
    write(&store, 0, &row("Pay", None)).await.expect("and another one");
}

/// Beside neighbours that are committed, at once, in one batch if the store makes batches.
#[allow(missing_docs)]
pub async fn a_unit_writes_each_execution_and_key_once(store: SharedStore) {
    let (first, second) = (row("Pay", Some("order-1")), row("Pay", Some("order-1")));
    let new = |row: &SagaRow| SagaWrite { expected: 0, row: row.clone() };
    let refused = [vec![new(&first), new(&second)], vec![new(&first), new(&first)]];
    let mut tasks = JoinSet::new();
    for n in 0..40 {
        let fine = vec![new(&row("Pay", Some(&format!("key {n}")))), new(&row("Pay", None)), new(&row("Pay", None))];
        let writes = refused.get(n % 10).cloned().unwrap_or(fine);
        let (store, unit) = (store.clone(), Unit { messages: vec![message("Pay")], ..writing(writes) });
        tasks.spawn(async move { (n % 10, store.commit(unit).await) });
    }
    for (n, result) in tasks.join_all().await {
        match n {
            0 => assert_eq!(result, Err(StoreError::SagaExists { saga: "Pay".to_owned(), key: "order-1".to_owned() })),
            1 => assert!(matches!(result, Err(StoreError::Unstorable(_))), "{result:?}"),
            _ => assert!(result.is_ok(), "{result:?}"),
        }
    }
    assert_eq!((read(&store, first.id).await, read(&store, second.id).await), (None, None));
    assert_eq!(store.sagas(SagaFilter::default(), None, 1000).await.expect("they are read").len(), 3 * 32);
    assert_eq!(store.outbox(0, 1000).await.expect("the outbox is read").len(), 32);
}

/// Every other unit begins an execution, advances one, and is refused for a third.
#[allow(missing_docs)]
pub async fn a_refused_unit_leaves_its_executions_beside_others(store: SharedStore) {
    let known: Vec<_> = (0..40).map(|_| (row("Pay", None), row("Pay", None))).collect();
    let all = known.iter().flat_map(|(one, other)| [one, other]);
    store.commit(writing(all.map(|row| SagaWrite { expected: 0, row: row.clone() }).collect())).await.expect("new ones");
    let mut tasks = JoinSet::new();
    for (n, (one, other)) in known.iter().enumerate() {
        let stale = n % 2 == 0;
        let next = |row: &SagaRow| SagaRow { version: 2, ..row.clone() };
        let begun = row("Refund", None);
        let writes = vec![
            SagaWrite { expected: 0, row: begun.clone() },
            SagaWrite { expected: 1, row: next(one) },
            SagaWrite { expected: if stale { 7 } else { 1 }, row: next(other) },
        ];
        let (store, one, other) = (store.clone(), one.id, other.id);
        tasks.spawn(async move {
            let result = store.commit(writing(writes)).await.map(|_| ());
            let refused = StoreError::SagaMoved { id: other, expected: 7, actual: 1 };
            assert_eq!(result, if stale { Err(refused) } else { Ok(()) });
            assert_eq!(read(&store, begun.id).await, (!stale).then_some(begun));
            for id in [one, other] {
                assert_eq!(read(&store, id).await.map(|row| row.version), Some(if stale { 1 } else { 2 }));
            }
        });
    }
    tasks.join_all().await;
}

/// Each unit begins one execution and advances another one, whatever else is in its batch.
#[allow(missing_docs)]
pub async fn executions_advance_beside_each_other(store: SharedStore) {
    let known: Vec<_> = (0..10).map(|n| row("Pay", Some(&n.to_string()))).collect();
    store.commit(writing(known.iter().map(|row| SagaWrite { expected: 0, row: row.clone() }).collect())).await.expect("new ones");
    let mut tasks = JoinSet::new();
    for n in 0..40 {
        let next = SagaRow { version: 2, state: n.to_string(), ..known[n % 10].clone() };
        let begun = row("Refund", None);
        let (store, id) = (store.clone(), begun.id);
        tasks.spawn(async move {
            let writes = vec![SagaWrite { expected: 0, row: begun }, SagaWrite { expected: 1, row: next }];
            (n, id, store.commit(writing(writes)).await)
        });
    }
    let mut won = Vec::new();
    for (n, begun, result) in tasks.join_all().await {
        assert_eq!(read(&store, begun).await.is_some(), result.is_ok(), "a unit is written as a whole");
        match result {
            Ok(_) => {
                assert_eq!(read(&store, known[n % 10].id).await.map(|row| (row.version, row.state)), Some((2, n.to_string())));
                won.push(n % 10);
            }
            Err(error) => assert_eq!(error, StoreError::SagaMoved { id: known[n % 10].id, expected: 1, actual: 2 }),
        }
    }
    won.sort_unstable();
    assert_eq!(won, (0..10).collect::<Vec<_>>(), "one advances each of them");
}

#[allow(missing_docs)]
pub async fn executions_are_as_they_were_written(store: SharedStore) {
    let long = "ü".repeat(256);
    for key in ["", " ", "Größe'; DROP TABLE sagas; --", r#"\ " \u0000 $1 ?1"#, "null", "{}", "\u{10ffff}\n\t", &long] {
        let row = SagaRow { saga: format!("S {key}"), status: key.to_owned(), definition: key.to_owned(), ..row("", Some(key)) };
        write(&store, 0, &row).await.expect("a new one");
        assert_eq!(store.saga_of_key(&row.saga, key).await.expect("it is read"), Some(row.clone()));
        let second = SagaRow { id: Uuid::now_v7(), ..row.clone() };
        assert_eq!(write(&store, 0, &second).await, Err(StoreError::SagaExists { saga: row.saga, key: key.to_owned() }));
    }
    let state = serde_json::to_string(&"ä\u{0}\"'\\\u{10ffff}".repeat(100_000)).expect("JSON");
    let big = SagaRow { state, wake: Some(at(-1)), ..row("Pay", None) };
    write(&store, 0, &big).await.expect("a new one");
    assert!(read(&store, big.id).await == Some(big.clone()), "it is as it was written");
    let next = SagaRow { state: format!("[{}]", big.state), wake: None, ended: true, version: 2, ..big };
    write(&store, 1, &next).await.expect("the version fits");
    assert!(read(&store, next.id).await == Some(next), "it is as it was written");
    assert_eq!(store.saga_wakes(10).await.expect("they are read"), [], "it waits for nothing any more");
}

#[allow(missing_docs)]
pub async fn one_of_many_advances_an_execution(store: SharedStore) {
    let known = row("Pay", None);
    write(&store, 0, &known).await.expect("a new one");
    let mut tasks = JoinSet::new();
    for n in 0..20 {
        let (store, known) = (store.clone(), known.clone());
        tasks.spawn(async move {
            let next = SagaRow { version: 2, state: n.to_string(), ..known };
            let keyed = row("Keyed", Some("the same"));
            (write(&store, 1, &next).await.is_ok(), write(&store, 0, &keyed).await.is_ok())
        });
    }
    let all = tasks.join_all().await;
    assert_eq!((all.iter().filter(|(moved, _)| *moved).count(), all.iter().filter(|(_, keyed)| *keyed).count()), (1, 1));
}

#[allow(missing_docs)]
pub async fn executions_are_found(store: SharedStore) {
    let mut all = Vec::new();
    for (n, saga) in ["A", "B", "A", "A"].into_iter().enumerate() {
        let ended = n == 2;
        let wake = (!ended).then(|| at(10 - n as i64));
        let status = if ended { "committed" } else { "running" };
        let row = SagaRow { status: status.to_owned(), ended, wake, started_at: at(n as i64), changed_at: at(n as i64), ..row(saga, None) };
        write(&store, 0, &row).await.expect("a new one");
        all.push(row);
    }
    let list = async |saga: Option<&str>, status: Option<&str>, after, limit| {
        let filter = SagaFilter { saga: saga.map(str::to_owned), status: status.map(str::to_owned) };
        store.sagas(filter, after, limit).await.expect("they are read").into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    let ids = |places: &[usize]| places.iter().map(|n| all[*n].id).collect::<Vec<_>>();
    assert_eq!(list(None, None, None, 10).await, ids(&[0, 1, 2, 3]));
    assert_eq!(list(Some("A"), None, None, 2).await, ids(&[0, 2]));
    assert_eq!(list(Some("A"), None, Some(all[2].id), 2).await, ids(&[3]));
    assert_eq!(list(Some("A"), Some("running"), None, 10).await, ids(&[0, 3]));
    assert_eq!(list(None, Some("running"), Some(all[0].id), 1).await, ids(&[1]));
    assert_eq!(list(None, Some("nothing"), None, 10).await, ids(&[]));
    assert_eq!(list(None, None, Some(all[1].id), 10).await, ids(&[2, 3]));
    assert_eq!(list(None, None, Some(Uuid::max()), 10).await, ids(&[]));
    let wakes = async |limit| store.saga_wakes(limit).await.expect("they are read");
    assert_eq!(wakes(2).await, [(at(7), all[3].id), (at(9), all[1].id)]);
    store.wake_saga(all[3].id, 2, at(20)).await.expect("nothing happens");
    store.wake_saga(all[2].id, 1, at(1)).await.expect("nothing happens to one that has ended");
    store.wake_saga(all[1].id, 1, at(30)).await.expect("it is put off");
    assert_eq!(wakes(10).await, [(at(7), all[3].id), (at(10), all[0].id), (at(30), all[1].id)]);
    let since = async |after, limit| store.live_sagas(after, limit).await.expect("they are read");
    assert_eq!(since(at(-1), 10).await, [(at(0), all[0].id), (at(1), all[1].id), (at(3), all[3].id)], "one has ended");
    assert_eq!(since(at(0), 1).await, [(at(1), all[1].id)]);
    assert_eq!(since(at(3), 10).await, []);
    let live = |saga: &str, executions| LiveDefinition { saga: saga.to_owned(), definition: "abc".to_owned(), executions };
    assert_eq!(store.live_definitions().await.expect("they are read"), [live("A", 2), live("B", 1)]);
    assert_eq!(store.forget_sagas(at(2)).await.expect("nothing is that old"), 0);
    assert_eq!(store.forget_sagas(at(100)).await.expect("one has ended"), 1);
    assert_eq!(list(None, None, None, 10).await, ids(&[0, 1, 3]));
}

fn marked(key: &str, becomes: StepMark, answer: &str) -> Unit {
    let handled = Handled::Step { key: key.to_owned(), becomes, answer: answer.to_owned() };
    Unit { mark: Some(Mark { subscriber: "reader".into(), handled, lane: None }), ..unit() }
}

fn is_duplicate<T>(result: StoreResult<T>) -> bool {
    matches!(result, Err(StoreError::Duplicate { .. }))
}

#[allow(missing_docs)]
pub async fn a_step_is_settled_once(store: SharedStore) {
    let step = |becomes, answer| marked("saga 1/pay", becomes, answer);
    let known = async || {
        let row = store.handled("reader", "saga 1/pay").await.expect("it is read").expect("it is there");
        (row.version, row.answer)
    };
    store.commit(step(StepMark::Answered(2), "no")).await.expect("the first answer");
    assert!(is_duplicate(store.commit(step(StepMark::Done(1), "yes")).await), "it comes too late");
    assert!(is_duplicate(store.commit(step(StepMark::Done(2), "yes")).await), "it was answered");
    assert_eq!(known().await, (2, Some("no".to_owned())));
    assert_eq!(store.forget_answers(Timestamp::MAX).await, Ok(0));
    assert_eq!(known().await, (2, Some("no".to_owned())), "nothing is forgotten");
    let mut tasks = JoinSet::new();
    for _ in 0..10 {
        let store = store.clone();
        tasks.spawn(async move { store.commit(marked("saga 1/pay", StepMark::Done(3), "yes")).await.is_ok() });
    }
    assert_eq!(tasks.join_all().await.into_iter().filter(|done| *done).count(), 1);
    assert_eq!(known().await, (SETTLED, Some("yes".to_owned())));
    assert_eq!(store.forget_answers(Timestamp::MAX).await, Ok(0));
    let open = StepMark::Open { attempt: 9, ask_at: at(1) };
    for late in [StepMark::Done(4), StepMark::Answered(9), open, StepMark::Never, StepMark::Asked { ask_at: at(1) }, StepMark::Ended] {
        assert!(is_duplicate(store.commit(step(late, "again")).await), "it is settled");
    }
    assert_eq!(known().await, (SETTLED, Some("yes".to_owned())));
    assert_eq!(store.open_steps(Timestamp::MAX, None, 10).await, Ok(vec![]));
}

#[allow(missing_docs)]
pub async fn a_step_is_open_until_its_end_is_heard(store: SharedStore) {
    let open = async |by, after: Option<&OpenStep>, limit| {
        let steps = store.open_steps(by, after, limit).await.expect("they are read");
        assert!(steps.iter().all(|step| step.subscriber == "reader"));
        steps
    };
    let keys = |steps: &[OpenStep]| steps.iter().map(|step| step.key.clone()).collect::<Vec<_>>();
    for (key, ask_at) in [("c", 5), ("a", 7), ("b", 5), ("d", 9)] {
        store.commit(marked(key, StepMark::Answered(1), "no")).await.expect("the first attempt");
        let done = StepMark::Open { attempt: 2, ask_at: at(ask_at) };
        store.commit(marked(key, done, "yes")).await.expect("the second one");
        for late in [StepMark::Answered(3), StepMark::Done(3), done, StepMark::Never] {
            assert!(is_duplicate(store.commit(marked(key, late, "again")).await), "{late:?}: it is done");
        }
    }
    store.commit(marked("e", StepMark::Done(1), "yes")).await.expect("it keeps nothing");
    assert_eq!(keys(&open(at(8), None, 10).await), ["b", "c", "a"]);
    assert_eq!(keys(&open(Timestamp::MAX, None, 2).await), ["b", "c"]);
    assert_eq!(open(at(4), None, 10).await, []);
    let all = open(at(9), None, 10).await;
    assert_eq!(all[0], OpenStep { subscriber: "reader".to_owned(), key: "b".to_owned(), ask_at: at(5), answer: "yes".to_owned() });
    assert_eq!(keys(&open(at(9), Some(&all[0]), 2).await), ["c", "a"]);
    assert_eq!(open(at(9), all.last(), 10).await, []);
    // Asked for, it is open as before.
    store.commit(marked("b", StepMark::Asked { ask_at: at(20) }, "yes")).await.expect("it is open");
    assert_eq!(store.handled("reader", "b").await.expect("it is read").map(|row| row.version), Some(OPEN));
    assert_eq!(keys(&open(at(20), None, 10).await), ["c", "a", "d", "b"]);
    // One of many hears it.
    let mut tasks = JoinSet::new();
    for _ in 0..10 {
        let store = store.clone();
        tasks.spawn(async move { store.commit(marked("c", StepMark::Ended, "applied")).await.is_ok() });
    }
    assert_eq!(tasks.join_all().await.into_iter().filter(|done| *done).count(), 1);
    assert!(is_duplicate(store.commit(marked("c", StepMark::Asked { ask_at: at(1) }, "yes")).await), "its end was heard");
    assert_eq!(store.handled("reader", "c").await, Ok(Some(InboxRow { version: SETTLED, answer: Some("applied".to_owned()) })));
    assert_eq!(keys(&open(Timestamp::MAX, None, 10).await), ["a", "d", "b"]);
}
