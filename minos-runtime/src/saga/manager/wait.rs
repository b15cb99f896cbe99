//! Who waits for the end of an execution.

use super::State;
use crate::{
    context::{NewExecution, store_error},
    error::{Error, ErrorKind, Result},
    saga::{Execution, Status},
    store::{Cause, SagaRow, Store, StoreError, Unit},
    sync::lock,
};
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};
use uuid::Uuid;

/// Another process may end it: then the store knows it first. The pauses between two looks begin with this and double.
const FIRST_LOOK: Duration = Duration::from_millis(20);
const LAST_LOOK: Duration = Duration::from_millis(500);

/// Why a wait has ended without the execution: nothing is known of its end yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the execution {0} goes on")]
pub struct Unfinished(pub Uuid);

type Ends = HashMap<Uuid, watch::Sender<Option<Arc<Execution>>>>;

/// Those who wait in this process.
#[derive(Default)]
pub(super) struct Waiters(Mutex<Ends>);

impl Waiters {
    fn wait(&self, id: Uuid) -> watch::Receiver<Option<Arc<Execution>>> {
        lock(&self.0).entry(id).or_insert_with(|| watch::Sender::new(None)).subscribe()
    }

    /// It has ended.
    pub(super) fn tell(&self, execution: &Execution) {
        if let Some(waiting) = lock(&self.0).remove(&execution.id) {
            waiting.send_replace(Some(Arc::new(execution.clone())));
        }
    }

    /// Nobody may wait for it any more.
    fn leave(&self, id: Uuid) {
        let mut waiting = lock(&self.0);
        if waiting.get(&id).is_some_and(|waiting| waiting.receiver_count() == 0) {
            waiting.remove(&id);
        }
    }
}

/// One who waits.
struct Waiting<'s> {
    // Before its place, which looks whether there are others.
    end: watch::Receiver<Option<Arc<Execution>>>,
    place: Place<'s>,
}

/// Leaves the list, however the wait ends.
struct Place<'s> {
    waiters: &'s Waiters,
    id: Uuid,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiters.leave(self.id);
    }
}

impl State {
    /// Begins an execution, or finds it, and waits for its end.
    pub(super) async fn run_to_end(&self, cause: Cause, new: NewExecution, patience: Duration) -> Result<Value> {
        let until = Instant::now() + patience;
        let mut waiting = self.waiting(new.id);
        let mut unit = Unit::new(self.environment.clock.now(), cause.clone());
        let (execution, todo) = self.put_new(&mut unit, new.clone())?;
        match self.environment.commit(unit).await {
            Ok(_) => self.settle(&execution, &cause, todo),
            Err(error @ (StoreError::SagaExists { .. } | StoreError::SagaMoved { .. })) => {
                let found = find(&*self.environment.store, &new).await?.ok_or_else(|| store_error(error))?;
                let execution: Execution = serde_json::from_str(&found.state)?;
                if found.ended {
                    return outcome(&execution);
                }
                waiting = self.waiting(found.id);
            }
            Err(error) => return Err(store_error(error)),
        }
        self.end(waiting, &new, until).await
    }

    fn waiting(&self, id: Uuid) -> Waiting<'_> {
        Waiting { end: self.waiters.wait(id), place: Place { waiters: &self.waiters, id } }
    }

    async fn end(&self, mut waiting: Waiting<'_>, new: &NewExecution, until: Instant) -> Result<Value> {
        let (id, mut pause) = (waiting.place.id, FIRST_LOOK);
        loop {
            tokio::select! {
                told = waiting.end.wait_for(Option::is_some) => {
                    if let Ok(Some(execution)) = told.map(|told| told.clone()) {
                        return outcome(&execution);
                    }
                }
                () = tokio::time::sleep(pause) => {}
                () = tokio::time::sleep_until(until) => {
                    let message = format!("the saga `{}` ({id}) has not ended yet, and goes on", new.saga);
                    return Err(Error::new(ErrorKind::Timeout, message).caused_by(Unfinished(id)));
                }
                () = self.stopping.hear().said() => {
                    let message = format!("the service is stopping; the saga `{}` ({id}) goes on when it starts again", new.saga);
                    return Err(Error::unavailable(message).caused_by(Unfinished(id)));
                }
            }
            pause = (pause * 2).min(LAST_LOOK);
            // That the store does not answer now says nothing about the saga.
            if let Ok(Some(row)) = self.environment.store.saga(id).await
                && row.ended
            {
                return outcome(&serde_json::from_str(&row.state)?);
            }
        }
    }
}

/// The execution with this id or key, if there is one.
///
/// # Errors
/// If it has another input.
pub(super) async fn find(store: &dyn Store, new: &NewExecution) -> Result<Option<SagaRow>> {
    let found = match &new.key {
        Some(key) => store.saga_of_key(new.saga, key).await,
        None => store.saga(new.id).await,
    };
    let Some(row) = found.map_err(store_error)? else { return Ok(None) };
    same_input(&row, new)?;
    Ok(Some(row))
}

/// Refuses another input for an execution that is there already.
pub(super) fn same_input(row: &SagaRow, new: &NewExecution) -> Result<()> {
    let state: Value = serde_json::from_str(&row.state)?;
    let begun_with = |(name, value): (&String, &Value)| state.get("values").and_then(|values| values.get(name)) == Some(value);
    if !new.values.as_object().is_some_and(|fields| fields.iter().all(begun_with)) {
        let key = new.key.as_deref().unwrap_or_default();
        return Err(Error::new(
            ErrorKind::Conflict,
            format!("the key `{key}` was used before, for another input of the saga `{}`", new.saga),
        ));
    }
    Ok(())
}

/// What an execution that has ended has come to.
fn outcome(execution: &Execution) -> Result<Value> {
    match (execution.status, &execution.failure) {
        (Status::Committed, _) => Ok(serde_json::to_value(&execution.values)?),
        (_, Some(failure)) => Err(failure.error()),
        (status, None) => Err(Error::internal(format!("the saga `{}` has ended as {status}", execution.saga))),
    }
}
