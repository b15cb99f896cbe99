//! What can happen next in a world.

use super::world::World;
use crate::saga::{Call, Decision, Direction, Repair, StepKind, StepState, StepStatus};
use serde_json::Value;

/// So often an operator has a step tried again.
const PATIENCE: u32 = 8;

/// As often as you like.
pub(super) const ANY: u32 = u32::MAX;

/// What can still go wrong: each makes the world larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Budget {
    /// Of all that is not as it should be, errors and answers that come too late among it.
    pub(super) faults: u32,
    /// Messages that are delivered once more.
    pub(super) duplicates: u32,
    /// Answers that never come.
    pub(super) losses: u32,
    /// Deaths of the coordinator.
    pub(super) crashes: u32,
    /// Answers that nobody can read.
    pub(super) garbage: u32,
    /// Steps that fail until the operator helps.
    pub(super) broken: u32,
    /// Questions of who has prepared something.
    pub(super) questions: u32,
    /// What the operator does while it is not needed.
    pub(super) repairs: u32,
    /// Whether the operator comes when it is needed.
    pub(super) helped: bool,
}

impl Budget {
    /// Whatever can happen, with so many faults.
    pub(super) fn of(faults: u32) -> Self {
        Budget { faults, duplicates: ANY, losses: ANY, crashes: ANY, garbage: ANY, broken: ANY, questions: ANY, repairs: ANY, helped: true }
    }
}

