//! A world around one execution: other services with their inboxes, a broker that repeats and delays, a coordinator that dies, an operator.

use super::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

/// All that happens does at this time: whatever is due may come in any order.
const MOMENT: Moment = Moment { now: Timestamp::UNIX_EPOCH, jitter: 0.5 };

/// What the other side knows of a step, and what has happened there. Of a local step: what was committed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub(super) happened: u32,
    pub(super) undone: u32,
    garbage: bool,
    cancelled: bool,
    refused_to: u32,
}

/// An answer on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Answer {
    Good,
    Garbage,
    NotDone,
    Transient,
    Permanent,
}

/// What can still go wrong: each makes the world larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Budget {
    /// Messages that are delivered once more.
    pub(super) duplicates: u32,
    /// Deaths of the coordinator.
    pub(super) crashes: u32,
    /// What the operator does while it is not needed.
    pub(super) repairs: u32,
    /// Answers that nobody can read.
    pub(super) garbage: u32,
}

/// One thing that can happen next.
#[derive(Debug, Clone)]
pub(super) enum Event {
    Deliver { call: Call, answer: Answer, again: bool },
    Reply { call: Call, answer: Answer, again: bool },
    Run { call: Call, answer: Answer, again: bool },
    Due(&'static str),
    Crash,
    Repair(Repair),
}

#[derive(Clone)]
pub(super) struct World {
    pub(super) plan: Rc<Plan>,
    pub(super) execution: Execution,
    /// Steps that are on the way that is taken.
    path: Rc<Vec<&'static str>>,
    /// Pairs of steps of which the first comes before the second.
    before: Rc<Vec<(&'static str, &'static str)>>,
    requests: BTreeSet<Call>,
    replies: BTreeSet<(Call, Answer)>,
    running: BTreeSet<Call>,
    pub(super) rows: BTreeMap<String, Row>,
    pub(super) budget: Budget,
}

/// Either a world, or what is wrong with it.
pub(super) type Checked<T> = Result<T, String>;

impl World {
    pub(super) fn new(plan: Rc<Plan>, yes: bool, budget: Budget) -> Checked<Self> {
        let (mut path, mut before) = (Vec::new(), Vec::new());
        walk(plan.def.nodes, Some(yes), &mut path, &mut Vec::new());
        walk(plan.def.nodes, None, &mut Vec::new(), &mut before);
        let execution = begin(&plan, yes);
        let (requests, replies, running, rows) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        let (path, before) = (Rc::new(path), Rc::new(before));
        let mut world = World { plan, execution, path, before, requests, replies, running, rows, budget };
        world.input(Input::Started, true)?;
        Ok(world)
    }

    /// Everything by which this world differs from another one of the same definition.
    pub(super) fn key(&self) -> String {
        let execution = serde_json::to_string(&self.execution).unwrap();
        format!("{execution}{:?}{:?}{:?}{:?}{:?}", self.requests, self.replies, self.running, self.rows, self.budget)
    }

    /// Everything that can happen next.
    pub(super) fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        let again = if self.budget.duplicates > 0 { &[false, true][..] } else { &[false] };
        for &again in again {
            for call in &self.requests {
                events.extend(self.answers(call).into_iter().map(|answer| Event::Deliver { call: call.clone(), answer, again }));
            }
            for (call, answer) in &self.replies {
                events.push(Event::Reply { call: call.clone(), answer: *answer, again });
            }
            for call in &self.running {
                let answers = [Answer::Good, Answer::Transient, Answer::Permanent];
                events.extend(answers.into_iter().map(|answer| Event::Run { call: call.clone(), answer, again }));
            }
        }
        let due = self.plan.steps().iter().filter(|step| self.execution.steps.get(step.name).is_some_and(|state| state.due.is_some()));
        events.extend(due.map(|step| Event::Due(step.name)));
        if self.budget.crashes > 0 {
            events.push(Event::Crash);
        }
        if self.budget.repairs > 0 && !self.execution.status.is_final() {
            events.push(Event::Repair(Repair::Rollback));
            for (name, state) in &self.execution.steps {
                if matches!(state.status, StepStatus::Stuck(_) | StepStatus::Pausing(_)) {
                    events.push(Event::Repair(Repair::Retry { step: name.clone() }));
                }
                if matches!(state.status, StepStatus::Stuck(_)) {
                    events.push(Event::Repair(Repair::Skip { step: name.clone(), value: Some(json!(7)) }));
                    // The operator does not lie.
                    if self.rows.get(name).is_none_or(|row| row.happened == 0) {
                        events.push(Event::Repair(Repair::Skip { step: name.clone(), value: None }));
                    }
                }
            }
        }
        events
    }

