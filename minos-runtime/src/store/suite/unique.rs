//! Unique values: who has them, and who gets them.

use super::{appending, stream, unit, versions};
use crate::store::{SharedStore, StoreError, StoreResult, UniqueWrite, Unit};
use std::collections::HashMap;
use tokio::task::JoinSet;
use uuid::Uuid;

fn write(uuid: Uuid, value: &str, takes: bool) -> UniqueWrite {
    UniqueWrite { aggregate: "Foo".into(), field: "name".into(), value: format!("\"{value}\""), uuid, takes }
}

fn writing(writes: &[UniqueWrite]) -> Unit {
    Unit { unique: writes.to_vec(), ..unit() }
}

async fn commit(store: &SharedStore, writes: &[UniqueWrite]) -> StoreResult<()> {
    store.commit(writing(writes)).await.map(|_| ())
}

async fn owner(store: &SharedStore, value: &str) -> Option<Uuid> {
    store.owner_of("Foo", "name", &format!("\"{value}\"")).await.expect("it is read")
}

fn taken(value: &str, owner: Uuid) -> StoreResult<()> {
    Err(StoreError::NotUnique { aggregate: "Foo".to_owned(), field: "name".to_owned(), value: format!("\"{value}\""), owner })
}

#[allow(missing_docs)]
pub async fn a_value_has_one_owner(store: SharedStore) {
    let (ada, bob) = (Uuid::now_v7(), Uuid::now_v7());
    commit(&store, &[write(ada, "x", true)]).await.expect("it is free");
    commit(&store, &[write(ada, "x", true)]).await.expect("it has it");
    assert_eq!(commit(&store, &[write(bob, "x", true)]).await, taken("x", ada));
    assert_eq!((owner(&store, "x").await, owner(&store, "y").await), (Some(ada), None));
    let error = commit(&store, &[write(bob, "x", true)]).await.expect_err("it is taken");
    assert!(!error.kind().is_transient() && !error.is_outage(), "trying again does not help");
    for (aggregate, field) in [("Bar", "name"), ("Foo", "title")] {
        let other = UniqueWrite { aggregate: aggregate.into(), field: field.into(), ..write(bob, "x", true) };
        commit(&store, &[other]).await.expect("something else is called so");
    }
    commit(&store, &[write(bob, "x", false)]).await.expect("it is not the one that has it");
    assert_eq!(owner(&store, "x").await, Some(ada), "and releases nothing");
    commit(&store, &[write(ada, "y", true), write(ada, "x", false)]).await.expect("it is renamed");
    commit(&store, &[write(bob, "x", true)]).await.expect("it is free");
    assert_eq!((owner(&store, "x").await, owner(&store, "y").await), (Some(bob), Some(ada)));
    commit(&store, &[write(ada, "x", true), write(bob, "x", false), write(bob, "y", true), write(ada, "y", false)])
        .await
        .expect("all are released before any is taken");
    assert_eq!((owner(&store, "x").await, owner(&store, "y").await), (Some(ada), Some(bob)));
    commit(&store, &[write(ada, "x", true), write(ada, "x", false)]).await.expect("it keeps it");
    assert_eq!(owner(&store, "x").await, Some(ada));
    assert_eq!(commit(&store, &[write(ada, "new", true), write(bob, "new", true)]).await, taken("new", ada), "in one unit");
    let long = write(ada, &"x".repeat(3000), true);
    assert!(matches!(commit(&store, &[long]).await, Err(StoreError::Unstorable(_))));
}

