//! A world around one execution: other services with their inboxes, a broker that repeats, delays and loses, a coordinator that dies, an operator.
//!
//! A crash before a commit leaves what was before it, so it is the same life as a crash that comes then. Two coordinators that take one message are one that
//! takes it and one that looks again: so whatever is taken is taken twice.

use super::{
    event::{Answer, Budget, Event, spend},
    participant::{Participant, Row, participate},
    script::{GARBAGE, Script},
};
use crate::{
    error::{Error, Result},
    saga::{
        Call, Decision, Direction, Effect, Execution, Input, Moment, Outcome, Outgoing, Repair, Status, Step, StepState, StepStatus,
        TransitionError, Values, Work, transition,
    },
};
use jiff::Timestamp;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{Hash, Hasher},
    rc::Rc,
};

/// All that happens does at this time: whatever is due may come in any order.
pub(super) const MOMENT: Moment = Moment { now: Timestamp::UNIX_EPOCH, jitter: 0.5 };
/// When what waits for a time is due.
const LATER: Timestamp = Timestamp::MAX;

#[derive(Clone)]
pub(super) struct World {
    pub(super) script: Rc<Script>,
    pub(super) execution: Execution,
    pub(super) requests: BTreeSet<Call>,
    pub(super) replies: BTreeSet<(Call, Answer)>,
    pub(super) running: BTreeSet<Call>,
    pub(super) rows: BTreeMap<&'static str, Row>,
    pub(super) budget: Budget,
    /// How many faults there were.
    pub(super) spent: u32,
    /// The message of each step, and that which undoes it.
    messages: BTreeMap<(&'static str, bool), Rc<Outgoing>>,
    pub(super) participant: Participant,
    /// What the other sides were told to release: all that they do holds something.
    pub(super) released: BTreeSet<(&'static str, Direction)>,
}

/// Either a world, or what is wrong with it.
pub(super) type Checked<T> = std::result::Result<T, String>;

impl World {
    /// A new execution, for which this is decided already.
    pub(super) fn new(script: Rc<Script>, values: Values, decisions: BTreeMap<String, Decision>, budget: Budget) -> Checked<Self> {
        let mut execution = Execution::new(&script.plan, uuid::Uuid::from_u128(1), values, MOMENT.now);
        execution.decisions = decisions;
        let mut world = World {
            script,
            execution,
            requests: BTreeSet::new(),
            replies: BTreeSet::new(),
            running: BTreeSet::new(),
            rows: BTreeMap::new(),
            budget,
            spent: 0,
            messages: BTreeMap::new(),
            participant: participate,
            released: BTreeSet::new(),
        };
        world.input(Input::Started, true)?;
        Ok(world)
    }

    /// What makes this world another one than others of the same saga. How many faults are left does not: those with more left come first.
    pub(super) fn identify(&self, hasher: &mut impl Hasher) {
        let execution = &self.execution;
        execution.status.hash(hasher);
        execution.version.hash(hasher);
        for (name, StepState { status, attempts, limit, due, in_doubt, error, .. }) in &execution.steps {
            let attempts = (attempts.execute, attempts.cancel, attempts.undo, attempts.commit, attempts.abort);
            (name, status, attempts, limit, due.is_some(), in_doubt, error.as_ref().map(|error| &error.message)).hash(hasher);
        }
        for (name, decision) in &execution.decisions {
            (name, matches!(decision, Decision::Then), matches!(decision, Decision::Stuck(_))).hash(hasher);
        }
        execution.failure.as_ref().map(|failure| (&failure.at, &failure.message)).hash(hasher);
        for (name, value) in execution.values.fields() {
            (name, value).hash(hasher);
        }
        (&self.requests, &self.replies, &self.running, &self.rows, &self.released, execution.decided).hash(hasher);
        Budget { faults: 0, ..self.budget }.hash(hasher);
    }

    pub(super) fn step(&self, name: &str) -> Option<&'static Step> {
        self.script.plan.step(name)
    }

    pub(super) fn row(&self, name: &str) -> Row {
        self.rows.get(name).cloned().unwrap_or_default()
    }

    fn row_mut(&mut self, name: &str) -> Option<&mut Row> {
        let step = self.step(name)?;
        Some(self.rows.entry(step.name).or_default())
    }

    /// The world in which this has happened.
    pub(super) fn after(&self, event: &Event) -> Checked<Self> {
        let mut world = self.clone();
        if event.is_fault() {
            spend(&mut world.budget.faults);
            world.spent += 1;
        }
        match event {
            Event::Deliver { call, answer, again, .. } => {
                if *again {
                    spend(&mut world.budget.duplicates);
                } else {
                    world.requests.remove(call);
                }
                world.handle(call, *answer)?;
                world.replies.insert((call.clone(), *answer));
                world.forget_noise()?;
            }
            Event::Reply { call, answer, again } => {
                if *again {
                    spend(&mut world.budget.duplicates);
                } else {
                    world.replies.remove(&(call.clone(), *answer));
                }
                world.input(world.ended(call, *answer), false)?;
                world.same_again(call, *answer)?;
            }
            Event::Lose { call, answer } => {
                spend(&mut world.budget.losses);
                world.replies.remove(&(call.clone(), *answer));
            }
            Event::Run { call, answer, again, .. } => {
                if *again {
                    spend(&mut world.budget.duplicates);
                } else {
                    world.running.remove(call);
                }
                // One commit: the work counts if the transition does.
                if let Some(row) = world.row_mut(&call.step).filter(|_| *answer == Answer::Good) {
                    if call.direction == Direction::Undo {
                        row.undone += 1;
                    } else {
                        row.happened += 1;
                    }
                }
                if !world.input(world.ended(call, *answer), false)? {
                    world.rows.clone_from(&self.rows);
                }
                world.same_again(call, *answer)?;
            }
            Event::Break { call } => {
                spend(&mut world.budget.broken);
                if let Some(row) = world.row_mut(&call.step) {
                    row.broken = true;
                }
            }
            Event::Due { step, .. } => {
                if let Some(state) = world.execution.steps.get_mut(*step) {
                    state.due = Some(MOMENT.now);
                }
                if !world.input(Input::Due, false)? {
                    return Err(format!("nothing happened though `{step}` was due"));
                }
            }
            Event::Ask { step } => {
                spend(&mut world.budget.questions);
                let status = self.execution.steps.get(*step).map(|state| state.status);
                let again = matches!(status, Some(StepStatus::UnderWay(_)));
                if world.input(Input::Asked { step: (*step).to_owned() }, again)? == again || world.requests.is_empty() {
                    return Err(format!("`{step}` asks what is decided, and is not told"));
                }
            }
            Event::Crash => {
                spend(&mut world.budget.crashes);
                // Messages are in the outbox; what was running here is gone.
                world.running.clear();
                if world.input(Input::Started, false)? || world.input(Input::Resumed, true)? {
                    return Err("something has changed by a crash".to_owned());
                }
            }
            Event::Repair { repair, fault } => {
                if *fault || matches!(repair, Repair::Skip { .. }) {
                    spend(&mut world.budget.repairs);
                }
                return world.repaired(repair, self);
            }
        }
        Ok(world)
    }

    /// The other side handles a request.
    fn handle(&mut self, call: &Call, answer: Answer) -> Checked<()> {
        if answer == Answer::Garbage && self.row(&call.step).happened == 0 {
            spend(&mut self.budget.garbage);
        }
        let participant = self.participant;
        self.row_mut(&call.step).map_or(Ok(()), |row| participant(row, call, answer))
    }

    /// What the operator does.
    fn repaired(mut self, repair: &Repair, before: &World) -> Checked<Self> {
        if let Repair::Skip { step, value } = repair {
            let stuck = self.execution.steps.get(step).and_then(|state| match state.status {
                StepStatus::Stuck(direction) => Some(direction),
                _ => None,
            });
            if let Some(row) = self.row_mut(step) {
                row.by_hand = true;
                match (stuck == Some(Direction::Undo), value) {
                    _ if stuck == Some(Direction::Commit) => row.applied = 1,
                    _ if stuck == Some(Direction::Abort) => (row.dropped, row.cancelled) = (true, true),
                    (true, _) => row.undone = 1,
                    (false, Some(_)) => row.happened = 1,
                    (false, None) => row.cancelled = true,
                }
            }
            // What was done by hand is not done by a message that is still on its way.
            self.requests.retain(|call| call.step != *step);
        }
        if let Repair::Skip { step, .. } | Repair::Retry { step } = repair
            && let Some(row) = self.row_mut(step)
        {
            row.broken = false;
        }
        match self.input(Input::Repair(repair.clone()), false) {
            Err(error) if error.starts_with(REFUSED) && self.execution == before.execution => {
                Ok(World { budget: self.budget, spent: self.spent, ..before.clone() })
            }
            other => other.map(|_| self),
        }
    }

    /// An attempt has ended for the coordinator.
    fn ended(&self, call: &Call, answer: Answer) -> Input {
        let local = self.step(&call.step).is_some_and(|step| matches!(step.work, Work::Local { .. }));
        let decides = matches!(call.direction, Direction::Commit | Direction::Abort);
        let holds = matches!(answer, Answer::Good | Answer::Garbage) && !decides && !local;
        Input::Ended { call: call.clone(), result: self.outcome(call, answer), holds }
    }

    /// What the coordinator hears of an answer.
    pub(super) fn outcome(&self, call: &Call, answer: Answer) -> Result<Outcome> {
        let told = || self.script.answer(&call.step).filter(|_| call.direction != Direction::Undo);
        let local = self.step(&call.step).is_some_and(|step| matches!(step.work, Work::Local { .. }));
        match answer {
            Answer::Good if local => Ok(Outcome::Value(told().map_or(Value::Null, |told| told.value.clone()))),
            Answer::Good => Ok(Outcome::Answer(told().map_or_else(|| b"null".to_vec(), |told| told.bytes.clone()))),
            Answer::Garbage => Ok(Outcome::Answer(GARBAGE.to_vec())),
            Answer::NotDone => Ok(Outcome::NotDone),
            Answer::Transient => Err(Error::unavailable("not now")),
            Answer::Permanent => Err(Error::rejected("never")),
        }
    }

    /// Gives an input to the execution. Whether it has changed.
    fn input(&mut self, input: Input, repeats: bool) -> Checked<bool> {
        let before = self.execution.clone();
        let cause = Cause::of(&input);
        let effects = match transition(&self.script.plan, &mut self.execution, input, MOMENT) {
            Ok(effects) => effects,
            Err(TransitionError::Refused { why, .. }) => return Err(format!("{REFUSED}{why}")),
            Err(error) => return Err(error.to_string()),
        };
        let changed = self.execution.version != before.version;
        if !changed && (self.execution != before || !(effects.is_empty() || repeats)) {
            return Err("a change that does not count as one: another coordinator could overwrite it".to_owned());
        }
        if before.status.is_final() && (changed || !effects.is_empty()) {
            return Err("something happens after the end".to_owned());
        }
        if self.script.strict {
            self.check_callbacks(&before, &cause)?;
        }
        for effect in effects {
            self.effect(effect, &before, repeats)?;
        }
        self.forget_times();
        self.forget_noise()?;
        Ok(changed)
    }

    fn effect(&mut self, effect: Effect, before: &Execution, repeats: bool) -> Checked<()> {
        let (call, message) = match effect {
            Effect::Send { call, message } => (call, Some(message)),
            Effect::Run { call } => (call, None),
            Effect::Alarm { step } if self.execution.stuck().any(|(name, _)| name == step) => return Ok(()),
            Effect::Finished if self.execution.status.is_final() => return Ok(()),
            Effect::Release { call, .. } if self.execution.status.is_final() => {
                let step = self.step(&call.step).filter(|step| matches!(step.work, Work::Remote { .. }));
                let name = step.ok_or("nobody else does this step")?.name;
                let new = self.released.insert((name, call.direction));
                return if new { Ok(()) } else { Err(format!("{call:?} is released twice")) };
            }
            other => return Err(format!("{other:?} without a reason")),
        };
        let step = self.step(&call.step).ok_or("an effect for an unknown step")?;
        self.check_effect(step, &call, message.is_none(), before, repeats)?;
        let Some(message) = message else {
            self.running.insert(call);
            return Ok(());
        };
        let key = (step.name, call.direction == Direction::Undo);
        match self.messages.get(&key) {
            Some(known) if !is_same(known, &message) => {
                return Err(format!(
                    "`{}` of step `{}` gives another message when it is asked again: {} and then {}. It has to be a pure function: what it \
                     needs of chance or of the time belongs into the input, or is yielded by a step before",
                    if key.1 { "on_failure" } else { "on_execute" },
                    step.name,
                    String::from_utf8_lossy(&known.content),
                    String::from_utf8_lossy(&message.content),
                ));
            }
            Some(_) => {}
            None => {
                self.messages.insert(key, Rc::new(message));
            }
        }
        self.requests.insert(call);
        Ok(())
    }

    /// Times do not matter here: whatever is due may come in any order.
    fn forget_times(&mut self) {
        let execution = &mut self.execution;
        execution.version = execution.version.min(1);
        execution.changed_at = MOMENT.now;
        for state in execution.steps.values_mut() {
            (state.started_at, state.changed_at, state.due) = (MOMENT.now, MOMENT.now, state.due.map(|_| LATER));
        }
    }

    /// Leaves out what makes no difference any more when it comes, and sees that it does not.
    fn forget_noise(&mut self) -> Checked<()> {
        let states = &self.execution.steps;
        let awaited = |call: &Call| self.execution.is_under_way(call);
        let news = |call: &Call| {
            let settled = |state: &StepState| {
                matches!(state.status, StepStatus::Succeeded | StepStatus::Replaced | StepStatus::Undone | StepStatus::Applied)
            };
            let decides = matches!(call.direction, Direction::Commit | Direction::Abort);
            (decides || call.direction == Direction::Execute) && states.get(&call.step).is_some_and(|state| !settled(state))
        };
        let counts = |call: &Call, answer: Answer| awaited(call) || (answer == Answer::Good && news(call));
        for (call, answer) in self.replies.iter().filter(|(call, answer)| !counts(call, *answer)) {
            self.changes_nothing(call, *answer)?;
        }
        for call in self.running.iter().filter(|call| !awaited(call)) {
            self.changes_nothing(call, Answer::Good)?;
        }
        let decided = |call: &Call| {
            let row = self.row(&call.step);
            match call.direction {
                Direction::Execute => row.cancelled || call.attempt <= row.refused_to || (row.happened > 0 && !news(call)),
                Direction::Cancel => row.happened > 0 || row.cancelled,
                Direction::Undo => row.undone > 0,
                Direction::Commit => row.applied > 0 && !news(call),
                Direction::Abort => (row.dropped || row.cancelled) && !news(call),
            }
        };
        let replies = self.replies.iter().filter(|(call, answer)| counts(call, *answer)).cloned().collect();
        let running = self.running.iter().filter(|call| awaited(call)).cloned().collect();
        let requests = self.requests.iter().filter(|call| awaited(call) || !decided(call)).cloned().collect();
        (self.replies, self.running, self.requests) = (replies, running, requests);
        Ok(())
    }

    /// What was taken is taken once more, as by another coordinator.
    fn same_again(&self, call: &Call, answer: Answer) -> Checked<()> {
        if self.execution.status.is_final() || !self.execution.is_under_way(call) { self.changes_nothing(call, answer) } else { Ok(()) }
    }

    /// Sees that an answer that does not count changes nothing.
    pub(super) fn changes_nothing(&self, call: &Call, answer: Answer) -> Checked<()> {
        let mut execution = self.execution.clone();
        let input = self.ended(call, answer);
        let effects = transition(&self.script.plan, &mut execution, input, MOMENT).map_err(|error| error.to_string())?;
        if effects.is_empty() && execution == self.execution {
            return Ok(());
        }
        let Call { step, direction, attempt } = call;
        Err(format!("an answer to attempt {attempt} of `{step}` ({direction:?}) counts, though that is not under way"))
    }

    /// Whether nothing happens any more.
    pub(super) fn has_ended(&self) -> bool {
        self.execution.status.is_final()
    }

    /// Whether only an operator can help, and there is none.
    pub(super) fn waits_for_nobody(&self, events: &[Event]) -> bool {
        self.execution.status == Status::NeedsOperator
            && !self.budget.helped
            && events.iter().all(|event| matches!(event, Event::Crash | Event::Repair { .. }))
    }
}

/// How what an operator is refused begins.
const REFUSED: &str = "refused: ";

/// What made a transition, as far as errors of steps are concerned.
pub(super) enum Cause {
    /// An attempt has ended.
    Ended(String),
    /// Something was due.
    Due,
    /// Something else.
    Other,
}

impl Cause {
    fn of(input: &Input) -> Self {
        match input {
            Input::Ended { call, .. } => Cause::Ended(call.step.clone()),
            Input::Due => Cause::Due,
            Input::Started | Input::Resumed | Input::Asked { .. } | Input::Repair(_) => Cause::Other,
        }
    }
}

fn is_same(one: &Outgoing, other: &Outgoing) -> bool {
    let content = |message: &Outgoing| serde_json::from_slice::<Value>(&message.content).ok();
    (one.name, &one.key) == (other.name, &other.key) && (one.content == other.content || content(one) == content(other))
}
