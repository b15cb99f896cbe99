//! What is due: of all processes one looks after it, elected by a lease.

use super::{
    Manager, State,
    age::Ages,
    turn::{CLAIM, Turned, after, is_overtaken},
};
use crate::{
    context::{is_outage, store_error},
    error::{Error, Result},
    failpoint,
    health::Health,
    saga::Input,
    stop::Stop,
    store::{SagaRow, Tenure},
    sync::lock,
};
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
/// How long an execution that cannot go on is put off at most: what is wrong with it may be mended.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The loop is well if it was successful within this time.
pub(super) fn expect(health: &Health) {
    health.expect_every(Manager::PART, Duration::from_secs(15));
    health.succeeded(Manager::PART);
}

/// Wakes who looks after what is due, if something is due earlier than it would look.
#[derive(Default)]
pub(super) struct Alarm {
    next: Mutex<Option<Timestamp>>,
    pub(super) ring: Notify,
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
        let (mut beat, mut ages) = (Instant::now(), Ages::new());
        while !stop.was_said() {
            let pause = match self.0.round(&mut tenure, &mut beat, &mut ages).await {
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
        self.0.environment.metrics.saga_age.set(0.0);
        tenure.give_back().await;
    }
}

/// When to look again at an execution that cannot go on: after as long as it has not changed, which doubles each time, and within bounds.
fn later(row: &SagaRow, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(row.changed_at)).unwrap_or(LOOK).clamp(LOOK, LONGEST_PAUSE)
}

/// Does this about each of them, about some at once. An error is told when all are done.
async fn at_once<F>(executions: impl IntoIterator<Item = Uuid>, what: impl Fn(Uuid) -> F) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let done: Vec<Result<()>> = stream::iter(executions).map(what).buffer_unordered(AT_ONCE).collect().await;
    done.into_iter().collect()
}

