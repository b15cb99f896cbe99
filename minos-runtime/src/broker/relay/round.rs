//! One round of the relay: from the checkpoint until something fails.
//!
//! Many messages are under way at once, and none is waited for alone. How far it has come is a checkpoint behind the last message that the broker
//! answers for without a gap, so a crash repeats some messages and loses none.

use super::{Failure, NAME, Relay, held::Held};
use crate::{
    broker::{BrokerError, BrokerResult, consume::lane, park, traced},
    failpoint,
    message::Envelope,
    stop::Stop,
    store::{Cause, Handled, Lease, Mark, NewDeadLetter, OutboxRow, StoreError, StoredEvent, Unit},
};
use futures_util::{
    FutureExt,
    future::BoxFuture,
    stream::{FuturesUnordered, StreamExt},
};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};
use uuid::Uuid;

/// How many messages are under way at once.
const WINDOW: usize = 1024;
/// How many bytes of them.
const WINDOW_BYTES: usize = 32 << 20;
/// How many rows are read at once.
const PAGE: usize = 256;
/// How long the end waits for what is under way.
const FINISH_WITHIN: Duration = Duration::from_secs(5);

/// Where a message comes from, with its number there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Log(u64),
    Outbox(u64),
}

/// A message under way, and what became of it.
type Sending = BoxFuture<'static, (Sent, BrokerResult)>;

/// What is known of a message under way.
struct Sent {
    origin: Origin,
    topic: String,
    size: usize,
    at: Timestamp,
}

