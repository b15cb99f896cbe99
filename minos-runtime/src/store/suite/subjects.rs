//! Keys of subjects: each has one, until it is forgotten.

use super::{appending, stream, unit, versions};
use crate::store::{NewKey, SharedStore, StoreError, StoreResult, SubjectKey, Unit};
use tokio::task::JoinSet;
use uuid::Uuid;

async fn give(store: &SharedStore, subject: Uuid, key: &[u8]) -> StoreResult<()> {
    store.commit(Unit { new_keys: vec![NewKey { subject, key: key.to_vec() }], ..unit() }).await.map(|_| ())
}

#[allow(missing_docs)]
pub async fn a_subject_has_one_key_until_it_is_forgotten(store: SharedStore) {
    let (ada, bob, nobody) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    give(&store, ada, &[0, 255, 7]).await.expect("it has none");
    give(&store, bob, &[1]).await.expect("it has none");
    assert_eq!(give(&store, ada, &[9]).await, Err(StoreError::KeyExists(ada)));
    assert!(StoreError::KeyExists(ada).kind().is_transient() && !StoreError::Forgotten(ada).kind().is_transient());
    let known = |key: &[u8]| SubjectKey::Known(key.to_vec());
    let mut keys = store.keys_of(&[bob, nobody, ada, ada]).await.expect("they are read");
    keys.sort_by_key(|(subject, _)| *subject);
    assert_eq!(keys, [(ada, known(&[0, 255, 7])), (bob, known(&[1]))]);
    assert_eq!(store.keys_of(&[]).await, Ok(vec![]));
    let forget = async |subject| store.commit(Unit { forgotten: vec![subject], ..unit() }).await.expect("it is forgotten, or was");
    forget(ada).await;
    let first = store.keys_of(&[ada]).await;
    forget(ada).await;
    assert_eq!(store.keys_of(&[ada]).await, first, "it is forgotten once");
    forget(nobody).await;
    let forgotten = store.keys_of(&[ada]).await.expect("it is read");
    assert!(matches!(forgotten[..], [(subject, SubjectKey::Forgotten(_))] if subject == ada), "{forgotten:?}");
    assert_eq!(give(&store, ada, &[9]).await, Err(StoreError::Forgotten(ada)), "for ever");
    assert_eq!(store.keys_of(&[bob]).await, Ok(vec![(bob, known(&[1]))]));
    assert_eq!(give(&store, nobody, &[2]).await, Err(StoreError::Forgotten(nobody)), "also of whom nothing was known");
    let (twice, stream) = (NewKey { subject: Uuid::now_v7(), key: vec![1] }, stream());
    let refused = Unit { new_keys: vec![twice.clone(), twice], ..unit() };
    assert!(matches!(store.commit(refused).await, Err(StoreError::Unstorable(_))));
    let refused = Unit { new_keys: vec![NewKey { subject: bob, key: vec![1] }], ..appending(&stream, 0, &["E"]) };
    assert_eq!(store.commit(refused).await.map(|_| ()), Err(StoreError::KeyExists(bob)));
    assert!(versions(&store, &stream).await.is_empty());
}

/// What is encrypted is stored as long as somebody can read it.
#[allow(missing_docs)]
pub async fn what_is_sealed_needs_its_keys(store: SharedStore) {
    let (ada, bob, carol, stream) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7(), stream());
    give(&store, ada, &[1]).await.expect("it has none");
    give(&store, bob, &[2]).await.expect("it has none");
    let sealed = |expected, sealed_for: &[Uuid]| Unit { sealed_for: sealed_for.to_vec(), ..appending(&stream, expected, &["Told"]) };
    let with_new = Unit { new_keys: vec![NewKey { subject: carol, key: vec![3] }], ..sealed(0, &[ada, bob]) };
    store.commit(with_new.clone()).await.expect("all have keys, or get them");
    assert_eq!(store.commit(Unit { appends: vec![], ..with_new }).await.map(|_| ()), Err(StoreError::KeyExists(carol)));
    store.commit(Unit { forgotten: vec![bob], ..sealed(1, &[bob]) }).await.expect("it has one until then");
    assert_eq!(store.commit(sealed(2, &[ada, bob, carol])).await.map(|_| ()), Err(StoreError::Forgotten(bob)));
    let nobody = Uuid::now_v7();
    assert_eq!(store.commit(sealed(2, &[nobody])).await.map(|_| ()), Err(StoreError::Forgotten(nobody)), "who never had one");
    let other = Unit { sealed_for: vec![bob], ..appending(&super::stream(), 0, &["Told"]) };
    assert_eq!(store.commit(other).await.map(|_| ()), Err(StoreError::Forgotten(bob)), "in a stream that is new, too");
    assert_eq!(versions(&store, &stream).await, [1, 2]);
    store.commit(sealed(2, &[ada, carol])).await.expect("these are there");
}

