//! What is due: of all processes one looks after it, elected by a lease.

use super::{
    Manager, State,
    turn::{CLAIM, Turned},
};
use crate::{context::store_error, error::Result, health::Health, saga::Input, stop::Stop, store::Tenure, sync::lock};
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use std::{sync::Mutex, time::Duration};
use tokio::{sync::Notify, time::Instant};
use uuid::Uuid;

/// The name of the lease.
const LEASE: &str = "sagas";
/// How often the store is asked what is due: others may have put something there.
const LOOK: Duration = Duration::from_secs(1);
/// How many executions are asked for at once, and how many of them are worked on at once.
const PAGE: usize = 256;
const AT_ONCE: usize = 16;

/// The loop is well if it was successful within this time.
pub(super) fn expect(health: &Health) {
    health.expect_every(Manager::PART, Duration::from_secs(15));
    health.succeeded(Manager::PART);
}

/// Wakes who looks after what is due, if something is due earlier than it would look.
#[derive(Default)]
pub(super) struct Alarm {
    next: Mutex<Option<Timestamp>>,
    ring: Notify,
}

impl Alarm {
    /// Somebody has to look by then.
    pub(super) fn by(&self, due: Timestamp) {
        if lock(&self.next).is_some_and(|next| due < next) {
            self.ring.notify_one();
        }
    }
}

impl Manager {
    /// Looks after what is due until `stop` says so. Failures are told to [`Health`] and tried again.
    pub async fn run(self, health: Health, stop: Stop) {
        let mut tenure = Tenure::new(self.0.environment.store.clone(), LEASE);
        let mut beat = Instant::now();
        while !stop.was_said() {
            let pause = match self.0.round(&mut tenure, &mut beat).await {
                Ok(pause) => {
                    health.succeeded(Self::PART);
                    pause
                }
                Err(error) => {
                    if health.failed(Self::PART, error.chain()) {
                        tracing::error!(error = error.chain(), "sagas are not looked after");
                    }
                    LOOK
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.0.alarm.ring.notified() => {}
                () = stop.said() => {}
            }
        }
        tenure.give_back().await;
    }
}

impl State {
    /// Says what runs here, and does what is due, if this process is the one that does. How long to wait then.
    async fn round(&self, tenure: &mut Tenure, beat: &mut Instant) -> Result<Duration> {
        if beat.elapsed() > CLAIM / 3 {
            *beat = Instant::now();
            for (id, claim) in self.runs.all() {
                self.put_off(id, claim.version, claim.due).await?;
            }
        }
        if tenure.hold().await.map_err(store_error)?.is_none() {
            return Ok(LOOK);
        }
        loop {
            let wakes = self.environment.store.saga_wakes(PAGE).await.map_err(store_error)?;
            let now = self.environment.clock.now();
            let due: Vec<_> = wakes.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id).collect();
            if due.is_empty() {
                let next = wakes.first().map(|(at, _)| *at);
                let pause = next.and_then(|at| Duration::try_from(at.duration_since(now)).ok()).map_or(LOOK, |pause| pause.min(LOOK));
                *lock(&self.alarm.next) = Some(next.unwrap_or(Timestamp::MAX));
                return Ok(pause);
            }
            let looks: Vec<Result<()>> = stream::iter(due).map(|id| self.look(id)).buffer_unordered(AT_ONCE).collect().await;
            for look in looks {
                look?;
            }
        }
    }

    /// Looks at an execution whose time has come.
    async fn look(&self, id: Uuid) -> Result<()> {
        match self.turn(id, |_, _| Ok(Input::Due)).await? {
            // Nothing is due: whoever ran one of its steps has not said so for long.
            Some(Turned::Same(_)) => self.resume(id).await,
            Some(Turned::Committed) | None => Ok(()),
        }
    }
}