/// What was handed over, by the leader of one lease.
pub(super) struct Round<'r> {
    relay: &'r Relay,
    lease: Lease,
    sending: FuturesUnordered<Sending>,
    /// The bytes of what is under way.
    bytes: usize,
    /// How much is under way of each topic.
    topics: HashMap<String, usize>,
    /// Topics that the broker refuses.
    held: Held,
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
            bytes: 0,
            topics: HashMap::new(),
            held: Held::default(),
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

    /// Whether no more should be under way for now.
    fn is_full(&self) -> bool {
        self.sending.len() >= WINDOW || self.bytes >= WINDOW_BYTES
    }

    /// Reads on and hands over, as far as the window allows. Returns whether there may be more.
    pub(super) async fn fill(&mut self) -> Result<bool, Failure> {
        if self.is_full() {
            return Ok(true);
        }
        let mut more = self.catch_up().await?;
        let carried = self.relay.broker.carried();
        let page = self.relay.store.log(self.read, PAGE, carried.as_deref()).await?;
        more |= page.events.len() == PAGE;
        for event in page.events {
            if !self.held.holds(&event.stream.aggregate) {
                self.send_event(event);
            }
        }
        self.read = page.read;
        let rows = self.relay.store.outbox(self.outbox_read, PAGE).await?;
        more |= rows.len() == PAGE;
        for row in rows {
            self.outbox_read = row.id;
            if !self.held.holds(&row.message.topic) {
                self.send_row(row).await?;
            }
        }
        if self.open.is_empty() && self.read > self.saved {
            self.touch();
        }
        if self.sending.is_empty() && self.held.is_empty() {
            self.relay.succeeded(Relay::SENDING);
        }
        self.measure();
        Ok(more)
    }

    /// Hands over what waits of a topic that was refused and is to be tried again, a page at a time and up to where the others were read; then it
    /// goes on with them. Returns whether there may be more.
    async fn catch_up(&mut self) -> Result<bool, Failure> {
        let topics = &self.topics;
        let Some((topic, held)) = self.held.catching_up(|topic| topics.contains_key(topic)) else { return Ok(false) };
        let (log, rows, log_end, rows_end) = (held.log, held.rows, self.read, self.outbox_read);
        let page = self.relay.store.log(log, PAGE, Some(std::slice::from_ref(&topic))).await?;
        let messages = self.relay.store.outbox(rows, PAGE).await?;
        let caught_up = page.read >= log_end && messages.last().is_none_or(|last| last.id >= rows_end);
        held.log = page.read.min(log_end);
        held.rows = messages.last().map_or(rows_end, |last| last.id).min(rows_end);
        for event in page.events.into_iter().filter(|event| event.position <= log_end) {
            self.send_event(event);
        }
        for row in messages.into_iter().filter(|row| row.id <= rows_end && row.message.topic == topic) {
            self.send_row(row).await?;
        }
        if caught_up {
            self.held.release(&topic);
        }
        Ok(true)
    }

    fn send_event(&mut self, event: StoredEvent) {
        if event.is_internal() {
            return;
        }
        self.open.insert(event.position, event.at);
        self.send(Origin::Log(event.position), Envelope::of_event(event));
    }

    async fn send_row(&mut self, row: OutboxRow) -> Result<(), Failure> {
        let origin = Origin::Outbox(row.id);
        match Envelope::of_row(row) {
            Ok(envelope) => {
                if let Origin::Outbox(id) = origin {
                    self.open_rows.insert(id, envelope.occurred_at);
                }
                self.send(origin, envelope);
                Ok(())
            }
            // It can never be sent, and must not keep the others from it.
            Err((error, row)) => Ok(self.put_aside(origin, row.message.id, unreadable(*row, error.chain())).await?),
        }
    }

    fn send(&mut self, origin: Origin, mut envelope: Envelope) {
        let sent = Sent { origin, topic: envelope.topic.clone(), size: envelope.content.len(), at: envelope.occurred_at };
        failpoint::pass(failpoint::RELAY_SEND_BEFORE, format_args!("{}", sent.topic));
        self.bytes += sent.size;
        *self.topics.entry(sent.topic.clone()).or_default() += 1;
        let mut span = traced::sending(&self.relay.spans, &mut envelope);
        let publishing = self.relay.broker.publish(envelope).map(move |result| {
            traced::end(&mut span, &result);
            drop(span);
            (sent, result)
        });
        self.sending.push(publishing.boxed());
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
        let save = self.unsaved_since.map(|since| since + self.relay.save_after);
        let (full, retry) = (self.is_full(), self.held.due(|topic| self.topics.contains_key(topic)));
        tokio::select! {
            biased;
            () = stop.said() => Ok(more),
            () = tokio::time::sleep_until(renew) => {
                self.measure();
                Ok(more)
            }
            Some((sent, result)) = self.sending.next(), if !self.sending.is_empty() => {
                self.answered(sent, result).await?;
                // What else has been answered for meanwhile is taken along.
                while let Some(Some((sent, result))) = self.sending.next().now_or_never() {
                    self.answered(sent, result).await?;
                }
                if self.held.is_empty() {
                    self.relay.succeeded(Relay::SENDING);
                }
                self.measure();
                // A topic that waited for the last of it may be read again.
                Ok(more || !self.held.is_empty())
            }
            () = tokio::time::sleep_until(save.unwrap_or(renew)), if save.is_some() => Ok(more),
            () = tokio::time::sleep_until(retry.unwrap_or(renew)), if retry.is_some() && !full => Ok(true),
            changed = changes.changed(), if !more || full => match changed {
                Ok(()) => Ok(true),
                Err(_) => Err(Failure::Store(StoreError::Closed)),
            },
            () = std::future::ready(()), if more && !full => Ok(true),
        }
    }

    /// Saves progress when it is time to. Not a part of [`wait`](Round::wait), where it would never have its turn under load.
    pub(super) async fn save_if_due(&mut self) -> Result<(), StoreError> {
        match self.unsaved_since {
            Some(since) if since.elapsed() >= self.relay.save_after => self.save().await,
            _ => Ok(()),
        }
    }

    async fn answered(&mut self, sent: Sent, result: BrokerResult) -> Result<(), Failure> {
        self.bytes -= sent.size;
        if let Some(count) = self.topics.get_mut(&sent.topic) {
            *count -= 1;
            if *count == 0 {
                self.topics.remove(&sent.topic);
            }
        }
        match result {
            Ok(()) => {
                failpoint::pass(failpoint::RELAY_SEND_AFTER, format_args!("{}", sent.topic));
                self.relay.metrics.relayed.inc();
                self.done(sent.origin);
                Ok(())
            }
            Err(error @ (BrokerError::NoHandler(_) | BrokerError::TooLarge { .. })) => {
                let Some(message) = self.read_again(sent.origin).await? else { return Ok(()) };
                tracing::error!(name = message.name, correlation = %message.correlation, %error, "put among the dead letters");
                let letter = park::letter(NAME, &lane(&message), &message, &error.to_string(), 1);
                Ok(self.put_aside(sent.origin, message.id, letter).await?)
            }
            Err(error @ BrokerError::Refused { .. }) => {
                self.hold(sent, &error);
                Ok(())
            }
            Err(error) => Err(Failure::Broker(error)),
        }
    }

    /// The broker refuses a topic: it waits, and the others go on.
    fn hold(&mut self, sent: Sent, error: &BrokerError) {
        let (log, rows) = match sent.origin {
            Origin::Log(position) => {
                self.open.remove(&position);
                (position - 1, self.outbox_read)
            }
            Origin::Outbox(id) => {
                self.open_rows.remove(&id);
                (self.read, id - 1)
            }
        };
        if let Some(failures) = self.held.refuse(&sent.topic, log, rows, sent.at) {
            self.held.retry_after(&sent.topic, self.relay.policy.pause(failures));
            self.relay.not_sent(error);
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
            while let Some((sent, result)) = self.sending.next().await {
                self.answered(sent, result).await?;
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
        let reached = self.open.first_key_value().map_or(self.read, |(first, _)| first - 1);
        self.held.reached().map_or(reached, |held| held.min(reached))
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
        failpoint::pass(failpoint::RELAY_SAVE_BEFORE, format_args!("{reached}"));
        self.relay.store.commit(unit).await?;
        failpoint::pass(failpoint::RELAY_SAVE_AFTER, format_args!("{reached}"));
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
        let mut unit = Unit::new(self.relay.clock.now(), Cause::nobody());
        unit.fence = Some(self.lease.clone());
        unit
    }

    fn measure(&self) {
        let metrics = &self.relay.metrics;
        metrics.relay_open.set(self.sending.len() as i64);
        let open = [&self.open, &self.open_rows].into_iter().filter_map(|open| open.first_key_value()).map(|(_, at)| *at);
        let oldest = open.chain(self.held.oldest()).min();
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
