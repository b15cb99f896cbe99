//! Waiting until nothing goes on, and letting time pass.
//!
//! All that is to be done stands in a store until it is done: an event that not all have handled, a message, a view that is behind, a step that runs. So
//! nothing goes on when no store has anything of it, and none has changed while that was looked at.

use super::{TestRunning, World};
use crate::{
    broker::unsent,
    clock::Clock,
    context::store_error,
    error::{Error, ErrorKind, Result},
    message::Envelope,
    service::Running,
    store::DeadLetter,
};
use jiff::Timestamp;
use std::{sync::Arc, time::Duration};

/// How long it may take until nothing goes on. In memory it takes some milliseconds, so this is for what hangs.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many dead letters are looked at.
const MOST: usize = 1000;

/// Something that waits for an operator, in words. By these it is told apart from others.
type Trouble = String;

impl TestRunning {
    /// Waits until all that has followed is done: events are handled, messages are sent and answered, read models show it, and sagas have ended or wait for
    /// something that is not here, such as the time.
    ///
    /// # Errors
    /// What was put aside because it could not be handled, by name and with its cause, or which saga waits for an operator; and what still goes on after ten
    /// seconds.
    pub async fn settled(&self) -> Result<()> {
        self.settled_within(PATIENCE).await
    }

    /// The same within another time than ten seconds, for what hangs or takes long.
    ///
    /// # Errors
    /// As [`settled`](TestRunning::settled).
    pub async fn settled_within(&self, time: Duration) -> Result<()> {
        self.quiet(time).await?;
        told(self.troubles().await?)
    }

    /// Lets time pass: schedules and timers that become due do so one after the other, each at its own time, and all that follows is done before the next one.
    /// Whatever a service waits for by its clock waits for this; it is in no hurry otherwise.
    ///
    /// # Errors
    /// As [`settled`](TestRunning::settled), of what happens meanwhile; and what a handler of a schedule says.
    pub async fn wait(&self, time: Duration) -> Result<()> {
        self.quiet(PATIENCE).await?;
        let before = self.troubles().await?;
        let clock = &self.world.ground.clock;
        let end = clock.now().checked_add(time).unwrap_or(Timestamp::MAX);
        loop {
            let (now, stand_ins) = (clock.now(), self.stand_ins());
            let mut next = None;
            for running in everyone(&self.world, &stand_ins) {
                next = next.into_iter().chain(running.next_after(now).await?).min();
            }
            let Some(next) = next.filter(|next| *next <= end) else { break };
            clock.set(next);
            for running in everyone(&self.world, &stand_ins) {
                running.pass_time(now, next).await?;
            }
            self.quiet(PATIENCE).await?;
        }
        clock.set(end);
        let after = self.troubles().await?;
        told(after.into_iter().filter(|trouble| !before.contains(trouble)).collect())
    }

    /// What could not be handled, by whom and why.
    ///
    /// # Errors
    /// If a store does not answer.
    pub async fn put_aside(&self) -> Result<Vec<DeadLetter>> {
        let mut all = Vec::new();
        for running in self.meant() {
            all.extend(running.store().dead_letters(None, 0, MOST).await.map_err(store_error)?);
        }
        Ok(all)
    }

    /// The services that are meant.
    fn meant(&self) -> Vec<&Running> {
        match self.only {
            Some(_) => vec![self.running()],
            None => self.world.running.iter().collect(),
        }
    }

    /// Waits until nothing goes on.
    async fn quiet(&self, patience: Duration) -> Result<()> {
        let (stand_ins, mut commits) = (self.stand_ins(), self.world.ground.commits.subscribe());
        let mut last = None;
        let waiting = async {
            loop {
                commits.mark_unchanged();
                last = going_on(everyone(&self.world, &stand_ins)).await?;
                match (&last, commits.has_changed()) {
                    (_, Ok(true)) => {}
                    (None, _) => return Ok(()),
                    // The world holds the sender.
                    (Some(_), _) => drop(commits.changed().await),
                }
            }
        };
        match tokio::time::timeout(patience, waiting).await {
            Ok(done) => done,
            Err(_) => {
                let what = last.unwrap_or_else(|| "something is committed again and again".to_owned());
                Err(Error::new(ErrorKind::Timeout, format!("not settled within {patience:?}: {what}")))
            }
        }
    }

    /// What waits for an operator.
    async fn troubles(&self) -> Result<Vec<Trouble>> {
        let (mut troubles, stand_ins) = (Vec::new(), self.stand_ins());
        for running in everyone(&self.world, &stand_ins) {
            let letters = running.store().dead_letters(None, 0, MOST).await.map_err(store_error)?;
            // Who waits behind another one has no trouble of its own.
            troubles.extend(letters.iter().filter(|letter| letter.letter.attempts > 0).map(|letter| unhandled(running, letter)));
            for (row, why) in running.sagas().stuck().await? {
                troubles.push(format!("the saga `{}` ({}) of `{}` waits for an operator: {why}", row.saga, row.id, running.name()));
            }
        }
        Ok(troubles)
    }
}

/// The services, then the stand-ins.
fn everyone<'w>(world: &'w World, stand_ins: &'w [Arc<Running>]) -> impl Iterator<Item = &'w Running> {
    world.running.iter().chain(stand_ins.iter().map(|running| &**running))
}

/// Something that goes on, in words.
async fn going_on(everyone: impl Iterator<Item = &Running>) -> Result<Option<String>> {
    for running in everyone {
        if let Some(what) = going_on_in(running).await? {
            return Ok(Some(format!("`{}`: {what}", running.name())));
        }
    }
    Ok(None)
}

async fn going_on_in(running: &Running) -> Result<Option<String>> {
    if let Some(what) = unsent(&**running.store()).await.map_err(store_error)? {
        return Ok(Some(what));
    }
    for view in running.projections().list().await?.into_iter().filter(|view| !view.inline) {
        let is_there = view.progress.live.as_ref().is_some_and(|live| live.position >= view.head) && view.progress.rebuild.is_none();
        if !is_there {
            return Ok(Some(format!("the projection `{}` does not show all yet", view.name)));
        }
    }
    running.sagas().under_way().await
}

fn unhandled(running: &Running, DeadLetter { letter, .. }: &DeadLetter) -> Trouble {
    let message = Envelope::of_parts(&letter.headers, letter.topic.clone(), None, letter.content.clone().into());
    let name = message.map_or_else(|_| letter.topic.clone(), |message| message.name);
    format!(
        "`{}` of `{}` could not handle `{name}` ({}), after {} attempts: {}",
        letter.subscriber,
        running.name(),
        letter.key,
        letter.attempts,
        letter.cause
    )
}

fn told(troubles: Vec<Trouble>) -> Result<()> {
    match &troubles[..] {
        [] => Ok(()),
        [one] => Err(Error::internal(one.clone())),
        many => Err(Error::internal(format!("{} things went wrong: ({})", many.len(), many.join("; (")))),
    }
}
