//! What could not be handled: put aside with its cause, and with what comes after it of the same key, until the operator decides.

use super::{Dispatcher, relay};
use crate::{
    context::{Environment, store_error},
    error::{Error, Result},
    handler::{HandlerDef, Job, Kept, Kind, Response},
    message::{Envelope, MessageKind, dead_letter_topic},
    projection::Projections,
    store::{Cause, DeadLetter, NewDeadLetter, SharedStore, StoreError, StoreResult, Unit},
    sync::lock,
};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard},
};
use uuid::Uuid;

const PAGE: usize = 500;
/// The name of what is told of a dead letter.
const NOTICE: &str = "DeadLetter";

/// The keys that are parked, each with its subscriber: what is known of the store's dead letters. The store refuses what is done on knowledge
/// that another replica, or another task, has made old.
pub(super) struct Parked {
    keys: Mutex<HashSet<(String, String)>>,
    /// Replays take turns, so that none handles what another one is handling.
    replaying: tokio::sync::Mutex<()>,
}

impl Parked {
    pub(super) async fn load(store: &SharedStore) -> StoreResult<Self> {
        let keys = store.parked().await?.into_iter().collect();
        Ok(Parked { keys: Mutex::new(keys), replaying: tokio::sync::Mutex::default() })
    }

    fn keys(&self) -> MutexGuard<'_, HashSet<(String, String)>> {
        lock(&self.keys)
    }

    /// How many keys are parked.
    pub(super) fn count(&self) -> i64 {
        self.keys().len() as i64
    }

    /// Whether messages of this key wait. Most often nothing is parked, and nobody has to say who subscribes.
    pub(super) fn holds(&self, subscriber: impl FnOnce() -> String, key: &str) -> bool {
        let keys = self.keys();
        !keys.is_empty() && keys.contains(&(subscriber(), key.to_owned()))
    }

    pub(super) fn park(&self, subscriber: String, key: String) {
        self.keys().insert((subscriber, key));
    }

    pub(super) fn release(&self, subscriber: &str, key: &str) {
        self.keys().remove(&(subscriber.to_owned(), key.to_owned()));
    }
}

pub(super) fn letter(subscriber: &str, key: &str, message: &Envelope, cause: &str, attempts: u32) -> NewDeadLetter {
    NewDeadLetter {
        subscriber: subscriber.to_owned(),
        key: key.to_owned(),
        topic: message.topic.clone(),
        headers: message.headers(),
        content: message.content.to_vec(),
        cause: cause.to_owned(),
        attempts,
    }
}

/// What others are told of a dead letter, on the topic that a service has for it: the letter as JSON. The table keeps it all; a content that is no
/// text, or too large for the broker, is only in the table.
pub(super) fn notice(environment: &Environment, letter: &NewDeadLetter, cause: &Cause, at: Timestamp) -> Envelope {
    let NewDeadLetter { subscriber, key, topic, headers, content, cause: why, attempts } = letter;
    let headers: Value = serde_json::from_str(headers).unwrap_or(Value::Null);
    let tell = |content: Option<&str>| {
        json!({ "subscriber": subscriber, "key": key, "topic": topic, "headers": headers, "content": content, "cause": why, "attempts": attempts })
            .to_string()
    };
    let mut told = tell(std::str::from_utf8(content).ok());
    if environment.fits(NOTICE, told.len()).is_err() {
        told = tell(None);
    }
    let id = Uuid::new_v5(&cause.causation, format!("{NOTICE} {subscriber}").as_bytes());
    let topic = dead_letter_topic(&environment.service);
    Envelope { kind: MessageKind::Event, topic, ..Envelope::request(id, NOTICE, Some(key.clone()), told, at, cause.clone()) }
}

/// What a repetition of a dead letter is answered: nothing, by nobody.
pub(super) fn unanswered() -> String {
    Response::new(StatusCode::INTERNAL_SERVER_ERROR).store(Kept::default()).unwrap_or_default()
}

fn missing(id: u64) -> Error {
    Error::not_found(format!("there is no dead letter {id}"))
}

/// The operator's hands on what a service could not handle.
#[derive(Clone)]
pub struct DeadLetters {
    dispatcher: Dispatcher,
    projections: Projections,
}

impl DeadLetters {
    /// The dead letters of a service, and of its projections, which put aside what they cannot take.
    pub fn new(dispatcher: Dispatcher, projections: Projections) -> Self {
        DeadLetters { dispatcher, projections }
    }

    fn store(&self) -> &SharedStore {
        &self.dispatcher.state().runner.environment().store
    }

    fn release(&self, subscriber: &str, key: &str) {
        let state = self.dispatcher.state();
        state.parked.release(subscriber, key);
        state.metrics().parked_keys.set(state.parked.count());
    }

