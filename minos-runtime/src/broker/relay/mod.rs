//! Hands to the broker what the service has committed: the event log, which is the outbox of events, and the messages of the outbox.
//!
//! Of all processes of a service one relays, elected by a lease. What it saves is fenced by that lease: who lost it unnoticed, because the
//! machine stood still, can repeat some messages and change nothing.

mod held;
mod round;
#[cfg(test)]
mod tests;
#[cfg(any(test, feature = "testing"))]
mod unsent;

#[cfg(any(test, feature = "testing"))]
pub(crate) use unsent::unsent;

use super::{Broker, BrokerError, RetryPolicy};
use crate::{
    clock::Clock,
    health::Health,
    metrics::Metrics,
    stop::Stop,
    store::{Lease, SharedStore, StoreError, Tenure},
    telemetry::Spans,
};
use round::Round;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// The name of the lease, of the checkpoint in the log, and of who put aside what could not be sent.
pub(super) const NAME: &str = "relay";
/// How long progress may stay unsaved: one save for many messages. A crash repeats at most what was sent in it.
const SAVE_AFTER: Duration = Duration::from_millis(100);
/// How often a process that does not relay looks whether it is to take over.
const LOOK: Duration = Duration::from_secs(1);

/// The relay of one service.
pub struct Relay {
    store: SharedStore,
    broker: Arc<dyn Broker>,
    clock: Arc<dyn Clock>,
    health: Health,
    metrics: Metrics,
    policy: RetryPolicy,
    save_after: Duration,
    spans: Spans,
}

/// Why a round of the relay ended.
enum Failure {
    Store(StoreError),
    Broker(BrokerError),
    /// Another process relays now.
    Replaced,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Fenced(_) => Failure::Replaced,
            error => Failure::Store(error),
        }
    }
}

impl Relay {
    /// The name of this part in [`Health`]: whether the store can be read and progress be saved.
    pub const PART: &'static str = "relay";
    /// The name of this part in [`Health`]: whether the broker takes what is sent. Commands succeed without.
    pub const SENDING: &'static str = "sending";

    /// A relay from this store to this broker.
    pub fn new(
        store: SharedStore,
        broker: Arc<dyn Broker>,
        clock: Arc<dyn Clock>,
        health: Health,
        metrics: Metrics,
        policy: RetryPolicy,
    ) -> Self {
        // Each renewal of the lease, and each look for it, tells that the loop runs.
        health.expect_every(Self::PART, Duration::from_secs(10));
        health.expect(Self::SENDING, false);
        Relay { store, broker, clock, health, metrics, policy, save_after: SAVE_AFTER, spans: Spans::default() }
    }

    /// The same for who looks at the store to see whether all is sent: progress is saved at once.
    #[must_use]
    pub(crate) fn saving_at_once(self) -> Self {
        Relay { save_after: Duration::ZERO, ..self }
    }

    /// The same, which tells how long messages are on their way to the broker.
    #[must_use]
    pub(crate) fn traced(self, spans: Spans) -> Self {
        Relay { spans, ..self }
    }

    /// Relays, or stands by for the process that does, until `stop` says so. Failures are told to [`Health`] and tried again.
    pub async fn run(self, stop: Stop) {
        let (mut tenure, mut failures) = (Tenure::new(self.store.clone(), NAME), 0);
        while !stop.was_said() {
            let before = Instant::now();
            let result = self.turn(&mut tenure, &stop).await;
            self.metrics.relay_leads.set(0);
            self.metrics.relay_open.set(0);
            self.metrics.relay_age.set(0.0);
            if stop.was_said() {
                break;
            }
            // A round that went well for a while was no failure after failure.
            failures = if before.elapsed() > Duration::from_secs(60) { 1 } else { failures + 1 };
            let pause = match result {
                Ok(()) => LOOK,
                Err(failure) => {
                    if matches!(failure, Failure::Broker(_)) {
                        // Another process may reach the broker.
                        tenure.give_back().await;
                    }
                    self.failed(failure);
                    self.policy.pause(failures)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.said() => {}
            }
        }
        tenure.give_back().await;
    }

    /// Relays for as long as the lease is held and all goes well; returns at once if another process holds it.
    async fn turn(&self, tenure: &mut Tenure, stop: &Stop) -> Result<(), Failure> {
        let Some(lease) = tenure.hold().await?.cloned() else {
            self.succeeded(Self::PART);
            self.succeeded(Self::SENDING);
            return Ok(());
        };
        self.metrics.relay_leads.set(1);
        self.round(tenure, lease, stop).await
    }

    async fn round(&self, tenure: &mut Tenure, lease: Lease, stop: &Stop) -> Result<(), Failure> {
        // Subscribed before the first look, so that nothing committed in between is missed.
        let mut changes = self.store.changes();
        let mut round = Round::new(self, lease, self.store.checkpoint(NAME).await?);
        let mut more = true;
        loop {
            if tenure.hold().await? != Some(round.lease()) {
                return Err(Failure::Replaced);
            }
            // Also when there is nothing to read: that the loop runs is what it tells.
            self.succeeded(Self::PART);
            round.save_if_due().await?;
            // An answer of the broker or a save brings nothing new to read.
            if more {
                changes.mark_unchanged();
                more = round.fill().await?;
            }
            let result = round.wait(&mut changes, stop, more, tenure.due()).await;
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

    fn succeeded(&self, part: &str) {
        if self.health.succeeded(part) {
            tracing::info!("messages are sent again");
        }
    }

    fn failed(&self, failure: Failure) {
        match failure {
            Failure::Replaced => tracing::info!("another process of the service sends its messages now"),
            Failure::Store(error) => {
                if self.health.failed(Self::PART, error.to_string()) {
                    tracing::error!(%error, "messages are not sent; will be tried again");
                }
            }
            Failure::Broker(error) => self.not_sent(&error),
        }
    }

    fn not_sent(&self, error: &BrokerError) {
        if self.health.failed(Self::SENDING, error.to_string()) {
            tracing::error!(%error, "messages are not sent; will be tried again");
        }
    }
}
