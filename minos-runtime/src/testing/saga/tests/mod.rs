//! Definitions made by hand, by chance, and everything that can happen to them.

mod explore;
mod mutants;
mod random;

use super::{
    event::{Answer, Budget, Event},
    script::Script,
    world::{Checked, World},
};
use crate::{
    error::Error,
    saga::{
        Call, Direction, Execution, Node, Plan, Policy, Repair, SagaDef, Status, StepKind, StepStatus, Values,
        tests::{Change, definition, isolated, local, parallel, remote, when},
    },
};
use serde_json::json;
use std::{collections::BTreeMap, rc::Rc};

/// The first world of a saga in which `yes` decides.
fn world(nodes: Vec<Node>, yes: bool, budget: Budget) -> Checked<World> {
    first(definition(nodes), yes, budget)
}

fn first(def: &'static SagaDef, yes: bool, budget: Budget) -> Checked<World> {
    // Sagas made by chance have functions that panic.
    let mut script = Script::of(def, &BTreeMap::new())?;
    script.strict = false;
    let mut values = Values::default();
    values.set("yes", yes.into());
    World::new(Rc::new(script), values, BTreeMap::new(), budget)
}

impl World {
    /// What is stored is read as the same, and whatever comes that is not under way changes nothing.
    fn check_thoroughly(&self) -> Checked<()> {
        let text = serde_json::to_string(&self.execution).map_err(|error| error.to_string())?;
        if serde_json::from_str::<Execution>(&text).ok().as_ref() != Some(&self.execution) {
            return Err(format!("what is stored is read as something else: {text}"));
        }
        for name in self.script.plan.steps().iter().map(|step| step.name).chain(["nobody"]) {
            for direction in [Direction::Execute, Direction::Cancel, Direction::Undo, Direction::Commit, Direction::Abort] {
                let state = self.execution.steps.get(name);
                let tried = state.map(|state| state.attempts.of(direction)).unwrap_or_default();
                let under_way = state.is_some_and(|state| state.status == StepStatus::UnderWay(direction));
                for attempt in [tried.saturating_sub(1), tried, tried + 1] {
                    // A success that comes late is news.
                    let news = (1..=tried).contains(&attempt)
                        && state.is_some_and(|state| match direction {
                            Direction::Execute => state.in_doubt,
                            Direction::Commit | Direction::Abort => state.status.doing() == Some(direction),
                            Direction::Cancel | Direction::Undo => false,
                        });
                    if news || (under_way && attempt == tried) {
                        continue;
                    }
                    for answer in [Answer::Transient, Answer::Good] {
                        self.changes_nothing(&Call { step: name.to_owned(), direction, attempt }, answer)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// From here on nothing goes wrong, and the operator helps: it has to end.
    fn rescue(mut self) -> Checked<Status> {
        self.budget = Budget { duplicates: 0, crashes: 0, garbage: 0, losses: 0, broken: 0, ..Budget::of(u32::MAX) };
        for round in 0..200 {
            if self.has_ended() && self.requests.is_empty() && self.replies.is_empty() {
                return Ok(self.execution.status);
            }
            let good = |event: &&Event| match event {
                Event::Deliver { answer, .. } | Event::Run { answer, .. } => !matches!(answer, Answer::Permanent | Answer::Transient),
                Event::Reply { .. } => true,
                _ => false,
            };
            let help = |event: &&Event| match event {
                Event::Repair { repair: Repair::Retry { .. }, .. } => round % 8 != 7,
                Event::Repair { repair: Repair::Skip { value, .. }, .. } => value.is_some(),
                _ => false,
            };
            let events = self.events();
            let next = events.iter().find(good).or_else(|| {
                // What is refused on its way has no good answer.
                let mut refused = events.iter().filter(|event| matches!(event, Event::Deliver { .. } | Event::Due { .. }));
                refused.next().or_else(|| events.iter().find(help))
            });
            let event = next.ok_or_else(|| format!("nothing helps: {:?}", self.execution))?;
            self = self.after(event).and_then(|world| world.check().map(|()| world)).map_err(|error| format!("{error}, by {event}"))?;
        }
        Err(format!("it does not end: {:?}", self.execution))
    }
}
