//! Executions that do not end in time: each is told once.

use super::State;
use crate::{
    context::store_error,
    error::Result,
    metrics::AlarmLabels,
    saga::Execution,
    store::{Cause, Lease, SagaRow, Unit},
};
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// Who tells, among the checkpoints: up to the beginning of which execution all that were too old were told, in microseconds.
const NAME: &str = "sagas that are too old";
/// How often it is looked for them, unless they are to be told earlier.
const LOOK: Duration = Duration::from_secs(10);
/// How many are read at once.
const PAGE: usize = 256;

/// When to look next.
pub(super) struct Ages(Instant);

impl Ages {
    pub(super) fn new() -> Self {
        Ages(Instant::now())
    }
}

impl State {
    /// Tells how old the oldest execution is that is under way, and which ones have come to be too old, under the lease of who looks after what is due.
    pub(super) async fn tell_ages(&self, ages: &mut Ages, lease: &Lease) -> Result<()> {
        if Instant::now() < ages.0 {
            return Ok(());
        }
        ages.0 = Instant::now() + LOOK.min(self.alarm_after);
        let (store, now) = (&self.environment.store, self.environment.clock.now());
        let oldest = store.live_sagas(Timestamp::UNIX_EPOCH, 1).await.map_err(store_error)?;
        self.environment.metrics.saga_age.set(oldest.first().map_or(0.0, |(began, _)| age(*began, now).as_secs_f64()));
        let mut limit = PAGE;
        loop {
            let told = Timestamp::from_microsecond(number(store.checkpoint(NAME).await.map_err(store_error)?)).unwrap_or(Timestamp::MAX);
            let mut page = store.live_sagas(told, limit).await.map_err(store_error)?;
            let is_all = page.len() < limit;
            if !is_all && let Some((last, _)) = page.last().copied() {
                // There may be more of the last one's time, and the checkpoint knows none between them.
                page.retain(|(began, _)| *began < last);
                if page.is_empty() {
                    limit = limit.saturating_mul(2);
                    continue;
                }
            }
            let read = page.len();
            page.retain(|(began, _)| age(*began, now) >= self.alarm_after);
            let Some((last, _)) = page.last().copied() else { return Ok(()) };
            for (_, id) in &page {
                if let Some(row) = store.saga(*id).await.map_err(store_error)?.filter(|row| !row.ended) {
                    self.tell_age(&row, now);
                }
            }
            // Who dies before this lets the next one tell them again: better twice than never.
            let mut unit = Unit::new(now, Cause::nobody());
            unit.checkpoints.push((NAME.to_owned(), u64::try_from(last.as_microsecond()).unwrap_or_default()));
            unit.fence = Some(lease.clone());
            self.environment.commit(unit).await.map_err(store_error)?;
            if is_all || page.len() < read {
                return Ok(());
            }
        }
    }

    fn tell_age(&self, row: &SagaRow, now: Timestamp) {
        let SagaRow { id, saga, status, .. } = row;
        let steps = serde_json::from_str::<Execution>(&row.state).map(|execution| open_steps(&execution)).unwrap_or_default();
        let (seconds, correlation) = (age(row.started_at, now).as_secs(), row.cause.correlation);
        tracing::error!(saga, execution = %id, %correlation, status, seconds, steps, "a saga has not ended in time, which is `sagas.alarm_after`");
        self.environment.metrics.saga_alarms.get_or_create(&AlarmLabels { saga: saga.clone(), step: String::new(), why: "age" }).inc();
    }
}

/// The steps at which it is.
fn open_steps(execution: &Execution) -> String {
    let open = execution.steps.iter().filter(|(_, step)| step.status.doing().is_some()).map(|(name, _)| name.as_str());
    open.collect::<Vec<_>>().join(", ")
}

fn age(began: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(began)).unwrap_or_default()
}

fn number(checkpoint: u64) -> i64 {
    i64::try_from(checkpoint).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::kit::{row, world};
    use super::*;
    use crate::store::{SagaWrite, Store};

    /// More than a page of one time, and two pages of others.
    #[tokio::test]
    async fn each_that_is_too_old_is_told_once() {
        let (manager, store, lease) = world(Duration::from_secs(3600)).await;
        let (state, now) = (&manager.0, manager.0.environment.clock.now());
        let began = |seconds: u64| now - Duration::from_secs(seconds);
        let mut unit = Unit::new(now, Cause::nobody());
        let times = (0..PAGE + 10).map(|_| 9000).chain((0..2 * PAGE as u64).map(|n| 8000 - n)).chain([100, 10]);
        let mut add = |seconds, ended| {
            let row = SagaRow { started_at: began(seconds), ended, ..row() };
            unit.sagas.push(SagaWrite { expected: 0, row });
        };
        times.for_each(|seconds| add(seconds, false));
        add(9500, true);
        store.commit(unit).await.unwrap();
        let told = || {
            let text = manager.0.environment.metrics.text();
            let line =
                text.lines().find_map(|line| line.strip_prefix(r#"minos_saga_alarms_total{service="x",saga="Ask",step="",why="age"} "#));
            line.map_or(0, |count| count.parse::<usize>().unwrap())
        };
        state.tell_ages(&mut Ages::new(), &lease).await.unwrap();
        assert_eq!(told(), PAGE + 10 + 2 * PAGE);
        assert!(manager.0.environment.metrics.text().contains(r#"minos_saga_oldest_seconds{service="x"} 900"#));
        // Also by the next process that looks.
        state.tell_ages(&mut Ages::new(), &lease).await.unwrap();
        assert_eq!(told(), PAGE + 10 + 2 * PAGE);
        let other = Lease { epoch: lease.epoch - 1, ..lease.clone() };
        let late = SagaRow { started_at: began(3700), ..row() };
        store.commit(Unit { sagas: vec![SagaWrite { expected: 0, row: late }], ..Unit::new(now, Cause::nobody()) }).await.unwrap();
        assert!(state.tell_ages(&mut Ages::new(), &other).await.is_err(), "it does not look after them any more");
        let before = told();
        state.tell_ages(&mut Ages::new(), &lease).await.unwrap();
        assert_eq!(told(), before + 1);
    }

    #[tokio::test]
    async fn it_is_looked_again_after_a_while() {
        let (manager, _, lease) = world(Duration::from_secs(3600)).await;
        let mut ages = Ages::new();
        let first = ages.0;
        manager.0.tell_ages(&mut ages, &lease).await.unwrap();
        assert!(ages.0 >= first + LOOK);
        let next = ages.0;
        manager.0.tell_ages(&mut ages, &lease).await.unwrap();
        assert_eq!(ages.0, next);
    }
}
