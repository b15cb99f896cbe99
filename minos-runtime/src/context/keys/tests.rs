//! What is stored, and what is read of it, while keys come and go.

use super::*;
use crate::{
    Sensitive, clock,
    context::{Environment, Resources},
    metrics::Metrics,
    sensitive::{is_marked, storing},
    store::{Cause, DocumentWrite, MemoryStore, NewEvent, NewSnapshot, Store, StreamId, Unit},
};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;

const ADA: Uuid = Uuid::from_u128(0xada);

fn stream() -> StreamId {
    StreamId::new("Person", ADA)
}

fn environment_of(store: &Arc<MemoryStore>) -> Environment {
    Environment::new("test", store.clone(), clock::system(), Resources::default(), Metrics::new("test")).remembering(1 << 20)
}

fn marked(value: &impl Serialize) -> String {
    let _storing = storing(None);
    serde_json::to_string(value).unwrap()
}

#[derive(Serialize)]
struct Person {
    name: Sensitive<&'static str>,
    city: &'static str,
}

fn ada() -> String {
    marked(&Person { name: Sensitive::new("Ada"), city: "London" })
}

fn unit(expected: u64, name: &'static str, data: String) -> Unit {
    let mut unit = Unit::new(Timestamp::UNIX_EPOCH, Cause::nobody());
    unit.append(&stream(), expected, vec![NewEvent { name: name.into(), data }]);
    unit
}

async fn read(environment: &Environment) -> Vec<String> {
    let mut events = environment.store.stream(stream(), 0).await.unwrap();
    environment.open_events(&mut events).await.unwrap();
    events.into_iter().map(|event| event.data).collect()
}

