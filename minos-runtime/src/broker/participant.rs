//! The other side of a saga: a handler that does a step for the saga of another service.
//!
//! For each step of an execution there is one row in the inbox. It says which attempt was answered with an error, or that the step is settled: it was done, or
//! it was cancelled and never will be. The answer is committed with it, so that however often and in whatever order attempts come, the step is done once, and
//! each of them is answered the same.
//!
//! Whether an error is tried again is the saga's affair, and so such a message is never parked or put among the dead letters.

#[cfg(test)]
mod tests;

use super::{
    BrokerError,
    consume::{State, keepable, request, stopping},
};
use crate::{
    context::{is_outage, store_error},
    error::{Error, ErrorKind, Result},
    failpoint,
    handler::{HandlerDef, Job, Kind, Once, Response},
    message::{Direction, Envelope, Failure, StepCall, is_error},
    saga::Unfinished,
    store::{Handled, InboxRow, Mark, SETTLED, StoreError, Unit},
};

/// What stands in place of the answer to a step that was cancelled.
const CANCELLED: &str = "cancelled";
/// How many characters of an error are told: an answer that the broker does not take would leave the saga without one.
const LONGEST_REASON: usize = 2000;

impl State {
    /// Has a step done, or undone, or cancelled, and answers. Ends with an error only when the service stops.
    pub(super) async fn participate(&self, def: &'static HandlerDef, message: &Envelope, call: &StepCall) -> Result<(), BrokerError> {
        let (subscriber, key) = (def.subscriber(), key(call));
        // Two attempts at once take turns here, so that the handler runs once, and not only commits once.
        let _turn = self.runner.environment().hot.queue_for(&subscriber, &key).await;
        let mut attempt = 0;
        loop {
            if self.is_stopping() {
                return Err(stopping());
            }
            failpoint::pass(failpoint::PARTICIPANT_BEFORE, format_args!("{}/{}", call.step, call.direction));
            let error = match self.take_part(def, message, call, &Place { subscriber: &subscriber, key: &key }).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            // Another process has answered meanwhile: the row says what.
            if !is_duplicate(&error) {
                attempt += 1;
                tracing::warn!(handler = def.function, execution = %call.execution, step = call.step, attempt, error = error.chain(), "a step of a saga will be tried again");
                self.pause(attempt).await;
            }
        }
    }

    /// Goes by what is known of the step. An error here is the store's, and no answer.
    async fn take_part(&self, def: &'static HandlerDef, message: &Envelope, call: &StepCall, place: &Place<'_>) -> Result<()> {
        if def.kind == Kind::Query {
            return self.answer_question(def, message, call).await;
        }
        let known = self.runner.environment().store.handled(place.subscriber, place.key).await.map_err(store_error)?;
        let attempt = u64::from(call.attempt);
        match known {
            Some(InboxRow { version: SETTLED, answer }) => self.answer_settled(message, call, answer.as_deref()).await,
            _ if call.direction == Direction::Cancel => {
                let mark = place.mark(SETTLED, true, CANCELLED.to_owned());
                self.answer(message, &Response::default(), true, Some(mark)).await
            }
            Some(InboxRow { version, .. }) if version > attempt => Ok(()),
            Some(InboxRow { version, answer: Some(answer) }) if version == attempt => {
                self.answer(message, &Response::restore(&answer)?.0, false, None).await
            }
            _ => self.run_step(def, message, place, attempt).await,
        }
    }

    async fn answer_settled(&self, message: &Envelope, call: &StepCall, answer: Option<&str>) -> Result<()> {
        let cancel = call.direction == Direction::Cancel;
        match answer {
            Some(CANCELLED) if cancel => self.answer(message, &Response::default(), true, None).await,
            Some(CANCELLED) | None => {
                let error = Error::new(ErrorKind::Conflict, format!("step `{}` was cancelled before it was asked for", call.step));
                self.answer(message, &failure(&error)?, false, None).await
            }
            Some(answer) => self.answer(message, &Response::restore(answer)?.0, false, None).await,
        }
    }

