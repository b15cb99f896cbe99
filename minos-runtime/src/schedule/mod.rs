//! Handlers that run on a schedule.

mod cron;

pub use cron::Schedule;

use crate::{
    error::Result,
    handler::{HandlerDef, Job, Kind, Once, Parts, Request, Runner},
    stop::Stop,
};
use jiff::Timestamp;
use std::time::Duration;
use uuid::Uuid;

/// The clock may be set while a handler waits for its time, so it looks again at least this often.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// The `#[periodic]` handlers of a service.
pub struct Periodic {
    entries: Vec<(Schedule, &'static HandlerDef)>,
}

impl Periodic {
    /// Reads the schedules of these handlers.
    ///
    /// # Errors
    /// Schedules that cannot be read, each as a sentence for the operator.
    pub fn of(defs: &[&'static HandlerDef]) -> Result<Self, Vec<String>> {
        let (mut entries, mut wrong) = (Vec::new(), Vec::new());
        for def in defs.iter().filter(|def| def.kind == Kind::Periodic) {
            for name in def.names {
                match Schedule::parse(name) {
                    Ok(schedule) => entries.push((schedule, *def)),
                    Err(why) => wrong.push(format!("the schedule `{name}` of `{}` at {} cannot be read: {why}", def.function, def.place())),
                }
            }
        }
        if wrong.is_empty() { Ok(Periodic { entries }) } else { Err(wrong) }
    }

    /// All schedules, with their handlers.
    pub fn entries(&self) -> impl Iterator<Item = (&Schedule, &'static HandlerDef)> {
        self.entries.iter().map(|(schedule, def)| (schedule, *def))
    }

    /// The first time after this one at which a handler runs.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        self.entries.iter().filter_map(|(schedule, _)| schedule.next_after(time)).min()
    }

    /// Runs the handlers whose first time after `last` this is, one after the other: for tests, which let time pass themselves.
    ///
    /// # Errors
    /// What the first one says that fails, with its name.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) async fn run_at(&self, runner: &Runner, last: Timestamp, at: Timestamp) -> Result<()> {
        for (schedule, def) in self.entries.iter().filter(|(schedule, _)| schedule.next_after(last) == Some(at)) {
            let fired = fire(schedule, def, runner, at).await;
            fired.map_err(|error| error.context(format!("`{}` at {}, which runs at `{}`", def.function, def.place(), schedule.text())))?;
        }
        Ok(())
    }

    /// Runs the handlers when it is their time, until `stop` says so; then waits for those that run.
    pub async fn run(self, runner: Runner, stop: Stop) {
        let all = self.entries.into_iter().map(|(schedule, def)| run_one(schedule, def, runner.clone(), stop.clone()));
        futures_util::future::join_all(all).await;
        // There may be no schedules, or none with a next time.
        stop.said().await;
    }
}

async fn run_one(schedule: Schedule, def: &'static HandlerDef, runner: Runner, stop: Stop) {
    let clock = runner.environment().clock.clone();
    let mut last = clock.now();
    while let Some(next) = schedule.next_after(last) {
        loop {
            let now = clock.now();
            if now >= next {
                break;
            }
            let left = Duration::try_from(next.duration_since(now)).unwrap_or_default();
            tokio::select! {
                () = tokio::time::sleep(left.min(LOOK_AGAIN)) => {}
                () = stop.said() => return,
            }
        }
        // It is told by then.
        let _ = fire(&schedule, def, &runner, next).await;
        // What was missed meanwhile, because the handler took long or the machine slept, is not made up for.
        last = clock.now().max(next);
    }
}

/// Runs a handler for one point of its schedule. That it ran is marked by the point, so another process of the service does not run it
/// again.
async fn fire(schedule: &Schedule, def: &'static HandlerDef, runner: &Runner, at: Timestamp) -> Result<()> {
    let version = u64::try_from(at.as_second()).unwrap_or_default();
    let key = format!("schedule {}", schedule.text());
    // The same in all processes of the service, and so are the keys of effects.
    let name = format!("{} {} {key} {version}", runner.environment().service, def.subscriber());
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
    let once = Some(Once::Version { key, version });
    let user = runner.environment().acts_as.clone().into();
    let request = Request::new(Parts { user, ..Parts::new(id, id) });
    let ran = runner.run(Job { once, ..Job::new(def, request) }).await;
    match &ran {
        Ok(_) => tracing::debug!(handler = def.function, schedule = schedule.text(), "ran"),
        Err(error) => {
            tracing::error!(handler = def.function, schedule = schedule.text(), correlation = %id, error = error.chain(), "failed; it runs again at its next time")
        }
    }
    ran.map(|_| ())
}
