//! One step: its attempts, how they end, and what becomes of it.

use super::{Call, Effect, Outcome, Turn};
use crate::{
    error::{Error, ErrorKind, Result},
    saga::{Attempts, Direction, Failure, Outgoing, Retry, Step, StepKind, StepState, StepStatus, Values, Work},
};
use jiff::Timestamp;
use serde_json::Value;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

/// What is tried once. The pauses do not matter.
const ONCE: Retry = Retry { attempts: 1, first_pause: Duration::ZERO, longest_pause: Duration::ZERO };

impl Turn<'_> {
    /// Begins the next attempt.
    pub(super) fn start(&mut self, step: &'static Step, direction: Direction) {
        let now = self.moment.now;
        let attempts = self.retry(step, direction).attempts.max(1);
        let state = self.execution.steps.entry(step.name.to_owned()).or_insert_with(|| StepState {
            status: StepStatus::Failed,
            attempts: Attempts::default(),
            limit: 0,
            started_at: now,
            changed_at: now,
            due: None,
            in_doubt: false,
            error: None,
            holds: Vec::new(),
        });
        if state.status.doing() != Some(direction) {
            state.limit = state.attempts.of(direction).saturating_add(attempts);
        }
        let attempt = state.attempts.next(direction);
        let timeout = step.timeout.or(matches!(step.work, Work::Remote { .. }).then_some(self.plan.policy.timeout));
        let due = timeout.map(|timeout| later(now, timeout));
        match self.effect(step, Call { step: step.name.to_owned(), direction, attempt }) {
            Ok(effect) => {
                self.put(step.name, StepStatus::UnderWay(direction), due);
                self.effects.push(effect);
            }
            // The same would come out again, so this is not tried again.
            Err(error) => {
                self.note(step.name, &error);
                self.give_up(step, direction, &error);
            }
        }
    }

    /// What has to be done for an attempt.
    pub(super) fn effect(&self, step: &Step, call: Call) -> Result<Effect> {
        let (values, what) = (&self.execution.values, call.direction);
        let make: fn(&Values) -> Result<Outgoing> = match (&step.work, what) {
            (Work::Local { .. }, _) => return Ok(Effect::Run { call }),
            (Work::Remote { execute, .. }, Direction::Execute | Direction::Cancel | Direction::Commit | Direction::Abort) => *execute,
            (Work::Remote { undo: Some(undo), .. }, Direction::Undo) => *undo,
            (Work::Remote { undo: None, .. }, Direction::Undo) => return Err(Error::internal("there is nothing that undoes it")),
        };
        let callback = if what == Direction::Undo { "on_failure" } else { "on_execute" };
        let message = guarded(step, callback, || make(values))?;
        Ok(Effect::Send { call, message })
    }

    /// An attempt has ended.
    pub(super) fn ended(&mut self, call: &Call, result: Result<Outcome>, holds: bool) {
        let (Some(step), Some(state)) = (self.plan.step(&call.step), self.state(&call.step)) else { return };
        let asked = call.direction == Direction::Execute && (1..=state.attempts.execute).contains(&call.attempt);
        let decides = matches!(call.direction, Direction::Commit | Direction::Abort)
            && state.status.doing() == Some(call.direction)
            && (1..=state.attempts.of(call.direction)).contains(&call.attempt);
        let unknown = state.in_doubt && (state.status.doing() == Some(Direction::Cancel) || state.status == StepStatus::Failed);
        if self.execution.is_under_way(call) {
            self.changed = true;
            if holds {
                self.holds(step.name, call.direction);
            }
            match (call.direction, result) {
                (Direction::Execute, Ok(outcome)) => self.succeed(step, outcome),
                (Direction::Execute, Err(error)) => self.answered_error(step, error),
                (Direction::Cancel, Ok(Outcome::NotDone)) => self.not_done(step),
                (Direction::Cancel, Ok(outcome)) => self.succeed(step, outcome),
                (Direction::Undo, Ok(_)) => self.put(step.name, StepStatus::Undone, None),
                (Direction::Commit, Ok(_)) => self.decided(step, StepStatus::Applied),
                (Direction::Abort, Ok(_)) => self.decided(step, StepStatus::Undone),
                (Direction::Cancel | Direction::Undo | Direction::Commit | Direction::Abort, Err(error)) => {
                    self.failed(step, call.direction, &error)
                }
            }
        } else if decides && result.is_ok() {
            // However late it comes, also when nobody asks any more: it is done for good.
            self.changed = true;
            self.decided(step, if call.direction == Direction::Commit { StepStatus::Applied } else { StepStatus::Undone });
        } else if let Ok(outcome) = result
            && asked
            && unknown
            && outcome != Outcome::NotDone
            && read(step, &outcome).is_ok()
        {
            // Late, but now it is known what there is to undo.
            self.changed = true;
            if holds {
                self.holds(step.name, call.direction);
            }
            self.succeed(step, outcome);
        }
    }

    /// Everything that is due.
    pub(super) fn due(&mut self) {
        let now = self.moment.now;
        for step in self.plan.steps() {
            // One may change the others: each is looked at when it is its turn.
            let Some(state) = self.state(step.name).filter(|state| state.due.is_some_and(|due| due <= now)) else { continue };
            let status = state.status;
            match status {
                StepStatus::UnderWay(direction) => self.timed_out(step, direction),
                StepStatus::Pausing(direction) if !(direction == Direction::Execute && self.failing()) => self.start(step, direction),
                // Nothing else waits for a time; the saga has just failed, or this was changed by hand.
                _ => self.put(step.name, status, None),
            }
            self.changed = true;
        }
    }

    /// Tells again what is under way.
    pub(super) fn resume(&mut self) {
        // What could be made before and cannot be any more ends by its time.
        let effects: Vec<_> = self.execution.under_way(self.plan).filter_map(|(step, call)| self.effect(step, call).ok()).collect();
        self.effects.extend(effects);
    }

    /// The other side is there, and wants to hear what is decided. It is told again, or now if that was given up or is to be tried later.
    pub(super) fn asked(&mut self, step: &str) {
        let Some((step, state)) = self.plan.step(step).zip(self.state(step)) else { return };
        let Some(direction) = state.status.doing().filter(|direction| matches!(direction, Direction::Commit | Direction::Abort)) else {
            return;
        };
        if matches!(state.status, StepStatus::UnderWay(_)) {
            let call = Call { step: step.name.to_owned(), direction, attempt: state.attempts.of(direction) };
            // What could be made before and cannot be any more ends by its time.
            self.effects.extend(self.effect(step, call).ok());
        } else {
            self.start(step, direction);
            self.changed = true;
        }
    }

    fn timed_out(&mut self, step: &'static Step, direction: Direction) {
        let after = step.timeout.unwrap_or(self.plan.policy.timeout);
        let error = Error::new(ErrorKind::Timeout, format!("step `{}` was not answered within {after:?}", step.name));
        // What runs here has not happened: its unit is dropped when it ends.
        if direction == Direction::Execute && matches!(step.work, Work::Remote { .. }) {
            self.doubt(step.name, true);
        }
        self.failed(step, direction, &error);
    }

    fn answered_error(&mut self, step: &'static Step, error: Error) {
        // Whoever answers an error has done nothing, and will not.
        self.doubt(step.name, false);
        let Work::Remote { on_error: Some(on_error), .. } = step.work else { return self.failed(step, Direction::Execute, &error) };
        match guarded(step, "on_error", || on_error(&self.execution.values, error)) {
            Ok(value) => self.done(step, StepStatus::Replaced, value),
            Err(error) => self.failed(step, Direction::Execute, &error),
        }
    }

    /// An attempt has failed: there is another one, or not.
    fn failed(&mut self, step: &'static Step, direction: Direction, error: &Error) {
        self.note(step.name, error);
        let Some(state) = self.state(step.name) else { return };
        let attempt = state.attempts.of(direction);
        let helps = match (direction, step.kind) {
            (Direction::Execute, StepKind::Compensable | StepKind::Pivot) => error.is_transient() && !self.failing(),
            _ => true,
        };
        if helps && attempt < state.limit {
            let pause = self.retry(step, direction).pause(attempt, self.moment.jitter);
            self.put(step.name, StepStatus::Pausing(direction), Some(later(self.moment.now, pause)));
        } else {
            self.give_up(step, direction, error);
        }
    }

    /// What it has prepared is applied or dropped, and nothing is held for it.
    fn decided(&mut self, step: &'static Step, status: StepStatus) {
        self.doubt(step.name, false);
        self.put(step.name, status, None);
        if let Some(state) = self.execution.steps.get_mut(step.name) {
            state.holds.clear();
        }
    }

    /// There is no other attempt.
    fn give_up(&mut self, step: &'static Step, direction: Direction, error: &Error) {
        let in_doubt = self.state(step.name).is_some_and(|state| state.in_doubt);
        match (direction, step.kind) {
            (Direction::Execute, StepKind::Compensable) => self.fail_at(step, error),
            // It decides whether the saga goes forward or back, so that has to be known first.
            (Direction::Execute, StepKind::Pivot) if in_doubt && !self.failing() => self.start(step, Direction::Cancel),
            (Direction::Execute, StepKind::Pivot) => self.fail_at(step, error),
            _ => self.stuck(step, direction),
        }
    }

    /// It is known not to have happened.
    pub(super) fn not_done(&mut self, step: &'static Step) {
        self.doubt(step.name, false);
        let known = self.state(step.name).and_then(|state| state.error.clone());
        self.put(step.name, StepStatus::Failed, None);
        if !self.failing() {
            let error = known.unwrap_or_else(|| self.failure(Some(step.name), &Error::internal("it has not happened")));
            self.execution.failure = Some(error);
        }
    }

    /// It has happened.
    pub(super) fn succeed(&mut self, step: &'static Step, outcome: Outcome) {
        let direction = self.state(step.name).and_then(|state| state.status.doing()).unwrap_or(Direction::Execute);
        let value = match read(step, &outcome) {
            Ok(value) => value,
            Err(error) => {
                // It has happened, but what it yields is not known, so it cannot be undone yet.
                self.doubt(step.name, true);
                self.note(step.name, &error);
                return match (direction, step.kind) {
                    (Direction::Execute, StepKind::Compensable) => self.fail_at(step, &error),
                    // An operator wants the saga undone meanwhile: it is asked whether there is more to know, and not to be done once more.
                    (Direction::Execute, StepKind::Pivot) if self.failing() => self.fail_at(step, &error),
                    _ => self.stuck(step, direction),
                };
            }
        };
        let failing = self.failing();
        self.done(step, StepStatus::Succeeded, value);
        let Work::Remote { on_success: Some(on_success), .. } = step.work else { return };
        if failing && step.kind == StepKind::Compensable {
            return;
        }
        if let Err(error) = guarded(step, "on_success", || on_success(&self.execution.values)) {
            self.note(step.name, &error);
            if step.kind == StepKind::Compensable {
                self.execution.failure = Some(self.failure(Some(step.name), &error));
            } else {
                self.doubt(step.name, true);
                self.stuck(step, Direction::Execute);
            }
        }
    }

    /// It counts as done, with this value.
    pub(super) fn done(&mut self, step: &'static Step, status: StepStatus, value: Value) {
        self.doubt(step.name, false);
        self.put(step.name, status, None);
        if let Some(output) = &step.output {
            self.execution.values.set(output.name, value);
        }
        if step.kind == StepKind::Pivot {
            // An operator wanted the saga undone, and it was too late for that.
            self.execution.failure = None;
        }
    }

    /// It has not happened, or nobody knows; the saga fails.
    pub(super) fn fail_at(&mut self, step: &'static Step, error: &Error) {
        self.put(step.name, StepStatus::Failed, None);
        if !self.failing() {
            self.execution.failure = Some(self.failure(Some(step.name), error));
        }
    }

    fn stuck(&mut self, step: &'static Step, direction: Direction) {
        self.put(step.name, StepStatus::Stuck(direction), None);
        self.effects.push(Effect::Alarm { step: step.name.to_owned() });
    }

    /// The other side holds something for this, or may. Asked whether it has happened, it speaks of that.
    pub(super) fn holds(&mut self, step: &str, direction: Direction) {
        let of = if direction == Direction::Undo { Direction::Undo } else { Direction::Execute };
        if let Some(state) = self.execution.steps.get_mut(step)
            && !state.holds.contains(&of)
        {
            state.holds.push(of);
        }
    }

    /// The execution has ended: nobody holds anything for it any more.
    pub(super) fn release(&mut self) {
        for step in self.plan.steps() {
            let Some(state) = self.state(step.name).filter(|state| !state.holds.is_empty()) else { continue };
            let attempts = state.attempts;
            for direction in state.holds.clone() {
                match self.effect(step, Call { step: step.name.to_owned(), direction, attempt: attempts.of(direction) }) {
                    Ok(Effect::Send { call, message }) => self.effects.push(Effect::Release { call, message }),
                    Ok(_) => {}
                    // The same message could be made before. Now what is held has to be released by hand.
                    Err(error) => {
                        self.note(step.name, &error.context("what it holds cannot be released"));
                        self.effects.push(Effect::Alarm { step: step.name.to_owned() });
                    }
                }
            }
        }
    }

    /// When this is tried again.
    pub(super) fn retry(&self, step: &Step, direction: Direction) -> Retry {
        match (direction, step.kind) {
            (Direction::Execute, StepKind::Retriable) => step.retry.unwrap_or(self.plan.policy.patient),
            (Direction::Execute, _) => step.retry.unwrap_or(ONCE),
            (Direction::Cancel | Direction::Undo | Direction::Commit | Direction::Abort, _) => self.plan.policy.patient,
        }
    }

    pub(super) fn state(&self, step: &str) -> Option<&StepState> {
        self.execution.steps.get(step)
    }

    pub(super) fn failure(&self, at: Option<&str>, error: &Error) -> Failure {
        Failure::new(at, error, self.moment.now)
    }

    pub(super) fn put(&mut self, step: &str, status: StepStatus, due: Option<Timestamp>) {
        if let Some(state) = self.execution.steps.get_mut(step) {
            (state.status, state.due, state.changed_at) = (status, due, self.moment.now);
        }
    }

    fn note(&mut self, step: &str, error: &Error) {
        let failure = self.failure(Some(step), error);
        if let Some(state) = self.execution.steps.get_mut(step) {
            state.error = Some(failure);
        }
    }

    fn doubt(&mut self, step: &str, in_doubt: bool) {
        if let Some(state) = self.execution.steps.get_mut(step) {
            state.in_doubt = in_doubt;
        }
    }
}

/// What a step yields, read as the type that it is to be of.
pub(crate) fn read(step: &Step, outcome: &Outcome) -> Result<Value> {
    let bytes = match outcome {
        Outcome::Answer(bytes) => bytes.clone(),
        Outcome::Value(value) => serde_json::to_vec(value)?,
        Outcome::NotDone => return Err(Error::rejected(format!("step `{}` was answered as cancelled", step.name))),
    };
    match &step.work {
        Work::Remote { read, .. } => {
            guarded(step, "the answer", || read(&bytes)).map_err(|error| error.context(format!("the answer to step `{}`", step.name)))
        }
        Work::Local { .. } => Ok(serde_json::from_slice(&bytes)?),
    }
}

/// Calls a function of the definition. That it panics is an error.
pub(super) fn guarded<T>(step: &Step, what: &str, call: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|panic| Err(Error::panicked(format_args!("`{what}` of step `{}`", step.name), &*panic)))
}

/// A time so much later, or the last one that can be written.
fn later(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}
