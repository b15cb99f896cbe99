//! Between the store, where what is sensitive is sealed, and those who may read it: keys of subjects, as this process knows them.

use super::{Environment, store_error};
use crate::{
    error::Result,
    sensitive::{Known, Place, Seal, in_texts, is_marked, is_sealed, open, seal, subjects_of_marks, subjects_of_seals},
    store::{Committed, Document, NewKey, SharedStore, StoreError, StoreResult, StoredEvent, StreamId, SubjectKey, Unit},
    sync::lock,
};
use quick_cache::unsync::Cache;
use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Mutex, OnceLock},
    time::Duration,
};
use tokio::time::Instant;
use uuid::Uuid;

/// How long a key is used without asking for it again: for as long, another process may go on to read what was forgotten.
const KEEP: Duration = Duration::from_secs(5);
/// How many subjects are remembered.
const SUBJECTS: usize = 10_000;
/// How often a unit is sealed anew because others bring along keys for the same subjects.
const ATTEMPTS: u32 = 16;

/// What is known of subjects.
type Subjects = HashMap<Uuid, Known>;

/// The keys that this process has asked for lately.
pub(crate) struct Keys {
    remembered: Mutex<Remembered>,
    /// With which keys are encrypted where they are stored.
    master: OnceLock<Seal>,
}

struct Remembered {
    subjects: Cache<Uuid, (Known, Instant)>,
    /// Raised with each subject that is forgotten: what was read before is not remembered then.
    epoch: u64,
}

impl Default for Keys {
    fn default() -> Self {
        Keys { remembered: Mutex::new(Remembered { subjects: Cache::new(SUBJECTS), epoch: 0 }), master: OnceLock::new() }
    }
}

impl Keys {
    /// What is known of these subjects: one question to the store for all of which nothing is remembered.
    async fn of(&self, store: &SharedStore, mut wanted: Vec<Uuid>) -> StoreResult<Subjects> {
        wanted.sort_unstable();
        wanted.dedup();
        let (mut found, epoch) = self.remembered(&mut wanted);
        if wanted.is_empty() {
            return Ok(found);
        }
        let (asked, mut read) = (Instant::now(), store.keys_of(&wanted).await?.into_iter().collect::<HashMap<_, _>>());
        for subject in wanted {
            let known = match read.remove(&subject) {
                Some(SubjectKey::Known(bytes)) => Known::Key(self.unwrap(subject, &bytes).ok_or_else(|| unusable(subject))?),
                Some(SubjectKey::Forgotten(_)) => Known::Forgotten,
                None => Known::Nothing,
            };
            self.remember(epoch, subject, &known, asked);
            found.insert(subject, known);
        }
        Ok(found)
    }

    /// What is remembered of these, which are not wanted any more then, and when that was.
    fn remembered(&self, wanted: &mut Vec<Uuid>) -> (Subjects, u64) {
        let (remembered, mut found) = (lock(&self.remembered), Subjects::with_capacity(wanted.len()));
        wanted.retain(|subject| match remembered.subjects.get(subject) {
            Some((known, since)) if since.elapsed() < KEEP => {
                found.insert(*subject, known.clone());
                false
            }
            _ => true,
        });
        (found, remembered.epoch)
    }

    fn remember(&self, epoch: u64, subject: Uuid, known: &Known, asked: Instant) {
        let mut remembered = lock(&self.remembered);
        // Somebody may have been forgotten since the store was asked. A subject without a key may get one at any time, here or in another process.
        if remembered.epoch == epoch && !matches!(known, Known::Nothing) {
            remembered.subjects.insert(subject, (known.clone(), asked));
        }
    }

    /// Keys are encrypted with this one from now on. Only the first call counts.
    pub(super) fn set_master(&self, master: Seal) {
        let _ = self.master.set(master);
    }

    /// A key as it is stored.
    fn wrap(&self, subject: Uuid, bytes: &[u8]) -> Option<Vec<u8>> {
        self.master.get().map_or_else(|| Some(bytes.to_vec()), |master| master.wrap(subject, bytes))
    }