    /// All dead letters, oldest first.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn list(&self) -> Result<Vec<DeadLetter>> {
        self.all(None).await
    }

    /// At most `limit` dead letters with a number above `after`, oldest first.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn page(&self, after: u64, limit: usize) -> Result<Vec<DeadLetter>> {
        self.store().dead_letters(None, after, limit).await.map_err(store_error)
    }

    /// The dead letter of this number.
    ///
    /// # Errors
    /// If there is none, or the store does not answer.
    pub async fn get(&self, id: u64) -> Result<DeadLetter> {
        self.page(id.saturating_sub(1), 1).await?.into_iter().find(|letter| letter.id == id).ok_or_else(|| missing(id))
    }

    async fn all(&self, of: Option<(&str, &str)>) -> Result<Vec<DeadLetter>> {
        let mut all: Vec<DeadLetter> = Vec::new();
        loop {
            let page = self.store().dead_letters(of, all.last().map_or(0, |letter| letter.id), PAGE).await.map_err(store_error)?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    /// Handles a dead letter and what waits behind it, in order, and then lets the key flow again. Returns how many were handled.
    ///
    /// # Errors
    /// The error of the first that fails again. It and the rest stay where they are.
    pub async fn replay(&self, id: u64) -> Result<usize> {
        let NewDeadLetter { subscriber, key, .. } = self.get(id).await?.letter;
        let state = self.dispatcher.state();
        let _turn = state.parked.replaying.lock().await;
        // What the relay put aside was never sent.
        let is_taken = Projections::is_theirs(&subscriber);
        let def = if subscriber == relay::NAME || is_taken { None } else { Some(self.handler(&subscriber)?) };
        let mut handled = 0;
        // Others may come in behind while these are handled: until there are none, the key stays parked.
        loop {
            let waiting = self.all(Some((&subscriber, &key))).await?;
            if waiting.is_empty() {
                self.release(&subscriber, &key);
                return Ok(handled);
            }
            for letter in waiting {
                let result = match def {
                    Some(def) => self.handle_again(def, letter).await,
                    None if is_taken => self.projections.replay(&letter).await,
                    None => self.send_again(letter).await,
                };
                match result {
                    Ok(()) => handled += 1,
                    // Another replica was faster.
                    Err(error) if matches!(error.downcast_ref(), Some(StoreError::Resolved(_))) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    async fn handle_again(&self, def: &'static HandlerDef, DeadLetter { id, letter, .. }: DeadLetter) -> Result<()> {
        let message = Envelope::of_parts(&letter.headers, letter.topic, None, letter.content.into())?;
        let request = self.dispatcher.state().admitted(def, &message)?;
        // The mark says already that it was handled: here it is the dead letter itself that makes it happen once.
        let job = Job { resolves: Some(id), ..Job::new(def, request) };
        self.dispatcher.state().runner.run(job).await.map(|_| ())
    }

    async fn send_again(&self, DeadLetter { id, letter, .. }: DeadLetter) -> Result<()> {
        let key = letter.key.strip_prefix(&format!("{}/", letter.topic)).map(str::to_owned);
        let message = Envelope::of_parts(&letter.headers, letter.topic, key, letter.content.into())?;
        let name = message.name.clone();
        let sent = self.dispatcher.state().broker.publish(message).await;
        sent.map_err(|error| Error::unavailable(format!("`{name}` could not be sent")).caused_by(error))?;
        self.resolve(id).await.map_err(store_error)
    }

    async fn resolve(&self, id: u64) -> StoreResult<()> {
        let cause = Cause::nobody();
        let mut unit = Unit::new(self.dispatcher.state().runner.environment().clock.now(), cause);
        unit.resolved.push(id);
        self.store().commit(unit).await.map(|_| ())
    }

    /// Drops a dead letter for good. The key flows again when nothing of it is left.
    ///
    /// # Errors
    /// If there is none of this number, or the store does not answer.
    pub async fn discard(&self, id: u64) -> Result<()> {
        let NewDeadLetter { subscriber, key, .. } = self.get(id).await?.letter;
        self.resolve(id).await.map_err(|error| match error {
            StoreError::Resolved(_) => missing(id),
            error => store_error(error),
        })?;
        if self.store().dead_letters(Some((&subscriber, &key)), 0, 1).await.map_err(store_error)?.is_empty() {
            self.release(&subscriber, &key);
        }
        Ok(())
    }

    fn handler(&self, subscriber: &str) -> Result<&'static HandlerDef> {
        let topics = &self.dispatcher.state().topics;
        let events = topics.subscriptions().map(|subscription| subscription.def);
        let requests = topics.requests().map(|(_, def)| def).filter(|def| def.kind == Kind::Command);
        let mut known = HashSet::new();
        let found = events.chain(requests).find(|def| known.insert(def.subscriber()) && def.subscriber() == subscriber);
        found.ok_or_else(|| {
            Error::not_found(format!(
                "the service has no handler `{subscriber}` any more: discard the dead letter, or bring the handler back under this name"
            ))
        })
    }
}