impl State {
    /// Says what runs here, and does what is due, if this process is the one that does. How long to wait then.
    async fn round(&self, tenure: &mut Tenure, beat: &mut Instant, ages: &mut Ages) -> Result<Duration> {
        if beat.elapsed() > CLAIM / 3 {
            *beat = Instant::now();
            at_once(self.runs.executions(), |id| self.renew(id)).await?;
        }
        let Some(lease) = tenure.hold().await.map_err(store_error)? else {
            self.environment.metrics.saga_age.set(0.0);
            return Ok(LOOK);
        };
        loop {
            let wakes = self.environment.store.saga_wakes(PAGE).await.map_err(store_error)?;
            let now = self.environment.clock.now();
            let due: Vec<_> = wakes.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id).collect();
            if due.is_empty() {
                // After what is due, which this cannot keep from being done.
                self.tell_ages(ages, lease).await?;
                let next = wakes.first().map(|(at, _)| *at);
                let pause = next.and_then(|at| Duration::try_from(at.duration_since(now)).ok()).map_or(LOOK, |pause| pause.min(LOOK));
                *lock(&self.alarm.next) = Some(next.unwrap_or(Timestamp::MAX));
                return Ok(pause);
            }
            at_once(due, |id| self.look_or_put_off(id)).await?;
        }
    }

    /// Looks at an execution. What is wrong with that one alone is told, and it is put off, so that the others have their turn. An error here is the
    /// store's.
    async fn look_or_put_off(&self, id: Uuid) -> Result<()> {
        failpoint::pass(failpoint::SAGA_TIMER_BEFORE, format_args!("{id}"));
        let looked = self.look(id).await;
        failpoint::pass(failpoint::SAGA_TIMER_AFTER, format_args!("{id}"));
        match looked {
            Ok(()) => Ok(()),
            Err(error) if is_outage(&error) => Err(error),
            Err(error) => self.put_off_after(id, &error).await,
        }
    }

    /// Puts off an execution that could not be looked at, unless who was faster has done so.
    async fn put_off_after(&self, id: Uuid, error: &Error) -> Result<()> {
        let (store, now) = (&self.environment.store, self.environment.clock.now());
        let Some(row) = store.saga(id).await.map_err(store_error)? else { return Ok(()) };
        let pause = later(&row, now);
        if !is_overtaken(error) {
            tracing::error!(saga = row.saga, execution = %id, error = error.chain(), ?pause, "a saga cannot go on; it is looked at again later");
        } else if row.wake.is_some_and(|wake| wake <= now) {
            tracing::warn!(saga = row.saga, execution = %id, error = error.chain(), ?pause, "others are in the way of a saga; it is looked at again later");
        } else {
            return Ok(());
        }
        store.wake_saga(id, row.version, after(now, pause)).await.map_err(store_error)
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

#[cfg(test)]
mod tests {
    use super::super::kit::{process, row, world};
    use super::*;
    use crate::{
        clock,
        context::{Coordinator, NewExecution},
        message::Envelope,
        saga::Execution,
        store::{Cause, MemoryStore, SagaFilter, SagaWrite, Store, Unit},
    };
    use serde_json::json;
    use std::sync::Arc;

    #[tokio::test]
    async fn executions_that_cannot_go_on_do_not_starve_the_others() {
        let (manager, store, _) = world(Duration::from_secs(3600)).await;
        let health = Health::new(clock::system());
        expect(&health);
        let mut unit = Unit::new(clock::system().now(), Cause::nobody());
        let good = NewExecution { id: Uuid::now_v7(), saga: "Ask", key: None, values: json!({}) };
        manager.0.begin(&mut unit, good.clone()).unwrap();
        unit.sagas.extend((0..2 * PAGE).map(|_| SagaWrite { expected: 0, row: SagaRow { wake: Some(Timestamp::UNIX_EPOCH), ..row() } }));
        store.commit(unit).await.unwrap();
        let stopper = crate::stop::Stopper::new();
        let running = tokio::spawn(manager.run(health.clone(), stopper.hear()));
        let moved = async || store.saga(good.id).await.unwrap().is_some_and(|row| row.version > 1);
        let until = Instant::now() + Duration::from_secs(10);
        while !moved().await {
            assert!(Instant::now() < until, "it was never looked at");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let works = health.parts().get(Manager::PART).is_some_and(|part| part.works());
        assert!(works, "what is wrong with some executions is no fault of the part");
        let now = clock::system().now();
        let rows = store.sagas(SagaFilter::default(), None, 1000).await.unwrap();
        let put_off = rows.iter().filter(|row| row.state == "{}" && row.wake.is_some_and(|wake| wake > now)).count();
        assert_eq!(put_off, 2 * PAGE, "they are looked at again later");
        stopper.say();
        running.await.unwrap();
    }

    /// The row says another version than its state, so each turn of it comes too late.
    #[tokio::test]
    async fn an_execution_that_others_move_again_and_again_is_looked_at_ever_more_seldom() {
        let (manager, store, _) = world(Duration::from_secs(3600)).await;
        let (now, new) = (clock::system().now(), NewExecution { id: Uuid::now_v7(), saga: "Ask", key: None, values: json!({}) });
        let mut unit = Unit::new(now, Cause::nobody());
        manager.0.begin(&mut unit, new.clone()).unwrap();
        let row = &mut unit.sagas[0].row;
        row.version = 7;
        row.wake = Some(Timestamp::UNIX_EPOCH);
        row.changed_at = now - Duration::from_secs(30);
        let mut execution: Execution = serde_json::from_str(&row.state).unwrap();
        execution.steps.get_mut("ask").unwrap().due = Some(Timestamp::UNIX_EPOCH);
        row.state = serde_json::to_string(&execution).unwrap();
        store.commit(unit).await.unwrap();
        let (mut tenure, mut beat, mut ages) = (Tenure::new(store.clone(), LEASE), Instant::now(), Ages::new());
        let round = manager.0.round(&mut tenure, &mut beat, &mut ages);
        let pause = tokio::time::timeout(Duration::from_secs(20), round).await.expect("it ends").unwrap();
        assert_eq!(pause, LOOK);
        let wake = store.saga(new.id).await.unwrap().unwrap().wake.unwrap();
        assert!(wake > now + Duration::from_secs(29) && wake < now + LONGEST_PAUSE, "{wake}");
    }

    /// A process that works on a local step for long, while another one looks after what is due.
    #[tokio::test]
    async fn a_step_that_runs_is_not_begun_elsewhere_though_its_saga_goes_on_beside_it() {
        let store = Arc::new(MemoryStore::new());
        let hour = Duration::from_secs(3600);
        let ((mine, job), (other, its_job)) = (process(&store, hour).await, process(&store, hour).await);
        let mut leads = Tenure::new(store.clone(), LEASE);
        assert!(leads.hold().await.unwrap().is_some());
        let new = NewExecution { id: Uuid::now_v7(), saga: "Both", key: None, values: json!({}) };
        let mut unit = Unit::new(clock::system().now(), Cause::nobody());
        mine.0.begin(&mut unit, new.clone()).unwrap();
        store.commit(unit).await.unwrap();
        mine.0.began(vec![new.id]);
        job.begun.acquire().await.unwrap().forget();
        let request = Envelope::of_row(store.outbox(0, 1).await.unwrap().remove(0)).unwrap();
        let row = async || store.saga(new.id).await.unwrap().unwrap();
        let version = row().await.version;
        other.answered(request.reply(200, "null", clock::system().now()).unwrap()).await.unwrap();
        let version = (version + 1, row().await.version);
        assert_eq!(version.0, version.1, "the other branch has ended");
        // The time of the claim has passed: each process says what it runs, and then it is looked after what is due.
        store.wake_saga(new.id, version.1, Timestamp::UNIX_EPOCH).await.unwrap();
        let ages = || Ages::new();
        let long_ago = || Instant::now() - CLAIM;
        mine.0.round(&mut Tenure::new(store.clone(), LEASE), &mut long_ago(), &mut ages()).await.unwrap();
        assert!(row().await.wake.is_some_and(|wake| wake > clock::system().now()), "it is claimed again");
        other.0.round(&mut leads, &mut long_ago(), &mut ages()).await.unwrap();
        job.done.add_permits(1);
        mine.0.runs.idle().await;
        other.0.runs.idle().await;
        assert_eq!((row().await.status.as_str(), its_job.begun.available_permits()), ("committed", 0));
    }
}
