//! One round of the relay: from the checkpoint until something fails.
//!
//! Many messages are under way at once, and none is waited for alone. How far it has come is a checkpoint behind the last message that the broker
//! answers for without a gap, so a crash repeats some messages and loses none.

use super::{Failure, NAME, Relay};
use crate::{
    broker::{BrokerError, BrokerResult, park},
    message::Envelope,
    stop::Stop,
    store::{Cause, Handled, Lease, Mark, NewDeadLetter, OutboxRow, StoreError, Unit},
};
use futures_util::{
    FutureExt,
    future::BoxFuture,
    stream::{FuturesUnordered, StreamExt},
};
use jiff::Timestamp;
use std::{collections::BTreeMap, time::Duration};
use tokio::{sync::watch, time::Instant};
use uuid::Uuid;

/// How many messages are under way at once.
const WINDOW: usize = 1024;
/// How many rows are read at once.
const PAGE: usize = 256;
/// How long progress may stay unsaved: one save for many messages. A crash repeats at most what was sent in it.
const SAVE_AFTER: Duration = Duration::from_millis(100);
/// How long the end waits for what is under way.
const FINISH_WITHIN: Duration = Duration::from_secs(5);

/// Where a message comes from, with its number there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Log(u64),
    Outbox(u64),
}

/// A message under way: where it came from, and what became of it.
type Sending = BoxFuture<'static, (Origin, BrokerResult)>;

/// What was handed over, by the leader of one lease.
pub(super) struct Round<'r> {
    relay: &'r Relay,
    lease: Lease,
    sending: FuturesUnordered<Sending>,
    /// Log positions that were handed over and not answered for, with the time of their events.
    open: BTreeMap<u64, Timestamp>,
    /// The same of outbox rows.
    open_rows: BTreeMap<u64, Timestamp>,
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

impl<'r> Round<'r> {
    pub(super) fn new(relay: &'r Relay, lease: Lease, saved: u64) -> Self {
        Round {
            relay,
            lease,
            sending: FuturesUnordered::new(),
            open: BTreeMap::new(),
            open_rows: BTreeMap::new(),
            read: saved,
            saved,
            outbox_read: 0,
            sent: Vec::new(),
            unsaved_since: None,
        }
    }

    pub(super) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Reads on and hands over, as far as the window allows. Returns whether there may be more.
    pub(super) async fn fill(&mut self) -> Result<bool, Failure> {
        if self.sending.len() >= WINDOW {
            return Ok(true);
        }
        let carried = self.relay.broker.carried();
        let page = self.relay.store.log(self.read, PAGE, carried.as_deref()).await?;
        let mut more = page.events.len() == PAGE;
        for event in page.events {
            self.open.insert(event.position, event.at);
            self.send(Origin::Log(event.position), Envelope::of_event(event));
        }
        self.read = page.read;
        let rows = self.relay.store.outbox(self.outbox_read, PAGE).await?;
        more |= rows.len() == PAGE;
        for row in rows {
            self.outbox_read = row.id;
            let origin = Origin::Outbox(row.id);
            match Envelope::of_row(row) {
                Ok(envelope) => {
                    self.open_rows.insert(self.outbox_read, envelope.occurred_at);
                    self.send(origin, envelope);
                }
                // It can never be sent, and must not keep the others from it.
                Err((error, row)) => self.put_aside(origin, row.message.id, unreadable(*row, error.chain())).await?,
            }
        }
        if self.open.is_empty() && self.read > self.saved {
            self.touch();
        }
        self.measure();
        Ok(more)
    }

    fn send(&mut self, origin: Origin, envelope: Envelope) {
        self.sending.push(self.relay.broker.publish(envelope).map(move |result| (origin, result)).boxed());
    }

    /// Waits until there is something to do: an answer of the broker, something new to read, progress to save, the lease to renew, or the end.
    /// Returns whether there may be more to read.
    pub(super) async fn wait(
        &mut self,
        changes: &mut watch::Receiver<u64>,
        stop: &Stop,
        more: bool,
        renew: Instant,
    ) -> Result<bool, Failure> {
        let save = self.unsaved_since.map(|since| since + SAVE_AFTER);
        let full = self.sending.len() >= WINDOW;
        tokio::select! {
            biased;
            () = stop.said() => Ok(more),
            () = tokio::time::sleep_until(renew) => {
                self.measure();
                Ok(more)
            }
            Some((origin, result)) = self.sending.next(), if !self.sending.is_empty() => {
                self.answered(origin, result).await?;
                // What else has been answered for meanwhile is taken along.
                while let Some(Some((origin, result))) = self.sending.next().now_or_never() {
                    self.answered(origin, result).await?;
                }
                self.relay.succeeded(Relay::SENDING);
                self.measure();
                Ok(more)
            }
            () = tokio::time::sleep_until(save.unwrap_or(renew)), if save.is_some() => Ok(self.save().await.map(|()| more)?),
            changed = changes.changed(), if !more || full => match changed {
                Ok(()) => Ok(true),
                Err(_) => Err(Failure::Store(StoreError::Closed)),
            },
            () = std::future::ready(()), if more && !full => Ok(true),
        }
    }