/// One less, where there is an end.
pub(super) fn spend(budget: &mut u32) {
    if *budget != ANY {
        *budget = budget.saturating_sub(1);
    }
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

/// One thing that can happen next.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// A request reaches the other side, which answers.
    Deliver { call: Call, answer: Answer, again: bool, fault: bool },
    /// An answer reaches the coordinator.
    Reply { call: Call, answer: Answer, again: bool },
    /// An answer never reaches it.
    Lose { call: Call, answer: Answer },
    /// A local step ends.
    Run { call: Call, answer: Answer, again: bool, fault: bool },
    /// From now on a step fails.
    Break { call: Call },
    /// The time of a step has come.
    Due { step: &'static str, status: StepStatus, fault: bool },
    /// Who has prepared a step asks what is decided, which it was not told.
    Ask { step: &'static str },
    /// The coordinator dies, and another one goes on.
    Crash,
    /// The operator does something.
    Repair { repair: Repair, fault: bool },
}

impl Event {
    /// Whether it is not as it should be.
    pub(super) fn is_fault(&self) -> bool {
        match self {
            Event::Deliver { again, fault, .. } | Event::Run { again, fault, .. } => *again || *fault,
            Event::Reply { again, .. } => *again,
            Event::Lose { .. } | Event::Break { .. } | Event::Ask { .. } | Event::Crash => true,
            Event::Due { fault, .. } | Event::Repair { fault, .. } => *fault,
        }
    }
}

impl World {
    /// Everything that can happen next.
    pub(super) fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        let faults = self.budget.faults > 0;
        let again = if faults && self.budget.duplicates > 0 { &[false, true][..] } else { &[false] };
        for &again in again {
            for call in &self.requests {
                let answers = self.answers(call).into_iter().filter(|(_, fault)| faults || !fault);
                events.extend(answers.map(|(answer, fault)| Event::Deliver { call: call.clone(), answer, again, fault }));
            }
            for (call, answer) in &self.replies {
                events.push(Event::Reply { call: call.clone(), answer: *answer, again });
            }
            for call in &self.running {
                let all = [(Answer::Good, false), (Answer::Transient, true), (Answer::Permanent, true)];
                let broken = [(Answer::Transient, false)];
                let answers = if self.row(&call.step).broken { &broken[..] } else { &all };
                let answers = answers.iter().filter(|(_, fault)| faults || !fault);
                events.extend(answers.map(|&(answer, fault)| Event::Run { call: call.clone(), answer, again, fault }));
            }
        }
        if faults && self.budget.losses > 0 {
            events.extend(self.replies.iter().map(|(call, answer)| Event::Lose { call: call.clone(), answer: *answer }));
        }
        if faults && self.budget.broken > 0 {
            let calls = self.requests.iter().chain(&self.running).filter(|call| self.can_break(call));
            events.extend(calls.map(|call| Event::Break { call: call.clone() }));
        }
        for step in self.script.plan.steps() {
            let Some(state) = self.execution.steps.get(step.name).filter(|state| state.due.is_some()) else { continue };
            let fault = self.is_to_come(step.name, state);
            if faults || !fault {
                events.push(Event::Due { step: step.name, status: state.status, fault });
            }
        }
        if faults && self.budget.questions > 0 {
            let asking = self.script.plan.steps().iter().filter(|step| self.asks(step.name));
            events.extend(asking.map(|step| Event::Ask { step: step.name }));
        }
        if faults && self.budget.crashes > 0 {
            events.push(Event::Crash);
        }
        self.repairs(faults, &mut events);
        events
    }

    /// What the operator can do.
    fn repairs(&self, faults: bool, events: &mut Vec<Event>) {
        if self.execution.status.is_final() {
            return;
        }
        let unasked = faults && self.budget.repairs > 0;
        let mut push = |repair, fault| events.push(Event::Repair { repair, fault });
        if unasked {
            push(Repair::Rollback, true);
        }
        for (name, state) in &self.execution.steps {
            let stuck = match state.status {
                StepStatus::Stuck(direction) => Some(direction),
                StepStatus::Pausing(_) if unasked => {
                    push(Repair::Retry { step: name.clone() }, true);
                    None
                }
                _ => None,
            };
            let Some(direction) = stuck.filter(|_| self.budget.helped || unasked) else { continue };
            if state.attempts.of(direction) < PATIENCE {
                push(Repair::Retry { step: name.clone() }, !self.budget.helped);
            }
            if self.budget.repairs > 0 {
                let value = self.script.answer(name).map(|told| told.value.clone());
                push(Repair::Skip { step: name.clone(), value }, !self.budget.helped);
                // The operator does not lie.
                if self.row(name).happened == 0 {
                    push(Repair::Skip { step: name.clone(), value: None }, !self.budget.helped);
                }
            }
        }
        for (name, decision) in &self.execution.decisions {
            if matches!(decision, Decision::Stuck(_)) && self.budget.helped {
                push(Repair::Skip { step: name.clone(), value: Some(Value::Bool(true)) }, false);
                push(Repair::Skip { step: name.clone(), value: Some(Value::Bool(false)) }, false);
            }
        }
    }

    /// Whether it makes a difference that it fails again and again.
    fn can_break(&self, call: &Call) -> bool {
        let row = self.row(&call.step);
        let patient = call.direction != Direction::Execute
            || self
                .step(&call.step)
                .is_some_and(|step| step.kind == StepKind::Retriable || step.retry.is_some_and(|retry| retry.attempts > 1));
        let done = match call.direction {
            Direction::Execute | Direction::Cancel => row.happened > 0 || row.cancelled,
            Direction::Undo => row.undone > 0,
            Direction::Commit | Direction::Abort => row.applied > 0 || row.dropped || row.cancelled,
        };
        patient && !done && !row.broken && self.execution.is_under_way(call)
    }

    /// Whether who has prepared a step would be told what is decided, if it asked now.
    fn asks(&self, step: &str) -> bool {
        let row = self.row(step);
        let open = row.happened > 0 && row.applied == 0 && !row.dropped;
        let told = |state: &StepState| match state.status.doing() {
            Some(direction @ (Direction::Commit | Direction::Abort)) => state.attempts.of(direction) < PATIENCE,
            _ => false,
        };
        open && self.execution.steps.get(step).is_some_and(told)
    }

    /// Whether an answer is still on its way.
    fn is_to_come(&self, step: &str, state: &StepState) -> bool {
        let StepStatus::UnderWay(direction) = state.status else { return false };
        let call = Call { step: step.to_owned(), direction, attempt: state.attempts.of(direction) };
        self.requests.contains(&call) || self.running.contains(&call) || self.replies.iter().any(|(reply, _)| *reply == call)
    }

    /// What the other side can answer, and whether that is as it should be.
    fn answers(&self, call: &Call) -> Vec<(Answer, bool)> {
        let row = self.row(&call.step);
        let has_garbage = self.budget.garbage > 0 && self.script.answer(&call.step).is_some_and(|told| told.garbage);
        let known = |answer| vec![(answer, false)];
        match call.direction {
            Direction::Execute | Direction::Cancel if row.happened > 0 => known(if row.garbage { Answer::Garbage } else { Answer::Good }),
            Direction::Commit | Direction::Abort if row.applied > 0 || row.dropped || row.cancelled => known(Answer::Good),
            Direction::Execute if row.cancelled => known(Answer::NotDone),
            Direction::Execute if call.attempt <= row.refused_to => known(Answer::Transient),
            Direction::Cancel if row.cancelled => known(Answer::NotDone),
            Direction::Undo if row.undone > 0 => known(Answer::Good),
            _ if row.broken => known(Answer::Transient),
            Direction::Execute => {
                let mut all = vec![(Answer::Good, false), (Answer::Transient, true), (Answer::Permanent, true)];
                all.extend(has_garbage.then_some((Answer::Garbage, true)));
                all
            }
            Direction::Cancel => vec![(Answer::NotDone, false), (Answer::Transient, true)],
            Direction::Commit | Direction::Abort => vec![(Answer::Good, false), (Answer::Transient, true)],
            Direction::Undo => vec![(Answer::Good, false), (Answer::Permanent, true)],
        }
    }
}
