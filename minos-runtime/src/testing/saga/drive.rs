//! One execution, driven by the test.

use super::{
    super::service::{TestService, read},
    step::StepTest,
    turn::copied,
};
use crate::{
    error::{Error, Result},
    message::Message,
    saga::{
        Call, Direction, Execution, Failure, Input, Outcome, Plan, Policy, Repair, Saga, Status, StepStatus, TransitionError, Values, Work,
        diagram,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{fmt, marker::PhantomData};
use uuid::Uuid;

/// A saga that the test drives: it plays the other services, and sees what they are asked. There is no IO, and no time passes but by the test.
///
/// Whatever the test does that the saga does not wait for is a panic that says what it waits for.
pub struct SagaTest<S> {
    pub(super) plan: Plan,
    pub(super) execution: Execution,
    pub(super) service: TestService,
    pub(super) sent: Vec<Sent>,
    pub(super) undone: Vec<String>,
    pub(super) last: Option<(Call, Result<Outcome>)>,
    saga: PhantomData<fn() -> S>,
}

/// A message of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// The step.
    pub step: String,
    /// To do it, to undo it, or to learn whether it was done; of an isolated saga, to apply or to drop what it has prepared.
    pub direction: Direction,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// The message's name.
    pub name: &'static str,
    /// What it says.
    pub content: Value,
}

impl TestService {
    /// Begins a saga of this service.
    ///
    /// # Panics
    /// If the saga cannot be executed, or the input not be written as JSON.
    #[track_caller]
    pub fn start<S: Saga>(&self, input: S) -> SagaTest<S> {
        let plan = Plan::of(S::definition(), Policy::default()).unwrap_or_else(|error| panic!("{error}"));
        let values = Values::of(&input).unwrap_or_else(|error| panic!("{}", error.chain()));
        let execution = Execution::new(&plan, Uuid::now_v7(), values, self.now());
        let (sent, undone) = (Vec::new(), Vec::new());
        let mut test = SagaTest { plan, execution, service: self.clone(), sent, undone, last: None, saga: PhantomData };
        test.input(Input::Started);
        test
    }
}

impl<S: Saga> SagaTest<S> {
    /// Begins a saga of a service that has nothing in its store. One that has is [`TestService::start`]'s.
    ///
    /// # Panics
    /// If the saga cannot be executed, or the input not be written as JSON.
    #[track_caller]
    pub fn start(input: S) -> Self {
        TestService::new().start(input)
    }

    /// The message that waits for an answer; of several, the one of this type.
    ///
    /// # Panics
    /// If there is none, or more than one.
    #[track_caller]
    pub fn sent<M: Message + DeserializeOwned>(&self) -> M {
        let waiting: Vec<_> = self.waiting().into_iter().filter_map(|call| self.message(&call)).collect();
        let one = waiting.iter().filter(|sent| sent.name == M::NAME).collect::<Vec<_>>();
        match &one[..] {
            [sent] => read(M::NAME, sent.content.to_string().as_bytes()),
            [] => panic!("no `{}` waits for an answer: {}", M::NAME, self.stands()),
            _ => panic!("more than one `{}` waits for an answer: say of which step, as `saga.step(\"…\").sent()`", M::NAME),
        }
    }

    /// All messages that were sent, in the order in which they were.
    pub fn messages(&self) -> &[Sent] {
        &self.sent
    }

    /// The steps whose compensation was begun, in the order in which it was.
    pub fn undone(&self) -> Vec<&str> {
        self.undone.iter().map(String::as_str).collect()
    }

    /// The steps that wait for an answer, or run here.
    pub fn waits_for(&self) -> Vec<&'static str> {
        self.execution.under_way(&self.plan).map(|(step, _)| step.name).collect()
    }

    /// One of the steps that wait.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn step(&mut self, step: &str) -> StepTest<'_, S> {
        match self.waiting().into_iter().find(|call| call.step == step) {
            Some(call) => StepTest { test: self, call },
            None => panic!("step `{step}` waits for nothing: {}", self.stands()),
        }
    }

    /// The one step that waits.
    #[track_caller]
    fn only(&mut self) -> StepTest<'_, S> {
        let mut waiting = self.waiting();
        match (waiting.pop(), waiting.pop()) {
            (Some(call), None) => StepTest { test: self, call },
            (None, _) => panic!("no step waits: {}", self.stands()),
            _ => panic!("more than one step waits: say which, as `saga.step(\"…\")`: {}", self.stands()),
        }
    }

    /// The other service answers: see [`StepTest::answer`].
    #[track_caller]
    pub fn answer(&mut self, answer: impl Serialize) {
        self.only().answer(answer);
    }

    /// The other service has not done it, and never will: see [`StepTest::not_done`].
    #[track_caller]
    pub fn not_done(&mut self) {
        self.only().not_done();
    }

    /// The other service, or a local step, says no: see [`StepTest::refuse`].
    #[track_caller]
    pub fn refuse(&mut self, why: &str) {
        self.only().refuse(why);
    }

    /// It cannot be done now: see [`StepTest::fail`].
    #[track_caller]
    pub fn fail(&mut self, why: &str) {
        self.only().fail(why);
    }

    /// No answer comes: see [`StepTest::times_out`].
    #[track_caller]
    pub fn times_out(&mut self) {
        self.only().times_out();
    }

    /// The local step that waits runs: see [`StepTest::run`].
    #[track_caller]
    pub fn run(&mut self) {
        self.only().run();
    }

    /// What pauses between two attempts is tried again.
    ///
    /// # Panics
    /// If nothing pauses.
    #[track_caller]
    pub fn pause_ends(&mut self) {
        let pausing = self.execution.steps.values().filter(|state| matches!(state.status, StepStatus::Pausing(_)));
        match pausing.filter_map(|state| state.due).min() {
            Some(due) => self.due(due),
            None => panic!("nothing pauses: {}", self.stands()),
        }
    }

    /// An answer to an attempt at a step comes, whether or not the saga waits for it. Says whether it has made a difference.
    ///
    /// # Panics
    /// If the answer cannot be written as JSON.
    #[track_caller]
    pub fn answer_late(&mut self, step: &str, attempt: u32, answer: impl Serialize) -> bool {
        let call = Call { step: step.to_owned(), direction: Direction::Execute, attempt };
        self.ended(call, Ok(Outcome::Answer(json(&answer))))
    }

    /// The last answer comes once more, as it may. It must not make a difference.
    ///
    /// # Panics
    /// If there was none, or if it does.
    #[track_caller]
    pub fn answer_again(&mut self) {
        let Some((call, result)) = &self.last else { panic!("nothing was answered yet") };
        let (call, result) = (call.clone(), copied(result));
        assert!(!self.ended(call, result), "the same answer twice made a difference: {}", self.stands());
    }

    /// The service dies and starts again. Local steps that were under way have not happened, and nothing else changes.
    ///
    /// # Panics
    /// If something does.
    #[track_caller]
    pub fn crash(&mut self) {
        let (before, sent) = (self.execution.clone(), self.sent.len());
        self.input(Input::Started);
        self.input(Input::Resumed);
        // What is told again was in the outbox.
        self.sent.truncate(sent);
        assert!(self.execution == before, "a crash made a difference: {}", self.stands());
    }

    /// An operator repairs something.
    ///
    /// # Errors
    /// If that is not possible as it stands.
    pub fn repair(&mut self, repair: Repair) -> Result<(), TransitionError> {
        self.try_input(Input::Repair(repair)).map(|_| ())
    }

    /// That it has committed: what is known then.
    ///
    /// # Panics
    /// If it has not.
    #[track_caller]
    pub fn committed(&self) -> S::Done {
        assert!(self.execution.status == Status::Committed, "the saga has not committed: {}", self.stands());
        self.execution.values.view().unwrap_or_else(|error| panic!("{}", error.chain()))
    }

    /// That it has ended with everything undone: the error that who runs it gets.
    ///
    /// # Panics
    /// If it has not.
    #[track_caller]
    pub fn rolled_back(&self) -> Error {
        assert!(self.execution.status == Status::RolledBack, "the saga is not rolled back: {}", self.stands());
        match &self.execution.failure {
            Some(failure) => failure.error(),
            None => panic!("nothing says why the saga is rolled back"),
        }
    }

    /// That it waits for an operator: the steps and decisions for which it does.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn needs_operator(&self) -> Vec<&str> {
        assert!(self.execution.status == Status::NeedsOperator, "the saga does not wait for an operator: {}", self.stands());
        self.execution.stuck().map(|(name, _)| name).collect()
    }

    /// Why it is being undone, if it is.
    pub fn failure(&self) -> Option<&Failure> {
        self.execution.failure.as_ref()
    }

    /// All that is stored of it.
    pub fn execution(&self) -> &Execution {
        &self.execution
    }

    /// How it stands, in the language of Mermaid.
    pub fn diagram(&self) -> String {
        diagram(self.plan.definition(), Some(&self.execution))
    }

    fn waiting(&self) -> Vec<Call> {
        self.execution.under_way(&self.plan).map(|(_, call)| call).collect()
    }

    pub(super) fn message(&self, call: &Call) -> Option<&Sent> {
        self.sent.iter().rev().find(|sent| (&sent.step, sent.direction, sent.attempt) == (&call.step, call.direction, call.attempt))
    }

    /// How it stands, in a sentence.
    pub(super) fn stands(&self) -> String {
        let mut text = format!("the saga `{}` is {}", S::NAME, self.execution.status);
        if let Some(failure) = &self.execution.failure {
            let at = failure.at.as_deref().map(|at| format!(" of `{at}`")).unwrap_or_default();
            text += &format!(" because{at} `{}`", failure.causes.as_ref().unwrap_or(&failure.message));
        }
        for (step, call) in self.execution.under_way(&self.plan) {
            let what = match (&step.work, call.direction, self.message(&call)) {
                (Work::Remote { .. }, Direction::Execute, Some(sent)) => format!("`{}` to be answered", sent.name),
                (Work::Remote { .. }, Direction::Cancel, _) => "an answer to whether it was done, or `not_done`".to_owned(),
                (Work::Remote { .. }, Direction::Commit, _) => "an answer to that what it has prepared is applied".to_owned(),
                (Work::Remote { .. }, Direction::Abort, _) => "an answer to that what it has prepared is dropped".to_owned(),
                (Work::Remote { .. }, _, Some(sent)) => format!("`{}`, which undoes it, to be answered", sent.name),
                (Work::Remote { .. }, ..) => "an answer".to_owned(),
                (Work::Local { .. }, Direction::Undo, _) => "its compensation to `run`".to_owned(),
                (Work::Local { .. }, ..) => "its work to `run`".to_owned(),
            };
            text += &format!("; step `{}` waits for {what} (attempt {})", call.step, call.attempt);
        }
        for (name, state) in &self.execution.steps {
            if let (StepStatus::Pausing(_), Some(due)) = (state.status, state.due) {
                text += &format!("; step `{name}` pauses until {due}");
            }
        }
        for (name, failure) in self.execution.stuck() {
            let why = failure.map(|failure| format!(": {}", failure.message)).unwrap_or_default();
            text += &format!("; `{name}` waits for an operator{why}");
        }
        text
    }
}

impl<S: Saga> fmt::Debug for SagaTest<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SagaTest").field("execution", &self.execution).field("sent", &self.sent).finish_non_exhaustive()
    }
}

#[track_caller]
pub(super) fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_else(|error| panic!("this cannot be written as JSON: {error}"))
}