#[allow(missing_docs)]
pub async fn a_refused_unit_takes_and_releases_nothing(store: SharedStore) {
    let (ada, bob, free) = (Uuid::now_v7(), Uuid::now_v7(), stream());
    commit(&store, &[write(ada, "x", true), write(bob, "y", true)]).await.expect("they are free");
    let refused = Unit { unique: vec![write(bob, "y", false), write(bob, "x", true)], ..appending(&free, 0, &["E"]) };
    assert_eq!(store.commit(refused).await.map(|_| ()), taken("x", ada));
    assert_eq!((owner(&store, "y").await, versions(&store, &free).await), (Some(bob), Vec::new()));
    store.commit(appending(&free, 0, &["E"])).await.expect("a new stream");
    let refused = Unit { unique: vec![write(bob, "x", true)], ..appending(&free, 0, &["E"]) };
    assert!(matches!(store.commit(refused).await, Err(StoreError::Conflict { .. })), "what is outdated is told first");
    let refused = Unit { unique: vec![write(bob, "y", false), write(ada, "z", true)], ..appending(&free, 0, &["E"]) };
    assert!(store.commit(refused).await.is_err());
    assert_eq!((owner(&store, "y").await, owner(&store, "z").await), (Some(bob), None));
}

/// Of many that want one value at once, one gets it, and the others leave nothing behind; beside them others are committed.
#[allow(missing_docs)]
pub async fn of_many_one_gets_a_value(store: SharedStore) {
    let mut tasks = JoinSet::new();
    for n in 0..60_u32 {
        let (store, stream) = (store.clone(), stream());
        tasks.spawn(async move {
            let value = if n % 3 == 0 { format!("its own {n}") } else { format!("shared {}", n % 3) };
            let unit = Unit { unique: vec![write(stream.uuid, &value, true)], ..appending(&stream, 0, &["E"]) };
            let result = store.commit(unit).await.map(|_| ());
            let events = versions(&store, &stream).await.len();
            (value, stream.uuid, result, events)
        });
    }
    let mut owners = HashMap::new();
    for (value, uuid, result, events) in tasks.join_all().await {
        assert_eq!(events, usize::from(result.is_ok()));
        match result {
            Ok(()) => assert!(owners.insert(value, uuid).is_none(), "nobody else had it"),
            Err(error) => assert!(matches!(error, StoreError::NotUnique { .. }) && value.starts_with("shared"), "{value}: {error}"),
        }
    }
    assert_eq!(owners.len(), 22);
    for (value, uuid) in owners {
        assert_eq!(owner(&store, &value).await, Some(uuid));
    }
}

/// Many hand a few values on, in all directions: nobody waits in a circle, and no value ever has two owners or is lost.
#[allow(missing_docs)]
pub async fn values_change_hands(store: SharedStore) {
    let values: Vec<String> = (0..6).map(|n| n.to_string()).collect();
    let mut tasks = JoinSet::new();
    for n in 0..24 {
        let (store, values, me) = (store.clone(), values.clone(), Uuid::now_v7());
        tasks.spawn(async move {
            let mut mine: Option<String> = None;
            for round in 0..12 {
                let wanted = &values[(n * 5 + round * 7) % values.len()];
                let mut writes = vec![write(me, wanted, true)];
                writes.extend(mine.as_ref().filter(|mine| *mine != wanted).map(|mine| write(me, mine, false)));
                match commit(&store, &writes).await {
                    Ok(()) => mine = Some(wanted.clone()),
                    Err(StoreError::NotUnique { owner, .. }) => assert_ne!(owner, me),
                    Err(error) => panic!("{error}"),
                }
                if let Some(mine) = &mine {
                    assert_eq!(owner(&store, mine).await, Some(me), "what one has nobody takes");
                }
                if round % 3 == 2
                    && let Some(mine) = mine.take()
                {
                    commit(&store, &[write(me, &mine, false)]).await.expect("released");
                }
            }
            mine.map(|mine| (mine, me))
        });
    }
    let mut have = HashMap::new();
    for (value, uuid) in tasks.join_all().await.into_iter().flatten() {
        assert!(have.insert(value, uuid).is_none(), "nobody has what another one has");
    }
    for value in &values {
        assert_eq!(owner(&store, value).await, have.get(value).copied());
    }
}