    /// What the other side can answer.
    fn answers(&self, call: &Call) -> Vec<Answer> {
        let row = self.rows.get(&call.step).cloned().unwrap_or_default();
        match call.direction {
            _ if row.happened > 0 && call.direction != Direction::Undo => vec![if row.garbage { Answer::Garbage } else { Answer::Good }],
            Direction::Execute if row.cancelled => vec![Answer::NotDone],
            Direction::Execute if call.attempt <= row.refused_to => vec![Answer::Transient],
            Direction::Execute if self.budget.garbage > 0 => {
                vec![Answer::Good, Answer::Transient, Answer::Permanent, Answer::Garbage]
            }
            Direction::Execute => vec![Answer::Good, Answer::Transient, Answer::Permanent],
            Direction::Cancel if row.cancelled => vec![Answer::NotDone],
            Direction::Cancel => vec![Answer::NotDone, Answer::Transient],
            Direction::Undo if row.undone > 0 => vec![Answer::Good],
            Direction::Undo => vec![Answer::Good, Answer::Permanent],
        }
    }

    /// The world in which this has happened.
    pub(super) fn after(&self, event: &Event) -> Checked<Self> {
        let mut world = self.clone();
        match event {
            Event::Deliver { call, answer, again } => {
                if *again {
                    world.budget.duplicates -= 1;
                } else {
                    world.requests.remove(call);
                }
                let row = world.rows.entry(call.step.clone()).or_default();
                let decided = row.happened > 0 || row.cancelled || call.attempt <= row.refused_to;
                match (call.direction, answer) {
                    (Direction::Execute, Answer::Good) if !decided => row.happened += 1,
                    (Direction::Execute, Answer::Garbage) if !decided => {
                        (row.happened, row.garbage) = (1, true);
                        world.budget.garbage -= 1;
                    }
                    (Direction::Execute, _) if !decided => row.refused_to = call.attempt,
                    (Direction::Cancel, Answer::NotDone) => row.cancelled = true,
                    (Direction::Undo, Answer::Good) if row.undone == 0 => {
                        if row.happened == 0 {
                            return Err(format!("`{}` was undone though it has not happened", call.step));
                        }
                        row.undone += 1;
                    }
                    _ => {}
                }
                world.replies.insert((call.clone(), *answer));
                world.forget_noise();
            }
            Event::Reply { call, answer, again } => {
                if *again {
                    world.budget.duplicates -= 1;
                } else {
                    world.replies.remove(&(call.clone(), *answer));
                }
                world.input(Input::Ended { call: call.clone(), result: outcome(*answer) }, false)?;
            }
            Event::Run { call, answer, again } => {
                if *again {
                    world.budget.duplicates -= 1;
                } else {
                    world.running.remove(call);
                }
                let result = outcome(*answer).map(|_| Outcome::Value(json!(7)));
                // One commit: the work counts if the transition does.
                let row = world.rows.entry(call.step.clone()).or_default();
                if *answer == Answer::Good && call.direction == Direction::Undo {
                    row.undone += 1;
                } else if *answer == Answer::Good {
                    row.happened += 1;
                }
                if !world.input(Input::Ended { call: call.clone(), result }, false)? {
                    world.rows.clone_from(&self.rows);
                }
            }
            Event::Due(step) => {
                if let Some(state) = world.execution.steps.get_mut(*step) {
                    state.due = Some(at(0));
                }
                if !world.input(Input::Due, false)? {
                    return Err(format!("nothing happened though `{step}` was due"));
                }
            }
            Event::Crash => {
                world.budget.crashes -= 1;
                // Messages are in the outbox; what was running here is gone.
                world.running.clear();
                if world.input(Input::Started, false)? || world.input(Input::Resumed, true)? {
                    return Err("something has changed by a crash".to_owned());
                }
            }
            Event::Repair(repair) => {
                world.budget.repairs -= 1;
                if let Repair::Skip { step, value } = repair {
                    let undoing = world.execution.steps.get(step).is_some_and(|state| state.status == StepStatus::Stuck(Direction::Undo));
                    let row = world.rows.entry(step.clone()).or_default();
                    match (undoing, value) {
                        (true, _) => row.undone = 1,
                        (false, Some(_)) => row.happened = 1,
                        (false, None) => row.cancelled = true,
                    }
                    // What was done by hand is not done by a message that is still on its way.
                    world.requests.retain(|call| call.step != *step);
                }
                let before = world.execution.clone();
                match world.input(Input::Repair(repair.clone()), false) {
                    Err(error) if error.starts_with("refused") && world.execution == before => return Ok(self.clone().poorer()),
                    other => other?,
                };
            }
        }
        Ok(world)
    }