    /// The key that is stored so. Those that were there before the master key are as they were.
    fn unwrap(&self, subject: Uuid, stored: &[u8]) -> Option<Seal> {
        Seal::of(stored).or_else(|| Seal::of(&self.master.get()?.unwrap(subject, stored)?))
    }

    /// Other keys may be there for these than those that are remembered, or none.
    fn differ(&self, subjects: &[Uuid]) {
        let mut remembered = lock(&self.remembered);
        remembered.epoch += 1;
        for subject in subjects {
            remembered.subjects.remove(subject);
        }
    }
}

fn unusable(subject: Uuid) -> StoreError {
    StoreError::Corrupt(format!("the key of the subject {subject} is none, or is encrypted with another `store.master_key`"))
}

fn place(stream: &StreamId) -> Place<'_> {
    Place { aggregate: &stream.aggregate, uuid: stream.uuid }
}

/// What is known of one of these.
fn one(subjects: &Subjects) -> impl Fn(Uuid) -> Known + '_ {
    |subject| subjects.get(&subject).cloned().unwrap_or(Known::Nothing)
}

impl Environment {
    /// Whether there is a key for a subject now.
    pub(super) async fn is_known(&self, subject: Uuid) -> Result<bool> {
        self.keys.differ(&[subject]);
        let known = self.keys.of(&self.store, vec![subject]).await.map_err(store_error)?;
        Ok(matches!(known.get(&subject), Some(Known::Key(_))))
    }

    /// Opens what is sealed in events, as far as it can be read here.
    pub(crate) async fn open_events(&self, events: &mut [StoredEvent]) -> StoreResult<()> {
        let subjects = self.subjects_of(events.iter()).await?;
        if !subjects.is_empty() {
            for event in events.iter_mut().filter(|event| is_sealed(&event.data)) {
                event.data = opened(event, &subjects);
            }
        }
        Ok(())
    }