#[tokio::test]
async fn nothing_of_a_unit_is_stored_in_the_clear() {
    let store = Arc::new(MemoryStore::new());
    let environment = environment_of(&store);
    let mut all = unit(0, "PersonCreated", ada());
    let body = Some(ada());
    all.documents.push(DocumentWrite { collection: "Person".into(), key: ADA.to_string(), body, expected: None });
    all.snapshots.push(NewSnapshot { stream: stream(), version: 1, schema: "1".to_owned(), state: ada() });
    environment.commit(all).await.unwrap();
    let held = json!({ "execution": ADA, "prepared": [{ "name": "PersonUpdated", "data": ada() }] }).to_string();
    environment.commit(unit(1, "$held", held.clone())).await.unwrap();

    let stored = store.stream(stream(), 0).await.unwrap();
    let document = store.document("Person", &ADA.to_string()).await.unwrap().unwrap();
    let snapshot = store.load(stream()).await.unwrap().snapshot.unwrap();
    let remembered = environment.recent.events(&stream()).unwrap();
    let texts = stored.iter().chain(&remembered).map(|event| &event.data).chain([&document.body, &snapshot.state]);
    assert_eq!(texts.clone().count(), 6);
    for text in texts {
        assert!(!text.contains("Ada") && !is_marked(text) && text.contains("London"), "{text}");
    }
    // And all of it is read again, also by another process.
    for environment in [&environment, &environment_of(&store)] {
        let events = read(environment).await;
        assert_eq!(events[0], ada());
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&events[1]).unwrap(),
            serde_json::from_str::<serde_json::Value>(&held).unwrap()
        );
        let mut documents = [document.clone()];
        environment.open_documents("Person", &mut documents).await.unwrap();
        assert_eq!(documents[0].body, ada());
        assert_eq!(environment.open_content("Person", ADA, &snapshot.state).await.unwrap(), Some(ada()));
        assert_eq!(environment.open_content("Person", ADA, "{}").await.unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_is_not_read_here_and_soon_nowhere() {
    let store = Arc::new(MemoryStore::new());
    let (here, there) = (environment_of(&store), environment_of(&store));
    here.commit(unit(0, "PersonCreated", ada())).await.unwrap();
    for environment in [&here, &there] {
        assert_eq!(read(environment).await, [ada()]);
    }
    let forgotten = vec![ADA];
    here.commit(Unit { forgotten, ..Unit::new(Timestamp::UNIX_EPOCH, Cause::nobody()) }).await.unwrap();
    let gone = [r#"{"name":null,"city":"London"}"#];
    assert_eq!(read(&here).await, gone);
    tokio::time::advance(KEEP).await;
    assert_eq!(read(&there).await, gone);
    // Nothing is written of it any more, but for what is not of it.
    for environment in [&here, &there] {
        let refused = environment.commit(unit(1, "PersonUpdated", ada())).await;
        assert_eq!(refused, Err(StoreError::Forgotten(ADA)));
    }
    let mut other = unit(1, "PersonUpdated", r#"{"city":"York"}"#.to_owned());
    let body = Some(ada());
    other.documents.push(DocumentWrite { collection: "Person".into(), key: ADA.to_string(), body, expected: None });
    here.commit(other).await.unwrap();
    assert_eq!(store.document("Person", &ADA.to_string()).await.unwrap().unwrap().body, gone[0]);
}

/// Another process forgets somebody between the question for the key and the commit.
#[tokio::test]
async fn what_was_sealed_before_its_subject_was_forgotten_is_not_stored_behind_that() {
    let store = Arc::new(MemoryStore::new());
    let environment = environment_of(&store);
    environment.commit(unit(0, "PersonCreated", ada())).await.unwrap();
    let mut sealed = unit(1, "PersonUpdated", ada());
    environment.seal(&mut sealed).await.unwrap();
    store.commit(Unit { forgotten: vec![ADA], ..Unit::new(Timestamp::UNIX_EPOCH, Cause::nobody()) }).await.unwrap();
    assert_eq!(store.commit(sealed).await, Err(StoreError::Forgotten(ADA)));
}

/// The store was asked before somebody was forgotten, and its answer comes after that.
#[test]
fn what_is_told_late_is_not_remembered() {
    let (keys, (seal, _), mut wanted) = (Keys::default(), Seal::random().unwrap(), vec![ADA]);
    let (_, epoch) = keys.remembered(&mut wanted);
    keys.differ(&[ADA]);
    keys.remember(epoch, ADA, &Known::Key(seal.clone()), Instant::now());
    assert!(keys.remembered(&mut wanted).0.is_empty());
    let (_, epoch) = keys.remembered(&mut wanted);
    keys.remember(epoch, ADA, &Known::Nothing, Instant::now());
    assert!(keys.remembered(&mut wanted).0.is_empty(), "it may get one");
    keys.remember(epoch, ADA, &Known::Key(seal), Instant::now());
    assert!(matches!(keys.remembered(&mut wanted).0.get(&ADA), Some(Known::Key(_))));
}

#[tokio::test]
async fn what_is_too_long_when_it_is_sealed_is_refused() {
    use crate::{context::Courier, message::Envelope};
    struct Narrow;
    impl Courier for Narrow {
        fn ask(&self, _: Envelope) -> futures_util::future::BoxFuture<'_, Result<bytes::Bytes>> {
            Box::pin(async { Ok(bytes::Bytes::new()) })
        }

        fn max_message(&self) -> Option<usize> {
            Some(2048 + 60)
        }
    }
    let environment = environment_of(&Arc::new(MemoryStore::new()));
    environment.set_courier(Arc::new(Narrow));
    assert!(environment.fits("PersonCreated", ada().len()).is_ok());
    assert!(matches!(environment.commit(unit(0, "PersonCreated", ada())).await, Err(StoreError::Unstorable(_))));
}

#[tokio::test]
async fn keys_are_stored_under_the_master_key_for_ever() {
    let (store, master) = (Arc::new(MemoryStore::new()), "0f".repeat(32));
    let bare = environment_of(&store);
    bare.commit(unit(0, "PersonCreated", ada())).await.unwrap();
    bare.set_master_key("").await.unwrap();
    let wrong = bare.set_master_key("0f0f").await.unwrap_err().to_string();
    assert!(wrong.contains("64 hexadecimal digits") && !wrong.contains("0f"), "{wrong}");
    let with = environment_of(&store);
    with.set_master_key(&master).await.unwrap();
    assert_eq!(read(&with).await, [ada()], "keys from before are read");
    let other = StreamId::new("Person", Uuid::from_u128(7));
    let mut unit = Unit::new(Timestamp::UNIX_EPOCH, Cause::nobody());
    unit.append(&other, 0, vec![NewEvent { name: "PersonCreated".into(), data: ada() }]);
    with.commit(unit).await.unwrap();
    let keys = store.keys_of(&[ADA, other.uuid]).await.unwrap();
    let length = |subject| {
        keys.iter().find_map(|(of, key)| match key {
            SubjectKey::Known(bytes) if *of == subject => Some(bytes.len()),
            _ => None,
        })
    };
    assert_eq!((length(ADA), length(other.uuid)), (Some(32), Some(48)));
    let opened = async |environment: &Environment| {
        let mut events = store.stream(other.clone(), 0).await.unwrap();
        environment.open_events(&mut events).await.map(|()| events.remove(0).data)
    };
    let again = environment_of(&store);
    again.set_master_key(&format!(" {master}\n")).await.unwrap();
    assert_eq!(opened(&again).await, Ok(ada()));
    assert!(matches!(opened(&environment_of(&store)).await, Err(StoreError::Corrupt(_))));
    for wrong in ["", &"1f".repeat(32)] {
        assert!(environment_of(&store).set_master_key(wrong).await.unwrap_err().to_string().contains("`store.master_key` is"));
    }
}
