//! Between the store, where what is sensitive is sealed, and those who may read it.

use super::{Subjects, unusable};
use crate::{
    context::Environment,
    sensitive::{Known, NotSealed, Place, Seal, in_texts, is_marked, is_sealed, open, seal, subjects_of_marks, subjects_of_seals},
    store::{Committed, Document, NewKey, StoreError, StoreResult, StoredEvent, StreamId, Unit},
};
use std::borrow::Cow;
use uuid::Uuid;

/// How often a unit is sealed anew because others bring along keys for the same subjects.
const ATTEMPTS: u32 = 16;

fn place(stream: &StreamId) -> Place<'_> {
    Place { aggregate: &stream.aggregate, uuid: stream.uuid }
}

/// What is known of one of these.
fn one(subjects: &Subjects) -> impl Fn(Uuid) -> Known + '_ {
    |subject| subjects.get(&subject).cloned().unwrap_or(Known::Nothing)
}

impl Environment {
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
    pub(in crate::context) async fn write_sealed(&self, unit: Unit) -> StoreResult<Committed> {
        let forgotten = unit.forgotten.clone();
        let result = self.seal_and_write(unit).await;
        if !forgotten.is_empty() && result.as_ref().err().is_none_or(StoreError::is_outage) {
            self.keys.differ(&forgotten);
        }
        result
    }

    async fn seal_and_write(&self, unit: Unit) -> StoreResult<Committed> {
        if !has_marks(&unit) {
            return self.write_as_is(unit).await;
        }
        let mut attempt = 1;
        loop {
            let mut sealed = unit.clone();
            self.seal(&mut sealed).await?;
            match self.write_as_is(sealed).await {
                // Somebody else was first to write about a subject, or has forgotten it meanwhile; what the store knows is asked for anew.
                Err(StoreError::KeyExists(_) | StoreError::Forgotten(_)) if attempt < ATTEMPTS => attempt += 1,
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
        // Not what is remembered: what is written behind a forgetting must not be readable to anybody.
        let mut subjects = self.keys.now(&self.store, subjects).await?;
        unit.sealed_for.extend(subjects.iter().filter(|(_, known)| matches!(known, Known::Key(_))).map(|(subject, _)| *subject));
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
                event.data = sealed(is_internal, &event.data, place, false, &known).map_err(not_sealed)?;
                if let Err(error) = self.fits(&event.name, event.data.len()) {
                    return Err(StoreError::Unstorable(error.to_string()));
                }
            }
        }
        // What is made of a state is not what refuses to be written: who has loaded it before its subject was forgotten may change another field.
        let or_null = |text: &mut String, place: Place<'_>| {
            *text = sealed(false, text, place, true, &known).map_err(not_sealed)?;
            Ok::<_, StoreError>(())
        };
        for write in &mut unit.documents {
            if let (Some(body), Ok(uuid)) = (write.body.as_mut().filter(|body| is_marked(body)), write.key.parse()) {
                or_null(body, Place { aggregate: &write.collection, uuid })?;
            }
        }
        for snapshot in unit.snapshots.iter_mut().filter(|snapshot| is_marked(&snapshot.state)) {
            or_null(&mut snapshot.state, place(&snapshot.stream))?;
        }
        Ok(())
    }
}

fn not_sealed(why: NotSealed) -> StoreError {
    match why {
        NotSealed::Forgotten(subject) => StoreError::Forgotten(subject),
        NotSealed::Shared => StoreError::Unstorable(
            "a sensitive value shares an object with other fields, by `#[serde(tag = …)]` or `#[serde(flatten)]`, so it cannot be sealed: give it a field of its own"
                .to_owned(),
        ),
    }
}

/// Whether something in a unit is to be sealed.
pub(in crate::context) fn has_marks(unit: &Unit) -> bool {
    texts(unit).any(|(_, text)| is_marked(text))
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
) -> std::result::Result<String, NotSealed> {
    if !is_internal {
        return seal(text, place, or_null, known);
    }
    let mut refused = None;
    let all = in_texts(text, &mut |content| match seal(content, place, or_null, known) {
        Ok(sealed) => sealed,
        Err(why) => {
            refused = Some(why);
            String::new()
        }
    });
    refused.map_or(Ok(all), Err)
}