    async fn answered(&mut self, origin: Origin, result: BrokerResult) -> Result<(), Failure> {
        match result {
            Ok(()) => {
                self.relay.metrics.relayed.inc();
                self.done(origin);
                Ok(())
            }
            Err(error @ (BrokerError::NoHandler(_) | BrokerError::TooLarge { .. })) => {
                let Some(message) = self.read_again(origin).await? else { return Ok(()) };
                tracing::error!(name = message.name, correlation = %message.correlation, %error, "put among the dead letters");
                let key = format!("{}/{}", message.topic, message.id);
                Ok(self.put_aside(origin, message.id, park::letter(NAME, &key, &message, &error.to_string(), 1)).await?)
            }
            Err(error) => Err(Failure::Broker(error)),
        }
    }

    /// A message that was handed over, once more from the store.
    async fn read_again(&mut self, origin: Origin) -> Result<Option<Envelope>, StoreError> {
        let store = &self.relay.store;
        Ok(match origin {
            Origin::Log(position) => store.log(position - 1, 1, None).await?.events.pop().map(Envelope::of_event),
            Origin::Outbox(id) => store.outbox(id - 1, 1).await?.pop().and_then(|row| Envelope::of_row(row).ok()),
        })
    }

    fn done(&mut self, origin: Origin) {
        match origin {
            Origin::Log(position) => drop(self.open.remove(&position)),
            Origin::Outbox(id) => {
                self.open_rows.remove(&id);
                self.sent.push(id);
            }
        }
        self.touch();
    }

    /// Waits a while for the answers to what is under way, so that the next start does not send it again.
    pub(super) async fn finish(&mut self) -> Result<(), Failure> {
        let answers = async {
            while let Some((origin, result)) = self.sending.next().await {
                self.answered(origin, result).await?;
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
        self.open.first_key_value().map_or(self.read, |(first, _)| first - 1)
    }

    pub(super) async fn save(&mut self) -> Result<(), StoreError> {
        self.unsaved_since = None;
        let reached = self.reached().max(self.saved);
        let mut unit = self.unit();
        if reached > self.saved {
            unit.checkpoints.push((NAME.to_owned(), reached));
        }
        unit.sent = std::mem::take(&mut self.sent);
        if unit.checkpoints.is_empty() && unit.sent.is_empty() {
            return Ok(());
        }
        self.relay.store.commit(unit).await?;
        self.saved = reached;
        Ok(())
    }

    /// Puts a message that can never be sent among the dead letters, once.
    async fn put_aside(&mut self, origin: Origin, id: Uuid, letter: NewDeadLetter) -> Result<(), StoreError> {
        let mut unit = self.unit();
        unit.dead_letters.push(letter);
        unit.mark = Some(Mark {
            subscriber: NAME.into(),
            handled: Handled::Message { key: id.to_string(), answer: park::unanswered() },
            lane: None,
        });
        match self.relay.store.commit(unit).await {
            Ok(_) => _ = self.relay.metrics.dead_letters.inc(),
            Err(StoreError::Duplicate { .. }) => {}
            Err(error) => return Err(error),
        }
        self.done(origin);
        Ok(())
    }

    fn unit(&self) -> Unit {
        let mut unit = Unit::new(self.relay.clock.now(), Cause { correlation: Uuid::nil(), causation: Uuid::nil(), user: None });
        unit.fence = Some(self.lease.clone());
        unit
    }

    fn measure(&self) {
        let metrics = &self.relay.metrics;
        metrics.relay_open.set(self.sending.len() as i64);
        let oldest = [&self.open, &self.open_rows].into_iter().filter_map(|open| open.first_key_value()).map(|(_, at)| *at).min();
        metrics.relay_age.set(oldest.map_or(0.0, |at| self.relay.clock.now().duration_since(at).as_secs_f64().max(0.0)));
    }
}

/// The letter of an outbox row that is no message.
fn unreadable(row: OutboxRow, cause: String) -> NewDeadLetter {
    NewDeadLetter {
        subscriber: NAME.to_owned(),
        key: format!("{}/{}", row.message.topic, row.message.id),
        topic: row.message.topic,
        headers: row.message.headers,
        content: row.message.content.into_bytes(),
        cause,
        attempts: 1,
    }
}