    fn poorer(mut self) -> Self {
        self.budget.repairs -= 1;
        self
    }

    /// Gives an input to the execution. Whether it has changed.
    fn input(&mut self, input: Input, repeats: bool) -> Checked<bool> {
        let before = self.execution.clone();
        let result = transition(&self.plan, &mut self.execution, input, MOMENT);
        let effects = match result {
            Ok(effects) => effects,
            Err(TransitionError::Refused { why, .. }) => return Err(format!("refused: {why}")),
            Err(error) => return Err(error.to_string()),
        };
        let changed = self.execution.version != before.version;
        if !changed && (self.execution != before || !(effects.is_empty() || repeats)) {
            return Err("a change that does not count as one".to_owned());
        }
        if before.status.is_final() && (changed || !effects.is_empty()) {
            return Err("something happens after the end".to_owned());
        }
        for effect in effects {
            self.effect(effect, &before, repeats)?;
        }
        self.forget_times();
        self.forget_noise();
        Ok(changed)
    }

    fn effect(&mut self, effect: Effect, before: &Execution, repeats: bool) -> Checked<()> {
        let (call, run) = match effect {
            Effect::Send { call, .. } => (call, false),
            Effect::Run { call } => (call, true),
            Effect::Alarm { step } if self.execution.stuck().any(|(name, _)| name == step) => return Ok(()),
            Effect::Finished if self.execution.status.is_final() => return Ok(()),
            other => return Err(format!("{other:?} without a reason")),
        };
        let step = self.plan.step(&call.step).ok_or("an effect for an unknown step")?;
        let attempts = before.steps.get(&call.step).map(|state| state.attempts).unwrap_or_default();
        let expected = attempts.of(call.direction) + u32::from(!repeats || before.version == 0);
        if call.attempt != expected {
            return Err(format!("{call:?} where attempt {expected} would be next"));
        }
        if run != matches!(step.work, Work::Local { .. }) {
            return Err(format!("{call:?} is not what this step does"));
        }
        if !self.path.contains(&step.name) {
            return Err(format!("{call:?} is not on the way that is taken"));
        }
        let pivoted = self.plan.steps().iter().any(|step| step.kind != StepKind::Compensable && self.counts_as_done(step.name));
        let forward = self
            .execution
            .steps
            .values()
            .any(|state| matches!(state.status, StepStatus::UnderWay(Direction::Execute) | StepStatus::Pausing(Direction::Execute)));
        let undoable = step.kind == StepKind::Compensable && step.undo().is_some();
        let next_to = |later: bool| {
            let pairs = self.before.iter().filter(move |(first, second)| if later { *first == step.name } else { *second == step.name });
            pairs.map(move |(first, second)| if later { *second } else { *first }).filter(|name| self.path.contains(name))
        };
        match call.direction {
            Direction::Execute if self.execution.failure.is_some() && !repeats => {
                return Err(format!("{call:?} though the saga has failed"));
            }
            Direction::Execute => {
                if let Some(early) = next_to(false).find(|name| !self.counts_as_done(name)) {
                    return Err(format!("{call:?} before `{early}` is done"));
                }
            }
            Direction::Cancel | Direction::Undo if forward && self.execution.failure.is_some() => {
                return Err(format!("{call:?} while something goes forward"));
            }
            Direction::Cancel | Direction::Undo if pivoted => return Err(format!("{call:?} past the point of no return")),
            Direction::Cancel => {
                if !self.execution.steps.get(&call.step).is_some_and(|state| state.in_doubt) {
                    return Err(format!("{call:?} though it is known what has happened"));
                }
            }
            Direction::Undo if !undoable => return Err(format!("{call:?} of a step that is never undone")),
            Direction::Undo => {
                if self.execution.values.get(step.name).is_none() {
                    return Err(format!("{call:?} without its output"));
                }
                let mut rows = next_to(true).filter_map(|name| Some((name, self.plan.step(name)?, self.rows.get(name)?)));
                if let Some((late, ..)) = rows.find(|(_, step, row)| step.undo().is_some() && row.happened > row.undone) {
                    return Err(format!("{call:?} before the later `{late}` is undone"));
                }
                let open = |name: &&str| self.requests.iter().any(|call| call.step == *name && self.may_still_happen(call));
                if let Some(late) = next_to(true).find(open) {
                    return Err(format!("{call:?} while the later `{late}` may still happen"));
                }
            }
        }
        let into = if run { &mut self.running } else { &mut self.requests };
        into.insert(call);
        Ok(())
    }