/// Who is forgotten while many write about them is readable in nothing that comes behind it.
#[allow(missing_docs)]
pub async fn a_forgetting_stands_between_what_is_before_it_and_nothing_behind(store: SharedStore) {
    let ada = Uuid::now_v7();
    give(&store, ada, &[1]).await.expect("it has none");
    let mut tasks = JoinSet::new();
    for n in 0..20 {
        let (store, stream) = (store.clone(), stream());
        tasks.spawn(async move {
            if n == 10 {
                return store.commit(Unit { forgotten: vec![ada], ..unit() }).await.map(|_| 0);
            }
            store.commit(Unit { sealed_for: vec![ada], ..appending(&stream, 0, &["Told"]) }).await.map(|done| done.position)
        });
    }
    let results = tasks.join_all().await;
    assert!(results.iter().filter_map(|result| result.as_ref().err()).all(|error| *error == StoreError::Forgotten(ada)), "{results:?}");
    assert!(matches!(store.keys_of(&[ada]).await.as_deref(), Ok([(_, SubjectKey::Forgotten(_))])));
    let late = Unit { sealed_for: vec![ada], ..appending(&stream(), 0, &["Told"]) };
    assert_eq!(store.commit(late).await.map(|_| ()), Err(StoreError::Forgotten(ada)));
}

/// Many find that a subject has no key, and each brings one along.
#[allow(missing_docs)]
pub async fn of_many_one_gives_the_key(store: SharedStore) {
    let subject = Uuid::now_v7();
    let mut tasks = JoinSet::new();
    for n in 0..20_u8 {
        let store = store.clone();
        tasks.spawn(async move { (n, give(&store, subject, &[n]).await) });
    }
    let results = tasks.join_all().await;
    let given: Vec<_> = results.iter().filter(|(_, result)| result.is_ok()).map(|(n, _)| *n).collect();
    assert_eq!(given.len(), 1);
    assert!(results.iter().filter_map(|(_, result)| result.as_ref().err()).all(|error| *error == StoreError::KeyExists(subject)));
    assert_eq!(store.keys_of(&[subject]).await, Ok(vec![(subject, SubjectKey::Known(given))]));
}

/// What is forgotten with a unit is forgotten if it is committed, and not otherwise.
#[allow(missing_docs)]
pub async fn a_unit_forgets_with_all_that_it_does(store: SharedStore) {
    let (ada, bob, stream) = (Uuid::now_v7(), Uuid::now_v7(), stream());
    give(&store, ada, &[1]).await.expect("it has none");
    give(&store, bob, &[2]).await.expect("it has none");
    let forgetting = |expected| Unit { forgotten: vec![ada], ..appending(&stream, expected, &["Told"]) };
    assert!(matches!(store.commit(forgetting(1)).await, Err(StoreError::Conflict { .. })));
    assert_eq!(store.keys_of(&[ada]).await, Ok(vec![(ada, SubjectKey::Known(vec![1]))]), "nothing of it happened");
    store.commit(forgetting(0)).await.expect("it is committed");
    assert_eq!(versions(&store, &stream).await, [1]);
    let keys = store.keys_of(&[ada, bob]).await.expect("they are read");
    assert!(keys.iter().any(|(subject, key)| *subject == ada && matches!(key, SubjectKey::Forgotten(_))), "{keys:?}");
    assert!(keys.contains(&(bob, SubjectKey::Known(vec![2]))), "{keys:?}");
    assert_eq!(give(&store, ada, &[9]).await, Err(StoreError::Forgotten(ada)), "for ever");
    // Also what was never known, and what the same unit brings along.
    let (nobody, carol) = (Uuid::now_v7(), Uuid::now_v7());
    let new_keys = vec![NewKey { subject: carol, key: vec![3] }];
    store.commit(Unit { new_keys, forgotten: vec![ada, nobody, carol], ..unit() }).await.expect("it is committed");
    assert_eq!(give(&store, nobody, &[9]).await, Err(StoreError::Forgotten(nobody)));
    assert_eq!(give(&store, carol, &[9]).await, Err(StoreError::Forgotten(carol)));
}
