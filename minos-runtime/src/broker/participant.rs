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
    consume::{State, keepable, stopping},
};
use crate::{
    aggregate::{Prepared, apply, release},
    context::{is_outage, store_error},
    error::{Error, ErrorKind, Result},
    failpoint,
    handler::{Ended, HandlerDef, Job, Kept, Kind, Once, Response},
    message::{Direction, Envelope, Failure, MessageKind, StepCall, is_error},
    saga::Unfinished,
    store::{Handled, InboxRow, Mark, OPEN, SETTLED, StepMark, StoreError, Unit},
};

use http::StatusCode;

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
            failpoint::pass(failpoint::PARTICIPANT_BEFORE, format_args!("{call}"));
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
            known if call.release => self.release(message, call, place, known).await,
            known if call.direction == Direction::Commit => self.apply(message, call, place, known).await,
            known if call.direction == Direction::Abort => self.drop_prepared(message, call, place, known).await,
            Some(InboxRow { version: OPEN | SETTLED, answer }) => self.answer_settled(message, call, answer.as_deref()).await,
            _ if call.direction == Direction::Cancel => self.answer(message, Told::not_done(), Some(place.never())).await,
            Some(InboxRow { version, .. }) if version > attempt => Ok(()),
            Some(InboxRow { version, answer: Some(answer) }) if version == attempt => {
                self.answer(message, Told::again(&answer)?, None).await
            }
            _ => self.run_step(def, message, place, attempt).await,
        }
    }

    async fn answer_settled(&self, message: &Envelope, call: &StepCall, answer: Option<&str>) -> Result<()> {
        let cancel = call.direction == Direction::Cancel;
        match answer {
            Some(CANCELLED) if cancel => self.answer(message, Told::not_done(), None).await,
            Some(CANCELLED) | None => {
                let error = Error::rejected(format!("step `{}` was cancelled before it was asked for", call.step))
                    .with_status(StatusCode::CONFLICT);
                self.answer(message, Told::of(failure(&error)?), None).await
            }
            Some(answer) => self.answer(message, Told::again(answer)?, None).await,
        }
    }

    /// The execution has ended: what the step holds is released, and what was not done of it never will be.
    async fn release(&self, message: &Envelope, call: &StepCall, place: &Place<'_>, known: Option<InboxRow>) -> Result<()> {
        let mut unit = self.unit(message);
        match Done::of(known)? {
            Done::Open(done) => self.let_go(&mut unit, call, place, &done).await?,
            Done::Ended(_) | Done::Never => {}
            // An attempt may still be on its way.
            Done::NotYet => unit.mark = Some(place.never()),
        }
        self.commit(message, unit).await
    }

    /// What was prepared is dropped, and what was not done of it never will be.
    async fn drop_prepared(&self, message: &Envelope, call: &StepCall, place: &Place<'_>, known: Option<InboxRow>) -> Result<()> {
        let mut unit = self.unit(message);
        match Done::of(known)? {
            Done::Open(done) => self.let_go(&mut unit, call, place, &done).await?,
            Done::Ended(Some(Ended::Applied)) => {
                return self.answer(message, Told::of(failure(&contradicted(call, "was applied"))?), None).await;
            }
            Done::Ended(_) | Done::Never => {}
            Done::NotYet => unit.mark = Some(place.never()),
        }
        self.answer_with(unit, message, Told::of(Response::default())).await
    }

    /// Releases what a step holds. If it has prepared something, that will never be applied.
    async fn let_go(&self, unit: &mut Unit, call: &StepCall, place: &Place<'_>, (answer, kept): &(Response, Kept)) -> Result<()> {
        unit.mark = Some(place.ended(answer, Ended::Released)?);
        release(&*self.runner.environment().store, unit, call.execution, &kept.holds).await
    }

    /// What was prepared is applied. An error is told to the saga, which asks again and tells its operator in the end: it is decided.
    async fn apply(&self, message: &Envelope, call: &StepCall, place: &Place<'_>, known: Option<InboxRow>) -> Result<()> {
        let (done, Kept { holds, prepared, .. }) = match Done::of(known)? {
            Done::Open(done) => *done,
            Done::Ended(Some(Ended::Applied)) => return self.answer(message, Told::of(Response::default()), None).await,
            other => {
                let what = if matches!(other, Done::Ended(Some(_))) { "was dropped" } else { "was not prepared" };
                return self.answer(message, Told::of(failure(&contradicted(call, what))?), None).await;
            }
        };
        let mut unit = self.unit(message);
        let Prepared { messages, statements } = prepared.unwrap_or_default();
        (unit.messages, unit.statements, unit.mark) = (messages, statements, Some(place.ended(&done, Ended::Applied)?));
        let applied = match apply(&*self.runner.environment().store, &mut unit, call.execution, &holds).await {
            Ok(()) => self.answer_with(unit, message, Told::of(Response::default())).await,
            Err(error) => Err(error),
        };
        match applied {
            Err(error) if !is_outage(&error) && !is_overtaken(&error) => {
                if message.reply_to.is_none() {
                    // Its saga has ended, or does not know it any more: nobody else would tell.
                    tracing::error!(execution = %call.execution, step = call.step, error = error.chain(), "what a step has prepared cannot be applied");
                }
                self.answer(message, Told::of(failure(&error)?), None).await
            }
            applied => applied,
        }
    }

    fn unit(&self, message: &Envelope) -> Unit {
        Unit::new(self.runner.environment().clock.now(), message.cause())
    }

    async fn run_step(&self, def: &'static HandlerDef, message: &Envelope, place: &Place<'_>, attempt: u64) -> Result<()> {
        let once = Some(Once::Step { key: place.key.to_owned(), attempt });
        let permit = Some(self.permit().await);
        let result = match self.admitted(def, message) {
            Ok(request) => self.runner.run(Job { once, reply_to: Some(message), permit, ..Job::new(def, request) }).await,
            Err(error) => Err(error),
        };
        let Err(error) = result else { return Ok(()) };
        // Who answers an error has done nothing: that cannot be said while a saga that the handler has begun goes on.
        let goes_on = error.downcast_ref::<Unfinished>().is_some();
        if is_outage(&error) || is_duplicate(&error) || goes_on {
            return Err(error);
        }
        tracing::info!(handler = def.function, name = message.name, correlation = %message.correlation, error = error.chain(), "refused");
        let answer = failure(&error)?;
        let mark = place.mark(StepMark::Answered(attempt), answer.store(Kept::default())?);
        self.answer(message, Told::of(answer), Some(mark)).await
    }

    /// What a query answers needs not be known again.
    async fn answer_question(&self, def: &'static HandlerDef, message: &Envelope, call: &StepCall) -> Result<()> {
        if call.release {
            return Ok(());
        }
        match call.direction {
            Direction::Cancel => return self.answer(message, Told::not_done(), None).await,
            // It has prepared nothing.
            Direction::Commit | Direction::Abort => return self.answer(message, Told::of(Response::default()), None).await,
            Direction::Execute | Direction::Undo => {}
        }
        let result = match self.admitted(def, message) {
            Ok(request) => self.runner.run(Job { permit: Some(self.permit().await), ..Job::new(def, request) }).await,
            Err(error) => Err(error),
        };
        let fits = |answer: Response| self.runner.environment().fits(&message.name, answer.body().len()).map(|()| answer);
        let answer = match result.and_then(fits) {
            Ok(answer) => answer,
            Err(error) if is_outage(&error) => return Err(error),
            Err(error) => failure(&error)?,
        };
        self.answer(message, Told::of(answer), None).await
    }

    /// Commits an answer, and what is known of the step from then on.
    async fn answer(&self, message: &Envelope, told: Told, mark: Option<Mark>) -> Result<()> {
        let mut unit = self.unit(message);
        unit.mark = mark;
        self.answer_with(unit, message, told).await
    }

    /// The same with what belongs to it.
    async fn answer_with(&self, mut unit: Unit, message: &Envelope, told: Told) -> Result<()> {
        let Told { answer, not_done, holds } = told;
        if let Some(mut reply) = message.reply(answer.status().as_u16(), answer.body().clone(), unit.at) {
            if let Some(call) = &mut reply.saga {
                (call.not_done, call.holds) = (not_done, holds);
            }
            unit.messages.push(reply.into_row()?);
        }
        self.commit(message, unit).await
    }

    /// Commits what belongs to a message about a step.
    async fn commit(&self, message: &Envelope, unit: Unit) -> Result<()> {
        if unit.is_empty() {
            return Ok(());
        }
        let pass = |point| {
            if let Some(call) = message.step() {
                failpoint::pass(point, format_args!("{call}"));
            }
        };
        pass(failpoint::PARTICIPANT_ANSWER_BEFORE);
        self.runner.environment().commit(unit).await.map_err(store_error)?;
        pass(failpoint::PARTICIPANT_ANSWER_AFTER);
        Ok(())
    }

    /// The answer to a step of a saga of this service has come, or a question of one. Ends with an error only when the service stops.
    pub(super) async fn step_answered(&self, reply: Envelope) -> Result<(), BrokerError> {
        let Some(sagas) = &self.sagas else { return Ok(()) };
        let mut attempt = 0;
        loop {
            let taken = if reply.kind == MessageKind::Reply { sagas.answered(reply.clone()).await } else { sagas.asked(&reply).await };
            let Err(error) = taken else { return Ok(()) };
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

/// What the saga says and what is known here do not go together.
fn contradicted(call: &StepCall, what: &str) -> Error {
    Error::rejected(format!("step `{}` {what} here, and its saga has decided otherwise", call.step)).with_status(StatusCode::CONFLICT)
}

/// Whether somebody else was faster: then it is looked again.
fn is_overtaken(error: &Error) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::Duplicate { .. } | StoreError::Conflict { .. }))
}