    fn counts_as_done(&self, step: &str) -> bool {
        self.execution.steps.get(step).is_some_and(|state| matches!(state.status, StepStatus::Succeeded | StepStatus::Replaced))
    }

    fn may_still_happen(&self, call: &Call) -> bool {
        let row = self.rows.get(&call.step).cloned().unwrap_or_default();
        call.direction == Direction::Execute && row.happened == 0 && !row.cancelled && call.attempt > row.refused_to
    }

    /// Times do not matter here: whatever is due may come in any order.
    fn forget_times(&mut self) {
        let execution = &mut self.execution;
        execution.version = execution.version.min(1);
        execution.changed_at = at(0);
        for state in execution.steps.values_mut() {
            (state.started_at, state.changed_at, state.due) = (at(0), at(0), state.due.map(|_| at(1000)));
        }
    }

    /// Leaves out what makes no difference any more when it comes: [`World::check_noise`] sees to it that it does not.
    fn forget_noise(&mut self) {
        let states = &self.execution.steps;
        let awaited = |call: &Call| {
            let state = states.get(&call.step);
            state.is_some_and(|state| {
                state.status == StepStatus::UnderWay(call.direction) && state.attempts.of(call.direction) == call.attempt
            })
        };
        let news = |call: &Call| {
            let settled = |state: &StepState| matches!(state.status, StepStatus::Succeeded | StepStatus::Replaced | StepStatus::Undone);
            call.direction == Direction::Execute && states.get(&call.step).is_some_and(|state| !settled(state))
        };
        self.replies.retain(|(call, answer)| awaited(call) || (*answer == Answer::Good && news(call)));
        self.running.retain(awaited);
        let rows = &self.rows;
        self.requests.retain(|call| {
            let row = rows.get(&call.step).cloned().unwrap_or_default();
            let decided = match call.direction {
                Direction::Execute => row.cancelled || call.attempt <= row.refused_to || (row.happened > 0 && !news(call)),
                Direction::Cancel => row.happened > 0 || row.cancelled,
                Direction::Undo => row.undone > 0,
            };
            awaited(call) || !decided
        });
    }

    /// What must always be so.
    pub(super) fn check(&self) -> Checked<()> {
        self.check_noise()?;
        let text = serde_json::to_string(&self.execution).map_err(|error| error.to_string())?;
        if serde_json::from_str::<Execution>(&text).ok().as_ref() != Some(&self.execution) {
            return Err(format!("what is stored is read as something else: {text}"));
        }
        if let Some((name, row)) = self.rows.iter().find(|(_, row)| row.happened > 1 || row.undone > row.happened) {
            return Err(format!("`{name}` has happened {} times and was undone {} times", row.happened, row.undone));
        }
        let stuck = self.execution.stuck().next().is_some();
        if stuck != (self.execution.status == Status::NeedsOperator) {
            return Err(format!("it is {} though it is stuck: {stuck}", self.execution.status));
        }
        let row = |name: &str| self.rows.get(name).cloned().unwrap_or_default();
        match self.execution.status {
            Status::Committed => {
                let undone = self.path.iter().find(|name| !self.counts_as_done(name) || row(name).undone > 0);
                let replaced = |name: &str| self.execution.steps.get(name).is_some_and(|state| state.status == StepStatus::Replaced);
                let wrong = undone.or_else(|| self.path.iter().find(|name| (row(name).happened == 0) != replaced(name)));
                wrong.map_or(Ok(()), |name| Err(format!("it has committed, and `{name}` has not happened")))
            }
            Status::RolledBack => {
                let wrong = self.plan.steps().iter().find(|step| {
                    let row = row(step.name);
                    if step.kind == StepKind::Compensable && step.undo().is_none() { false } else { row.happened != row.undone }
                });
                let open = self.requests.iter().find(|call| self.may_still_happen(call)).map(|call| call.step.as_str());
                let wrong = wrong.map(|step| step.name).or(open);
                wrong.map_or(Ok(()), |name| Err(format!("it is rolled back, and `{name}` has happened or still may")))
            }
            Status::Running | Status::Compensating | Status::NeedsOperator => self.check_alive(),
        }
    }

