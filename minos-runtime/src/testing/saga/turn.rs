//! One turn of an execution that the test drives.

use super::{
    super::service::block_on,
    drive::{SagaTest, Sent},
};
use crate::{
    aggregate::{Prepared, taken},
    error::{Error, Result},
    saga::{Call, Direction, Effect, Input, Moment, Outcome, Saga, TransitionError, apply_or_release, transition},
    store::{Cause, Unit},
};
use jiff::Timestamp;
use serde_json::Value;

/// Why nothing has happened.
enum Stopped {
    /// It cannot be.
    Refused(TransitionError),
    /// It cannot be committed.
    Store(Error),
}

impl<S: Saga> SagaTest<S> {
    #[track_caller]
    pub(super) fn due(&mut self, due: Timestamp) {
        self.service.set(self.service.now().max(due));
        self.input(Input::Due);
    }

    /// Whether that an attempt has ended made a difference.
    #[track_caller]
    pub(super) fn ended(&mut self, call: Call, result: Result<Outcome>) -> bool {
        self.last = Some((call.clone(), copied(&result)));
        self.input(Input::Ended { call, result, holds: false })
    }

    #[track_caller]
    pub(super) fn input(&mut self, input: Input) -> bool {
        self.try_input(input).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A local step has done its work. If that cannot be committed, the step has failed.
    #[track_caller]
    pub(super) fn worked(&mut self, call: Call, value: Value, unit: Unit, prepared: Option<Prepared>) {
        let outcome = Ok(Outcome::Value(value));
        self.last = Some((call.clone(), copied(&outcome)));
        let prepared = prepared.map(|prepared| (call.step.clone(), prepared));
        match self.turn(Input::Ended { call: call.clone(), result: outcome, holds: false }, unit, prepared) {
            Ok(_) => {}
            Err(Stopped::Refused(error)) => panic!("{error}"),
            Err(Stopped::Store(error)) => {
                self.ended(call, Err(error));
            }
        }
    }

    pub(super) fn try_input(&mut self, input: Input) -> Result<bool, TransitionError> {
        let id = self.execution.id;
        let unit = Unit::new(self.service.now(), Cause { correlation: id, causation: id, user: None, trace: None });
        self.turn(input, unit, None).map_err(|stopped| match stopped {
            Stopped::Refused(error) => error,
            Stopped::Store(error) => panic!("what local steps have prepared or hold cannot be committed: {}", error.chain()),
        })
    }

    /// One commit, as in a service: what has happened to the execution, what was collected there, and what becomes of what its local steps have prepared and hold.
    /// Whether that made a difference.
    fn turn(&mut self, input: Input, mut unit: Unit, prepared: Option<(String, Prepared)>) -> Result<bool, Stopped> {
        let (mut execution, before) = (self.execution.clone(), self.execution.version);
        execution.holds.extend(taken(&unit));
        execution.prepared.extend(prepared);
        // Without chance: a pause is as long as its step says.
        let moment = Moment { now: self.service.now(), jitter: 0.0 };
        let effects = transition(&self.plan, &mut execution, input, moment).map_err(Stopped::Refused)?;
        if execution.version != before {
            let (plan, service, was_decided) = (&self.plan, &self.service, self.execution.decided);
            if !unit.is_empty() || !execution.holds.is_empty() || !execution.prepared.is_empty() {
                let committed = block_on(async || {
                    apply_or_release(service.store(), &mut unit, plan, &mut execution, was_decided).await?;
                    service.commit(unit).await
                });
                committed.map_err(Stopped::Store)?;
            }
            self.execution = execution;
        }
        for effect in effects {
            let (call, message) = match effect {
                Effect::Send { call, message } => (call, Some(message)),
                Effect::Run { call } => (call, None),
                Effect::Alarm { .. } | Effect::Release { .. } | Effect::Finished => continue,
            };
            if call.direction == Direction::Undo && !self.undone.contains(&call.step) {
                self.undone.push(call.step.clone());
            }
            let Call { step, direction, attempt } = call;
            self.sent.extend(message.map(|message| {
                // What was written by serde_json just now.
                let content = serde_json::from_slice(&message.content).unwrap_or_default();
                Sent { step, direction, attempt, name: message.name, content }
            }));
        }
        Ok(self.execution.version != before)
    }
}

pub(super) fn copied(result: &Result<Outcome>) -> Result<Outcome> {
    match result {
        Ok(outcome) => Ok(outcome.clone()),
        Err(error) => Err(error.copied()),
    }
}
