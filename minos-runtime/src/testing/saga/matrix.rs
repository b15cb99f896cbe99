//! The crash matrix of a user's saga.

use super::{
    event::{ANY, Budget, Event},
    script::Script,
    search::{self, Found},
    story::Story,
    world::{Checked, World},
};
use crate::{
    saga::{Decision, Saga, Status, Values, diagram},
    sample::sample,
};
use serde::Serialize;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    marker::PhantomData,
    rc::Rc,
};
use thiserror::Error;

/// With more faults than this nothing new is found that can be told to somebody.
const FAULTS: u32 = 4;
/// What takes about two seconds in a debug build.
const LIVES: usize = 60_000;
/// So many ways through a saga are looked at, if nobody says which.
const WAYS: usize = 16;

/// Lets a saga live through whatever can happen to it, and sees that it ends well: what `crash_matrix!` runs.
///
/// The saga's own functions run, on the input and the answers that are given here or on samples of their types. What other services do and what local steps
/// do is played: it succeeds, fails for now, for good or until an operator helps, crashes before and after its commit, is answered twice, late, never, or with
/// what nobody can read; the service itself dies at every point. First everything goes well, then one thing goes wrong, then two, as far as there is time.
///
/// It fails if
/// - without a fault the saga does not commit;
/// - one of its functions panics, or gives another message when it is asked again;
/// - in any life a step is done twice, is undone without having been done or more than once, or stays done in a saga that is rolled back; the saga goes back past
///   its point of no return; or it does not come to an end though nothing goes wrong any more;
/// - a step is never reached by the inputs that are given.
///
/// Without an input each `when` is decided both ways, so that what stands in it may see values for which its condition would not have said so.
#[derive(Debug, Clone)]
pub struct CrashMatrix<S> {
    inputs: Vec<Value>,
    answers: BTreeMap<String, Value>,
    lives: usize,
    saga: PhantomData<fn() -> S>,
}

/// What a matrix has looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// The saga.
    pub saga: &'static str,
    /// Situations that are different.
    pub situations: usize,
    /// Lives: each is another one until it ends, or until its situation is one of a life that is known.
    pub lives: usize,
    /// How often they end, by status. None waits for an operator in the end, who comes when it is needed.
    pub ends: BTreeMap<&'static str, usize>,
    /// All lives with so many faults were looked at; none if not even those without a fault. `u32::MAX` means that there are no others.
    pub faults: Option<u32>,
}

/// A saga that does not survive its matrix.
#[derive(Debug, Error)]
pub struct MatrixError {
    /// The saga.
    pub saga: &'static str,
    /// What is wrong.
    pub why: String,
    /// What has happened until then, each in a line.
    pub story: Vec<String>,
    /// The input.
    pub input: Value,
    /// How the execution stands, in the language of Mermaid.
    pub diagram: String,
}

impl<S: Saga> Default for CrashMatrix<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Saga> CrashMatrix<S> {
    /// With samples for everything.
    pub fn new() -> Self {
        CrashMatrix { inputs: Vec::new(), answers: BTreeMap::new(), lives: LIVES, saga: PhantomData }
    }

    /// An input. Conditions decide on it, and all steps have to be reached by the inputs together.
    ///
    /// # Panics
    /// If it cannot be written as JSON.
    #[must_use]
    #[track_caller]
    pub fn input(mut self, input: S) -> Self {
        self.inputs.push(json(&input));
        self
    }

    /// What a step answers.
    ///
    /// # Panics
    /// If it cannot be written as JSON.
    #[must_use]
    #[track_caller]
    pub fn answer(mut self, step: &str, answer: impl Serialize) -> Self {
        self.answers.insert(step.to_owned(), json(&answer));
        self
    }

    /// Looks at about so many lives, those with few faults first.
    #[must_use]
    pub fn lives(mut self, most: usize) -> Self {
        self.lives = most;
        self
    }

    /// Looks at all of it.
    ///
    /// # Errors
    /// What is wrong with the saga, or that there is no sample of what it needs.
    pub fn explore(&self) -> Result<Coverage, MatrixError> {
        let mut coverage = Coverage { saga: S::NAME, situations: 0, lives: 0, ends: BTreeMap::new(), faults: Some(ANY) };
        let script = Rc::new(Script::of(S::definition(), &self.answers).map_err(before::<S>)?);
        let (mut reached, given) = (BTreeSet::new(), !self.inputs.is_empty());
        let (inputs, ways) = if given { (self.inputs.clone(), vec![BTreeMap::new()]) } else { (vec![a_sample::<S>()?], script.ways()) };
        let share = self.lives / (inputs.len() * ways.len().min(WAYS)).max(1);
        for input in &inputs {
            let run = |way: &BTreeMap<String, Decision>, faults, limit, reached: &mut BTreeSet<&'static str>| {
                explore(&script, input, way, faults, limit, reached).map_err(|found| failed::<S>(&script, input, way, found))
            };
            // As the conditions decide.
            run(&BTreeMap::new(), 0, usize::MAX, &mut reached)?;
            for way in ways.iter().take(WAYS) {
                run(way, 0, usize::MAX, &mut reached)?;
                let explored = run(way, FAULTS, share, &mut reached)?;
                coverage.situations += explored.worlds;
                coverage.lives += explored.lives;
                coverage.faults = coverage.faults.min(explored.complete);
                for (status, count) in explored.ends {
                    *coverage.ends.entry(status).or_default() += count;
                }
            }
        }
        match script.plan.steps().iter().find(|step| !reached.contains(step.name)) {
            None => Ok(coverage),
            Some(step) if given => {
                Err(before::<S>(format!("no input leads to step `{}`: give one more for which the `when` before it decides so", step.name)))
            }
            Some(step) => Err(before::<S>(format!("there are too many ways to come to step `{}`: give inputs that lead there", step.name))),
        }
    }

    /// Looks at all of it, and says how much that was.
    ///
    /// # Panics
    /// If something is wrong.
    #[track_caller]
    pub fn run(&self) {
        match self.explore() {
            Ok(coverage) => println!("{coverage}"),
            Err(error) => panic!("{error}"),
        }
    }
}

