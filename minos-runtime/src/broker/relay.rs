//! Hands to the broker what the service has committed: the event log, which is the outbox of events, and the messages of the outbox.
//!
//! Many messages are under way at once, and none is waited for alone. How far it has come is a checkpoint behind the last message that the broker
//! answers for without a gap, so a crash repeats some messages and loses none.

use super::{Broker, BrokerError, RetryPolicy};
use crate::{
    clock::Clock,
    health::Health,
    message::{Envelope, MessageKind},
    stop::Stop,
    store::{Cause, NewDeadLetter, SharedStore, StoreError, Unit},
};
use futures_util::{
    future::BoxFuture,
    stream::{FuturesUnordered, StreamExt},
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::{sync::watch, time::Instant};
use uuid::Uuid;

/// The name of the checkpoint in the log.
const CHECKPOINT: &str = "relay";
/// How many messages are under way at once.
const WINDOW: usize = 1024;
/// How many rows are read at once.
const PAGE: usize = 256;
/// How long progress may stay unsaved: one save for many messages. A crash repeats at most what was sent in it.
const SAVE_AFTER: Duration = Duration::from_millis(100);

/// How long the end waits for what is under way.
const FINISH_WITHIN: Duration = Duration::from_secs(5);

/// The relay of one service.
pub struct Relay {
    store: SharedStore,
    broker: Arc<dyn Broker>,
    clock: Arc<dyn Clock>,
    health: Health,
    policy: RetryPolicy,
}

/// Why a round of the relay ended.
enum Failure {
    Store(StoreError),
    Broker(BrokerError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::Store(error)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Store(error) => error.fmt(f),
            Failure::Broker(error) => error.fmt(f),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Log,
    Outbox,
}

/// A message under way.
type Sending = BoxFuture<'static, (Source, u64, Result<(), Refused>)>;

/// Why a message was not taken, and the message, if it is one that can be refused for good.
type Refused = (BrokerError, Option<Envelope>);

/// One round: from a checkpoint until something fails.
struct Round<'r> {
    relay: &'r Relay,
    sending: FuturesUnordered<Sending>,
    /// Log positions that were handed over and not answered for.
    open: BTreeSet<u64>,
    /// How far the log was read.
    read: u64,
    /// How far the checkpoint was saved.
    saved: u64,
    /// How far the outbox was read.
    outbox_read: u64,
    /// Outbox rows that were sent and are still there.
    sent: Vec<u64>,
    unsaved_since: Option<Instant>,
}

impl Relay {
    /// The name of this part in [`Health`].
    pub const PART: &'static str = "relay";

    /// A relay from this store to this broker.
    pub fn new(store: SharedStore, broker: Arc<dyn Broker>, clock: Arc<dyn Clock>, health: Health, policy: RetryPolicy) -> Self {
        health.expect(Self::PART, true);
        Relay { store, broker, clock, health, policy }
    }

    /// Relays until `stop` says so. Failures are told to [`Health`] and tried again.
    pub async fn run(self, stop: Stop) {
        let mut failures = 0;
        while !stop.was_said() {
            let before = Instant::now();
            let Err(failure) = self.round(&stop).await else { return };
            if stop.was_said() {
                return;
            }
            // A round that went well for a while was no failure after failure.
            failures = if before.elapsed() > Duration::from_secs(60) { 1 } else { failures + 1 };
            if self.health.failed(Self::PART, failure.to_string()) {
                tracing::error!(error = %failure, "messages are not sent; will be tried again");
            }
            tokio::select! {
                () = tokio::time::sleep(self.policy.pause(failures)) => {}
                () = stop.said() => {}
            }
        }
    }

    async fn round(&self, stop: &Stop) -> Result<(), Failure> {
        // Subscribed before the first look, so that nothing committed in between is missed.
        let mut changes = self.store.changes();
        let saved = self.store.checkpoint(CHECKPOINT).await?;
        let mut round = Round {
            relay: self,
            sending: FuturesUnordered::new(),
            open: BTreeSet::new(),
            read: saved,
            saved,
            outbox_read: 0,
            sent: Vec::new(),
            unsaved_since: None,
        };
        let mut more = true;
        loop {
            // An answer of the broker or a save brings nothing new to read.
            if more {
                changes.mark_unchanged();
                more = round.fill().await?;
                self.succeeded();
            }
            let result = round.wait(&mut changes, stop, more).await;
            if stop.was_said() {
                return round.finish().await;
            }
            match result {
                Ok(found) => more = found,
                Err(failure) => {
                    // What was answered for needs not be sent again.
                    round.save().await?;
                    return Err(failure);
                }
            }
        }
    }

    fn succeeded(&self) {
        if self.health.succeeded(Self::PART) {
            tracing::info!("messages are sent again");
        }
    }
}

impl Round<'_> {
    /// Reads on and hands over, as far as the window allows. Returns whether there may be more.
    async fn fill(&mut self) -> Result<bool, Failure> {
        if self.sending.len() >= WINDOW {
            return Ok(true);
        }
        let carried = self.relay.broker.carried();
        let page = self.relay.store.log(self.read, PAGE, carried.as_deref()).await?;
        let mut more = page.events.len() == PAGE;
        for event in page.events {
            self.open.insert(event.position);
            self.send(Source::Log, event.position, Envelope::of_event(event));
        }
        self.read = page.read;
        let rows = self.relay.store.outbox(self.outbox_read, PAGE).await?;
        more |= rows.len() == PAGE;
        for row in rows {
            let id = row.id;
            self.outbox_read = id;
            match Envelope::of_row(row.clone()) {
                Ok(envelope) => self.send(Source::Outbox, id, envelope),
                Err(error) => {
                    // It can never be sent, and must not keep the others from it.
                    let letter = NewDeadLetter {
                        subscriber: CHECKPOINT.to_owned(),
                        key: format!("{}/{}", row.message.topic, row.message.id),
                        topic: row.message.topic,
                        headers: row.message.headers,
                        content: row.message.content.into_bytes(),
                        cause: error.chain(),
                        attempts: 1,
                    };
                    self.put_aside(id, letter).await?;
                }
            }
        }
        if self.open.is_empty() && self.read > self.saved {
            self.touch();
        }
        Ok(more)
    }

    fn send(&mut self, source: Source, id: u64, envelope: Envelope) {
        // Only a request can be refused for good, and then it is needed again.
        let kept = (envelope.kind == MessageKind::Request).then(|| envelope.clone());
        let publishing = self.relay.broker.publish(envelope);
        self.sending.push(Box::pin(async move { (source, id, publishing.await.map_err(|error| (error, kept))) }));
    }

    /// Waits until there is something to do: an answer of the broker, something new to read, progress to save, or the end. Returns whether
    /// there may be more to read.
    async fn wait(&mut self, changes: &mut watch::Receiver<u64>, stop: &Stop, more: bool) -> Result<bool, Failure> {
        let due = self.unsaved_since.map(|since| since + SAVE_AFTER);
        tokio::select! {
            biased;
            () = stop.said() => Ok(more),
            Some((source, id, result)) = self.sending.next(), if !self.sending.is_empty() => {
                self.answered(source, id, result).await?;
                // What else has been answered for meanwhile is taken along.
                while let Some(Some((source, id, result))) = futures_util::FutureExt::now_or_never(self.sending.next()) {
                    self.answered(source, id, result).await?;
                }
                Ok(more)
            }
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.save().await.map(|()| more).map_err(Failure::Store),
            changed = changes.changed(), if !more || self.sending.len() >= WINDOW => match changed {
                Ok(()) => Ok(true),
                Err(_) => Err(Failure::Store(StoreError::Closed)),
            },
            () = std::future::ready(()), if more && self.sending.len() < WINDOW => Ok(true),
        }
    }

    async fn answered(&mut self, source: Source, id: u64, result: Result<(), Refused>) -> Result<(), Failure> {
        match (source, result) {
            (Source::Log, Ok(())) => {
                self.open.remove(&id);
                self.touch();
            }
            (Source::Outbox, Ok(())) => {
                self.sent.push(id);
                self.touch();
            }
            (Source::Outbox, Err((error @ (BrokerError::NoHandler(_) | BrokerError::TooLarge { .. }), Some(message)))) => {
                tracing::error!(name = message.name, correlation = %message.correlation, %error, "put among the dead letters");
                let key = format!("{}/{}", message.topic, message.id);
                self.put_aside(id, super::park::letter(CHECKPOINT, &key, &message, &error.to_string(), 1)).await?;
            }
            (_, Err((error, _))) => return Err(Failure::Broker(error)),
        }
        Ok(())
    }

    /// Waits a while for the answers to what is under way, so that the next start does not send it again.
    async fn finish(&mut self) -> Result<(), Failure> {
        let answers = async {
            while let Some((source, id, result)) = self.sending.next().await {
                self.answered(source, id, result).await?;
            }
            Ok(())
        };
        let result = tokio::time::timeout(FINISH_WITHIN, answers).await.unwrap_or(Ok(()));
        self.save().await?;
        result
    }

    fn touch(&mut self) {
        self.unsaved_since.get_or_insert_with(Instant::now);
    }

    /// The position up to which the broker answers for all.
    fn reached(&self) -> u64 {
        self.open.first().map_or(self.read, |first| first - 1)
    }

    async fn save(&mut self) -> Result<(), StoreError> {
        self.unsaved_since = None;
        let reached = self.reached().max(self.saved);
        let mut unit = self.unit();
        if reached > self.saved {
            unit.checkpoints.push((CHECKPOINT.to_owned(), reached));
        }
        unit.sent = std::mem::take(&mut self.sent);
        if unit.is_empty() {
            return Ok(());
        }
        self.relay.store.commit(unit).await?;
        self.saved = reached;
        Ok(())
    }

    async fn put_aside(&mut self, id: u64, letter: NewDeadLetter) -> Result<(), StoreError> {
        let mut unit = self.unit();
        unit.dead_letters.push(letter);
        unit.sent.push(id);
        self.relay.store.commit(unit).await.map(|_| ())
    }

    fn unit(&self) -> Unit {
        Unit::new(self.relay.clock.now(), Cause { correlation: Uuid::nil(), causation: Uuid::nil(), user: None })
    }
}