    async fn run_step(&self, def: &'static HandlerDef, message: &Envelope, place: &Place<'_>, attempt: u64) -> Result<()> {
        let once = Some(Once::Step { key: place.key.to_owned(), attempt });
        let job = Job { def, request: request(def, message), once, reply_to: Some(message), resolves: None, lane: None };
        let result = {
            let _permit = self.permit().await;
            self.runner.run(job).await
        };
        let Err(error) = result else { return Ok(()) };
        // Who answers an error has done nothing: that cannot be said while a saga that the handler has begun goes on.
        let goes_on = error.downcast_ref::<Unfinished>().is_some();
        if is_outage(&error) || is_duplicate(&error) || goes_on {
            return Err(error);
        }
        tracing::info!(handler = def.function, name = message.name, correlation = %message.correlation, error = error.chain(), "refused");
        let answer = failure(&error)?;
        let mark = place.mark(attempt, false, answer.store(None)?);
        self.answer(message, &answer, false, Some(mark)).await
    }

    /// What a query answers needs not be known again.
    async fn answer_question(&self, def: &'static HandlerDef, message: &Envelope, call: &StepCall) -> Result<()> {
        if call.direction == Direction::Cancel {
            return self.answer(message, &Response::default(), true, None).await;
        }
        let job = Job { def, request: request(def, message), once: None, reply_to: None, resolves: None, lane: None };
        let result = {
            let _permit = self.permit().await;
            self.runner.run(job).await
        };
        let fits = |answer: Response| self.runner.environment().fits(&message.name, answer.body().len()).map(|()| answer);
        let answer = match result.and_then(fits) {
            Ok(answer) => answer,
            Err(error) if is_outage(&error) => return Err(error),
            Err(error) => failure(&error)?,
        };
        self.answer(message, &answer, false, None).await
    }

    /// Commits an answer, and what is known of the step from then on.
    async fn answer(&self, message: &Envelope, answer: &Response, not_done: bool, mark: Option<Mark>) -> Result<()> {
        let environment = self.runner.environment();
        let mut unit = Unit::new(environment.clock.now(), message.cause());
        unit.mark = mark;
        if let Some(mut reply) = message.reply(answer.status().as_u16(), answer.body().clone(), unit.at) {
            if let Some(call) = &mut reply.saga {
                call.not_done = not_done;
            }
            unit.messages.push(reply.into_row()?);
        }
        if unit.is_empty() {
            return Ok(());
        }
        let pass = |point| {
            if let Some(call) = message.step() {
                failpoint::pass(point, format_args!("{}/{}", call.step, call.direction));
            }
        };
        pass(failpoint::PARTICIPANT_ANSWER_BEFORE);
        environment.commit(unit).await.map_err(store_error)?;
        pass(failpoint::PARTICIPANT_ANSWER_AFTER);
        Ok(())
    }

    /// The answer to a step of a saga of this service has come. Ends with an error only when the service stops.
    pub(super) async fn step_answered(&self, reply: Envelope) -> Result<(), BrokerError> {
        let Some(sagas) = &self.sagas else { return Ok(()) };
        let mut attempt = 0;
        loop {
            let Err(error) = sagas.answered(reply.clone()).await else { return Ok(()) };
            attempt += 1;
            if attempt >= self.policy.attempts && !is_outage(&error) {
                // The saga asks again when its time has come.
                tracing::error!(name = reply.name, correlation = %reply.correlation, error = error.chain(), "an answer to a step of a saga was dropped");
                return Ok(());
            }
            tracing::warn!(name = reply.name, correlation = %reply.correlation, attempt, error = error.chain(), "an answer to a step of a saga will be taken again");
            self.pause(attempt).await;
            if self.is_stopping() {
                return Err(stopping());
            }
        }
    }
}

/// Whether another process has answered meanwhile.
fn is_duplicate(error: &Error) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::Duplicate { .. }))
}

/// The row of a step.
struct Place<'p> {
    subscriber: &'p str,
    key: &'p str,
}

impl Place<'_> {
    fn mark(&self, attempt: u64, settled: bool, answer: String) -> Mark {
        let handled = Handled::Step { key: self.key.to_owned(), attempt, settled, answer };
        Mark { subscriber: self.subscriber.to_owned().into(), handled, lane: None }
    }
}

/// The key of the row. To cancel a step is about the same row as to do it; to undo it is another step of its own.
fn key(call: &StepCall) -> String {
    let undo = if call.direction == Direction::Undo { " undo" } else { "" };
    keepable(format!("saga {}/{}{undo}", call.execution, call.step))
}

/// An error as an answer. The saga is a part of the same system, and its operator has to know why: so all errors are told, but not their causes. Whatever
/// status is no error to the saga would be a success to it.
fn failure(error: &Error) -> Result<Response> {
    let status = if is_error(error.status()) { error.status() } else { error.kind().status() };
    let detail = error.to_string().chars().take(LONGEST_REASON).collect();
    Ok(Response::json(&Failure { detail })?.with_status(status))
}