/// How one exploration went wrong.
enum Trouble {
    /// It could not begin.
    Start(String),
    Found(Box<Found>),
}

fn explore(
    script: &Rc<Script>,
    input: &Value,
    way: &BTreeMap<String, Decision>,
    faults: u32,
    limit: usize,
    reached: &mut BTreeSet<&'static str>,
) -> Result<search::Explored, Trouble> {
    let values = Values::of(input).map_err(|error| Trouble::Start(error.to_string()))?;
    let first = World::new(Rc::clone(script), values, way.clone(), Budget::of(faults)).map_err(Trouble::Start)?;
    let mut visit = |world: &World, _: &[Event]| {
        if world.spent == 0 {
            commits(world)?;
        }
        if world.execution.status == Status::Committed {
            reached.extend(script.plan.steps().iter().map(|step| step.name).filter(|step| world.counts_as_done(step)));
        }
        Ok(())
    };
    search::explore(first, limit, &mut visit).map_err(Trouble::Found)
}

/// That what goes wrong does not do so by itself.
fn commits(world: &World) -> Checked<()> {
    let failure = world.execution.failure.as_ref();
    let stuck = world.execution.stuck().find_map(|(_, failure)| failure);
    let Some(failure) = failure.or(stuck) else { return Ok(()) };
    let at = failure.at.as_deref().unwrap_or_default();
    let why = failure.causes.as_ref().unwrap_or(&failure.message);
    Err(format!(
        "nothing has gone wrong, and the saga does not commit: `{at}` says `{why}`. If that is right for what it sees here, give another `input` or other `answers`"
    ))
}

fn failed<S: Saga>(script: &Script, input: &Value, way: &BTreeMap<String, Decision>, trouble: Trouble) -> MatrixError {
    let (mut why, story, chart) = match trouble {
        Trouble::Start(why) => (why, Vec::new(), diagram(script.plan.definition(), None)),
        Trouble::Found(found) => {
            let chart = diagram(script.plan.definition(), Some(&found.world.execution));
            (found.why, Story(&found.story).to_string().lines().map(str::to_owned).collect(), chart)
        }
    };
    let decided: Vec<_> = way
        .iter()
        .map(|(key, decision)| format!("`{key}` {}", if matches!(decision, Decision::Then) { "begins" } else { "is left out" }))
        .collect();
    if !decided.is_empty() {
        why = format!(
            "{why}\n(this test decides what stands in a `when` if it is given no `input`, whatever the condition says: here {})",
            decided.join(", ")
        );
    }
    MatrixError { saga: S::NAME, why, story, input: input.clone(), diagram: chart }
}

/// What is wrong before anything has happened.
fn before<S: Saga>(why: String) -> MatrixError {
    MatrixError { saga: S::NAME, why, story: Vec::new(), input: Value::Null, diagram: String::new() }
}

fn a_sample<S: Saga>() -> Result<Value, MatrixError> {
    let name = S::NAME;
    let made = sample::<S>().map_err(|error| format!("{error}: give an input, as `crash_matrix!({name} {{ input: {name} {{ … }} }})`"));
    made.map(|input| json(&input)).map_err(before::<S>)
}

#[track_caller]
fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_else(|error| panic!("this cannot be written as JSON: {error}"))
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Coverage { saga, situations, lives, ends, faults } = self;
        let ends: Vec<_> = ends.iter().map(|(status, count)| format!("{count} {status}")).collect();
        let all = match faults {
            None => "not even all without a fault".to_owned(),
            Some(0) => "all without a fault, and some with more".to_owned(),
            Some(ANY) => format!("all with up to {FAULTS} faults"),
            Some(1) => "all with one fault, and some with more".to_owned(),
            Some(n) => format!("all with up to {n} faults, and some with more"),
        };
        write!(f, "{saga}: {lives} lives through {situations} situations, {all}; ends: {}", ends.join(", "))
    }
}

impl fmt::Display for MatrixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MatrixError { saga, why, story, input, diagram } = self;
        write!(f, "the saga `{saga}` does not survive: {why}")?;
        if !input.is_null() {
            write!(f, "\n\nits input: {input}")?;
        }
        if !story.is_empty() {
            write!(f, "\n\nwhat has happened, with `!` where it is not as it should be:\n{}", story.join("\n"))?;
        }
        if !diagram.is_empty() {
            write!(f, "\n\nhow it stands, as Mermaid:\n{diagram}")?;
        }
        Ok(())
    }
}