    /// What has not ended either waits for something that will come, or for the operator.
    fn check_alive(&self) -> Checked<()> {
        let due = self.execution.due().is_some();
        let running = self.execution.steps.iter().any(|(name, state)| match state.status {
            StepStatus::UnderWay(direction) => self.running.contains(&call(name, direction, state.attempts.of(direction))),
            _ => false,
        });
        if due || running || self.execution.status == Status::NeedsOperator { Ok(()) } else { Err("it waits for nothing".to_owned()) }
    }

    /// Whatever comes that is not under way changes nothing.
    fn check_noise(&self) -> Checked<()> {
        let mut execution = self.execution.clone();
        for name in self.plan.steps().iter().map(|step| step.name).chain(["nobody"]) {
            for direction in [Direction::Execute, Direction::Cancel, Direction::Undo] {
                let state = self.execution.steps.get(name);
                let tried = state.map(|state| state.attempts.of(direction)).unwrap_or_default();
                let under_way = state.is_some_and(|state| state.status == StepStatus::UnderWay(direction));
                for attempt in [tried.saturating_sub(1), tried, tried + 1] {
                    // A success that comes late is news.
                    let news =
                        direction == Direction::Execute && (1..=tried).contains(&attempt) && state.is_some_and(|state| state.in_doubt);
                    if news || (under_way && attempt == tried) {
                        continue;
                    }
                    for result in [Err(Error::unavailable("noise")), Ok(Outcome::Answer(b"7".to_vec()))] {
                        let input = Input::Ended { call: call(name, direction, attempt), result };
                        let effects = transition(&self.plan, &mut execution, input, MOMENT).map_err(|error| error.to_string())?;
                        if !effects.is_empty() || execution.version != self.execution.version {
                            return Err(format!("attempt {attempt} of {direction:?} of `{name}` was not under way, and counts"));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// From here on nothing goes wrong, and the operator helps: it has to end.
    pub(super) fn rescue(mut self) -> Checked<Status> {
        self.budget = Budget { duplicates: 0, crashes: 0, repairs: 100, garbage: 0 };
        for round in 0..200 {
            if self.execution.status.is_final() && self.requests.is_empty() && self.replies.is_empty() {
                return Ok(self.execution.status);
            }
            let good = |event: &&Event| match event {
                Event::Deliver { answer, .. } | Event::Run { answer, .. } => !matches!(answer, Answer::Permanent | Answer::Transient),
                Event::Reply { .. } => true,
                _ => false,
            };
            let help = |event: &&Event| match event {
                Event::Repair(Repair::Retry { .. }) => round % 8 != 7,
                Event::Repair(Repair::Skip { value, .. }) => value.is_some(),
                _ => false,
            };
            let events = self.events();
            let next = events.iter().find(good).or_else(|| {
                // What is refused on its way has no good answer.
                let mut refused = events.iter().filter(|event| matches!(event, Event::Deliver { .. } | Event::Due(_)));
                refused.next().or_else(|| events.iter().find(help))
            });
            let event = next.ok_or_else(|| format!("nothing helps: {}", self.key()))?;
            self = self.after(event).and_then(|world| world.check().map(|()| world)).map_err(|error| format!("{error}, by {event:?}"))?;
        }
        Err(format!("it does not end: {}", self.key()))
    }
}

fn outcome(answer: Answer) -> Result<Outcome> {
    match answer {
        Answer::Good => Ok(Outcome::Answer(b"7".to_vec())),
        Answer::Garbage => Ok(Outcome::Answer(b"garbage".to_vec())),
        Answer::NotDone => Ok(Outcome::NotDone),
        Answer::Transient => Err(Error::unavailable("not now")),
        Answer::Permanent => Err(Error::rejected("never")),
    }
}

/// The steps of nodes, and which comes before which. With a choice only those on the way that it takes.
fn walk(nodes: &'static [Node], yes: Option<bool>, steps: &mut Vec<&'static str>, before: &mut Vec<(&'static str, &'static str)>) {
    for node in nodes {
        let mut inside = Vec::new();
        match node {
            Node::Step(step) => inside.push(step.name),
            Node::When { then, otherwise, .. } => {
                if yes != Some(false) {
                    walk(then, yes, &mut inside, before);
                }
                if yes != Some(true) {
                    let mut other = Vec::new();
                    walk(otherwise, yes, &mut other, before);
                    inside.extend(other);
                }
            }
            Node::Parallel(branches) => {
                for branch in *branches {
                    let mut one = Vec::new();
                    walk(branch, yes, &mut one, before);
                    inside.extend(one);
                }
            }
        }
        before.extend(steps.iter().flat_map(|first| inside.iter().map(move |second| (*first, *second))));
        steps.extend(inside);
    }
}
