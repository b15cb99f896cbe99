//! One step of a saga that the test drives.

use super::{
    super::service::{block_on, collected, read},
    drive::{SagaTest, json},
};
use crate::{
    aggregate::prepare,
    context::SagaStep,
    error::Error,
    message::Message,
    saga::{Call, Direction, LocalWork, Outcome, Saga, Work},
};
use futures_util::FutureExt;
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt, panic::AssertUnwindSafe};

/// A step that waits for something.
pub struct StepTest<'t, S> {
    pub(super) test: &'t mut SagaTest<S>,
    pub(super) call: Call,
}

impl<S: Saga> StepTest<'_, S> {
    /// What it was sent.
    ///
    /// # Panics
    /// If it is another message, or the step runs here.
    #[track_caller]
    pub fn sent<M: Message + DeserializeOwned>(&self) -> M {
        let step = &self.call.step;
        match self.test.message(&self.call) {
            Some(sent) if sent.name == M::NAME => read(M::NAME, sent.content.to_string().as_bytes()),
            Some(sent) => panic!("step `{step}` has sent `{}`, not `{}`", sent.name, M::NAME),
            None => panic!("step `{step}` runs here, and sends no `{}`", M::NAME),
        }
    }

    /// The other service answers: that it has done it or, if it is asked to, undone it. A local step has done its work, and yields this, without
    /// that its function runs.
    ///
    /// # Panics
    /// If the answer cannot be written as JSON, or is not what the step yields.
    #[track_caller]
    pub fn answer(self, answer: impl Serialize) {
        let bytes = json(&answer);
        let outcome =
            if self.is_local() { Outcome::Value(serde_json::from_slice(&bytes).unwrap_or_default()) } else { Outcome::Answer(bytes) };
        if let Some(step) =
            self.test.plan.step(&self.call.step).filter(|_| matches!(self.call.direction, Direction::Execute | Direction::Cancel))
            && let Err(error) = crate::saga::read(step, &outcome)
        {
            panic!("that is not what step `{}` yields: {}", step.name, error.chain());
        }
        self.test.ended(self.call, Ok(outcome));
    }

    /// The other service, which is asked whether it was done, says that it was not, and never will be.
    ///
    /// # Panics
    /// If it is not asked that.
    #[track_caller]
    pub fn not_done(self) {
        assert!(self.call.direction == Direction::Cancel, "nobody asks whether it was done: {}", self.test.stands());
        self.test.ended(self.call, Ok(Outcome::NotDone));
    }

    /// It says no, which it will say again (`422`).
    #[track_caller]
    pub fn refuse(self, why: &str) {
        self.fail_with(Error::rejected(why.to_owned()));
    }

    /// It cannot be done now (`503`).
    #[track_caller]
    pub fn fail(self, why: &str) {
        self.fail_with(Error::unavailable(why.to_owned()));
    }

    /// It fails with this error.
    #[track_caller]
    pub fn fail_with(self, error: Error) {
        self.test.ended(self.call, Err(error));
    }

    /// No answer comes until its time is over.
    ///
    /// # Panics
    /// If it has no time limit.
    #[track_caller]
    pub fn times_out(self) {
        match self.test.execution.steps.get(&self.call.step).and_then(|state| state.due) {
            Some(due) => self.test.due(due),
            None => panic!("step `{}` has no `timeout`", self.call.step),
        }
    }

    /// The function of a local step runs, in one commit with what follows. If it fails, the step has failed; if it panics, too.
    ///
    /// What it holds is held in the [`TestService`](crate::testing::TestService) until the saga has ended. What a step of an isolated saga does is prepared there: nobody
    /// but its own steps sees it before all are done, and nobody at all if the saga fails.
    ///
    /// # Panics
    /// If it is another service that does the step.
    #[track_caller]
    pub fn run(self) {
        let StepTest { test, call } = self;
        let work: Option<LocalWork> = match (test.plan.step(&call.step).map(|step| &step.work), call.direction) {
            (Some(Work::Local { execute, .. }), Direction::Execute) => Some(*execute),
            (Some(Work::Local { undo, .. }), Direction::Undo) => *undo,
            _ => None,
        };
        let Some(work) = work else { panic!("step `{}` does not run here: {}", call.step, test.stands()) };
        // The same id each time that it is tried, as in a service.
        let id = Call::first(&call.step, call.direction).message_id(test.execution.id);
        let (service, execution, isolated) = (&test.service, &test.execution, test.plan.is_isolated());
        let step =
            SagaStep { saga: execution.saga.clone(), execution: execution.id, service: service.name().to_owned(), step: call.step.clone() };
        let worked = block_on(async || {
            let mut cx = service.context(id);
            cx.for_step(Some(step.clone()), isolated);
            let done = AssertUnwindSafe(async { work(&mut cx, &execution.values).await }).catch_unwind().await;
            let value = done.unwrap_or_else(|panic| Err(Error::panicked(format_args!("step `{}`", call.step), &*panic)))?;
            let mut unit = collected(cx)?;
            let prepared = if isolated { Some(prepare(&mut unit, &step)?) } else { None };
            Ok((value, unit, prepared))
        });
        match worked {
            Ok((value, unit, prepared)) => test.worked(call, value, unit, prepared),
            Err(error) => {
                test.ended(call, Err(error));
            }
        }
    }

    fn is_local(&self) -> bool {
        self.test.plan.step(&self.call.step).is_some_and(|step| matches!(step.work, Work::Local { .. }))
    }
}

impl<S: Saga> fmt::Debug for StepTest<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepTest").field("call", &self.call).finish_non_exhaustive()
    }
}