    /// The same of one event.
    pub(crate) async fn opened<'e>(&self, event: &'e StoredEvent) -> StoreResult<Cow<'e, StoredEvent>> {
        let subjects = self.subjects_of(std::iter::once(event)).await?;
        if subjects.is_empty() {
            return Ok(Cow::Borrowed(event));
        }
        Ok(Cow::Owned(StoredEvent { data: opened(event, &subjects), ..event.clone() }))
    }

    /// What is known of all whose data is sealed in these. It is remembered, too: so who opens many events one by one asks first for all of them.
    pub(crate) async fn subjects_of(&self, events: impl Iterator<Item = &StoredEvent> + Send) -> StoreResult<Subjects> {
        let mut subjects = Vec::new();
        for event in events.filter(|event| is_sealed(&event.data)) {
            each_content(event.is_internal(), &event.data, &mut |content| subjects_of_seals(content, &mut subjects));
        }
        if subjects.is_empty() { Ok(Subjects::new()) } else { self.keys.of(&self.store, subjects).await }
    }

    /// Opens what is sealed in the documents of an aggregate.
    pub(crate) async fn open_documents(&self, aggregate: &str, documents: &mut [Document]) -> StoreResult<()> {
        let mut subjects = Vec::new();
        for document in documents.iter().filter(|document| is_sealed(&document.body)) {
            subjects_of_seals(&document.body, &mut subjects);
        }
        if subjects.is_empty() {
            return Ok(());
        }
        let subjects = self.keys.of(&self.store, subjects).await?;
        for document in documents.iter_mut().filter(|document| is_sealed(&document.body)) {
            if let Ok(uuid) = document.key.parse() {
                document.body = open(&document.body, Place { aggregate, uuid }, one(&subjects));
            }
        }
        Ok(())
    }

    /// Opens what is sealed in a content of this aggregate: an event that came from the broker, or a snapshot.
    pub(crate) async fn open_content(&self, aggregate: &str, uuid: Uuid, content: &str) -> StoreResult<Option<String>> {
        let mut subjects = Vec::new();
        if is_sealed(content) {
            subjects_of_seals(content, &mut subjects);
        }
        if subjects.is_empty() {
            return Ok(None);
        }
        let subjects = self.keys.of(&self.store, subjects).await?;
        Ok(Some(open(content, Place { aggregate, uuid }, one(&subjects))))
    }

    /// Commits a unit with all that is marked in it sealed; nothing else is left of it behind this.
    pub(super) async fn write_sealed(&self, unit: Unit) -> StoreResult<Committed> {
        let forgotten = unit.forgotten.clone();
        let result = self.seal_and_write(unit).await;
        if !forgotten.is_empty() && result.as_ref().err().is_none_or(StoreError::is_outage) {
            self.keys.differ(&forgotten);
        }
        result
    }

    async fn seal_and_write(&self, unit: Unit) -> StoreResult<Committed> {
        if !texts(&unit).any(|(_, text)| is_marked(text)) {
            return self.write_as_is(unit).await;
        }
        let mut attempt = 1;
        loop {
            let mut sealed = unit.clone();
            self.seal(&mut sealed).await?;
            match self.write_as_is(sealed).await {
                // Somebody else was first to write about this subject.
                Err(StoreError::KeyExists(subject)) if attempt < ATTEMPTS => {
                    self.keys.differ(&[subject]);
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    /// Seals all that is marked in a unit. A subject of which nothing was written yet gets a key with it.
    ///
    /// # Errors
    /// If an event holds data of a subject that was forgotten, or the store does not answer.
    pub(crate) async fn seal(&self, unit: &mut Unit) -> StoreResult<()> {
        let mut subjects = Vec::new();
        for (about, text) in texts(unit).filter(|(_, text)| is_marked(text)) {
            if let Some(place) = about.place() {
                each_content(about.is_internal(), text, &mut |content| subjects_of_marks(content, place, &mut subjects));
            }
        }
        let mut subjects = self.keys.of(&self.store, subjects).await?;
        for (subject, known) in subjects.iter_mut().filter(|(_, known)| matches!(known, Known::Nothing)) {
            let (key, bytes) = Seal::random().map_err(StoreError::Unavailable)?;
            *known = Known::Key(key);
            let key = self.keys.wrap(*subject, &bytes).ok_or_else(|| unusable(*subject))?;
            unit.new_keys.push(NewKey { subject: *subject, key });
        }
        let known = one(&subjects);
        for append in &mut unit.appends {
            let place = place(&append.stream);
            for event in append.events.iter_mut().filter(|event| is_marked(&event.data)) {
                let is_internal = event.name.starts_with('$');
                event.data = sealed(is_internal, &event.data, place, false, &known).map_err(StoreError::Forgotten)?;
                if let Err(error) = self.fits(&event.name, event.data.len()) {
                    return Err(StoreError::Unstorable(error.to_string()));
                }
            }
        }
        // What is made of a state is not what refuses to be written: who has loaded it before its subject was forgotten may change another field.
        let or_null = |text: &mut String, place: Place<'_>| {
            if let Ok(sealed) = sealed(false, text, place, true, &known) {
                *text = sealed;
            }
        };
        for write in &mut unit.documents {
            if let (Some(body), Ok(uuid)) = (write.body.as_mut().filter(|body| is_marked(body)), write.key.parse()) {
                or_null(body, Place { aggregate: &write.collection, uuid });
            }
        }
        for snapshot in unit.snapshots.iter_mut().filter(|snapshot| is_marked(&snapshot.state)) {
            or_null(&mut snapshot.state, place(&snapshot.stream));
        }
        Ok(())
    }
}

/// What a text of a unit is about.
enum About<'u> {
    Event(&'u StreamId, &'u str),
    Document(&'u str, &'u str),
    Snapshot(&'u StreamId),
}

impl<'u> About<'u> {
    fn place(&self) -> Option<Place<'u>> {
        match self {
            About::Event(stream, _) | About::Snapshot(stream) => Some(place(stream)),
            About::Document(collection, key) => Some(Place { aggregate: collection, uuid: key.parse().ok()? }),
        }
    }

    fn is_internal(&self) -> bool {
        matches!(self, About::Event(_, name) if name.starts_with('$'))
    }
}

/// The texts of a unit in which something may be marked.
fn texts(unit: &Unit) -> impl Iterator<Item = (About<'_>, &str)> {
    let events = unit
        .appends
        .iter()
        .flat_map(|append| append.events.iter().map(|event| (About::Event(&append.stream, &event.name), event.data.as_str())));
    let documents =
        unit.documents.iter().filter_map(|write| Some((About::Document(&write.collection, &write.key), write.body.as_deref()?)));
    let snapshots = unit.snapshots.iter().map(|snapshot| (About::Snapshot(&snapshot.stream), snapshot.state.as_str()));
    events.chain(documents).chain(snapshots)
}

/// An event of Minos itself keeps those that an isolated saga has prepared as texts.
fn each_content(is_internal: bool, text: &str, look: &mut dyn FnMut(&str)) {
    if !is_internal {
        return look(text);
    }
    in_texts(text, &mut |content| {
        look(content);
        content.to_owned()
    });
}

fn opened(event: &StoredEvent, subjects: &Subjects) -> String {
    let open = |content: &str| open(content, place(&event.stream), one(subjects));
    if event.is_internal() { in_texts(&event.data, &mut |content| open(content)) } else { open(&event.data) }
}

fn sealed(
    is_internal: bool,
    text: &str,
    place: Place<'_>,
    or_null: bool,
    known: &dyn Fn(Uuid) -> Known,
) -> std::result::Result<String, Uuid> {
    if !is_internal {
        return seal(text, place, or_null, known);
    }
    let mut refused = None;
    let all = in_texts(text, &mut |content| match seal(content, place, or_null, known) {
        Ok(sealed) => sealed,
        Err(subject) => {
            refused = Some(subject);
            String::new()
        }
    });
    refused.map_or(Ok(all), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Sensitive, clock,
        context::Resources,
        metrics::Metrics,
        sensitive::storing,
        store::{Cause, DocumentWrite, MemoryStore, NewEvent, NewSnapshot, Store},
    };
    use jiff::Timestamp;
    use serde::Serialize;
    use serde_json::json;
    use std::sync::Arc;

    const ADA: Uuid = Uuid::from_u128(0xada);

    fn stream() -> StreamId {
        StreamId::new("Person", ADA)
    }

    fn environment(store: &Arc<MemoryStore>) -> Environment {
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
        let environment = environment(&store);
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
        for environment in [&environment, &self::environment(&store)] {
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
        let (here, there) = (environment(&store), environment(&store));
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
        let environment = environment(&Arc::new(MemoryStore::new()));
        environment.set_courier(Arc::new(Narrow));
        assert!(environment.fits("PersonCreated", ada().len()).is_ok());
        assert!(matches!(environment.commit(unit(0, "PersonCreated", ada())).await, Err(StoreError::Unstorable(_))));
    }

    #[tokio::test]
    async fn keys_are_stored_under_the_master_key_for_ever() {
        let (store, master) = (Arc::new(MemoryStore::new()), "0f".repeat(32));
        let bare = environment(&store);
        bare.commit(unit(0, "PersonCreated", ada())).await.unwrap();
        bare.set_master_key("").await.unwrap();
        let wrong = bare.set_master_key("0f0f").await.unwrap_err().to_string();
        assert!(wrong.contains("64 hexadecimal digits") && !wrong.contains("0f"), "{wrong}");
        let with = environment(&store);
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
        let again = environment(&store);
        again.set_master_key(&format!(" {master}\n")).await.unwrap();
        assert_eq!(opened(&again).await, Ok(ada()));
        assert!(matches!(opened(&environment(&store)).await, Err(StoreError::Corrupt(_))));
        for wrong in ["", &"1f".repeat(32)] {
            assert!(environment(&store).set_master_key(wrong).await.unwrap_err().to_string().contains("`store.master_key` is"));
        }
    }
}