/// Whether another process has answered meanwhile.
fn is_duplicate(error: &Error) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::Duplicate { .. }))
}

/// What a saga is told.
struct Told {
    answer: Response,
    not_done: bool,
    holds: bool,
}

impl Told {
    fn of(answer: Response) -> Self {
        Told { answer, not_done: false, holds: false }
    }

    fn not_done() -> Self {
        Told { not_done: true, ..Told::of(Response::default()) }
    }

    /// The answer that was stored.
    fn again(answer: &str) -> Result<Self> {
        let (answer, Kept { holds, .. }) = Response::restore(answer)?;
        Ok(Told { holds: !holds.is_empty(), ..Told::of(answer) })
    }
}

/// What is known of a step.
enum Done {
    /// It was done, with this answer, and this is kept until it is known how the saga ends.
    Open(Box<(Response, Kept)>),
    /// It was done, and this became of what was kept, if anything was.
    Ended(Option<Ended>),
    /// It never will be.
    Never,
    /// It was not done, and still may be.
    NotYet,
}

impl Done {
    fn of(known: Option<InboxRow>) -> Result<Self> {
        Ok(match known {
            Some(InboxRow { version: OPEN, answer: Some(answer) }) => Done::Open(Box::new(Response::restore(&answer)?)),
            Some(InboxRow { version: SETTLED, answer: Some(answer) }) if answer != CANCELLED => {
                Done::Ended(Response::restore(&answer)?.1.ended)
            }
            Some(InboxRow { version: SETTLED, .. }) => Done::Never,
            _ => Done::NotYet,
        })
    }
}

/// The row of a step.
struct Place<'p> {
    subscriber: &'p str,
    key: &'p str,
}

impl Place<'_> {
    fn mark(&self, becomes: StepMark, answer: String) -> Mark {
        let handled = Handled::Step { key: self.key.to_owned(), becomes, answer };
        Mark { subscriber: self.subscriber.to_owned().into(), handled, lane: None }
    }

    /// The tombstone for whatever comes later.
    fn never(&self) -> Mark {
        self.mark(StepMark::Never, CANCELLED.to_owned())
    }

    /// What became of what a step has kept that gave this answer.
    fn ended(&self, answer: &Response, ended: Ended) -> Result<Mark> {
        Ok(self.mark(StepMark::Ended, answer.store(Kept { ended: Some(ended), ..Kept::default() })?))
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
    Ok(Response::json(&Failure { detail, conflict: error.kind() == ErrorKind::Conflict })?.with_status(status))
}
