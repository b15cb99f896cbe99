//! What a saga is tested with: its definition with few attempts, what its steps answer, and the order that its nodes are in.

use crate::saga::{Decision, Execution, Node, Outcome, Plan, Policy, Retry, SagaDef, Step, Work, decision_key, read};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};

/// A second attempt shows what a third would.
const ATTEMPTS: u32 = 2;
const PAUSE: Duration = Duration::from_secs(1);

/// What one step answers when it is done.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// The value.
    pub(crate) value: Value,
    /// As it is sent.
    pub(crate) bytes: Vec<u8>,
    /// Whether there is an answer that cannot be read.
    pub(crate) garbage: bool,
}

/// An answer that is no JSON.
pub(crate) const GARBAGE: &[u8] = b"garbage";

/// A saga, and what it is tested with.
pub(crate) struct Script {
    /// The saga.
    pub(crate) plan: Plan,
    answers: BTreeMap<&'static str, Told>,
    /// Pairs of steps of which the first comes before the second.
    before: Vec<(&'static str, &'static str)>,
    /// What has to be decided, and how, for a step to be on the way.
    conditions: BTreeMap<&'static str, Vec<(String, bool)>>,
    /// Whether the saga's own functions have to be sound.
    pub(crate) strict: bool,
}

impl Script {
    /// Each step answers what is given here, or else a sample of its type.
    pub(crate) fn of(def: &'static SagaDef, given: &BTreeMap<String, Value>) -> Result<Self, String> {
        let patient = Retry { attempts: ATTEMPTS, first_pause: PAUSE, longest_pause: PAUSE };
        let policy = Policy { timeout: PAUSE, patient };
        let plan = Plan::of(impatient(def), policy).map_err(|error| error.to_string())?;
        if let Some(name) = given.keys().find(|name| plan.step(name).is_none()) {
            let steps: Vec<_> = plan.steps().iter().map(|step| format!("`{}`", step.name)).collect();
            return Err(format!("an answer is given for `{name}`, which is no step of the saga; it has {}", steps.join(", ")));
        }
        let mut answers = BTreeMap::new();
        for step in plan.steps() {
            answers.insert(step.name, told(step, given.get(step.name))?);
        }
        let mut script = Script { plan, answers, before: Vec::new(), conditions: BTreeMap::new(), strict: true };
        script.walk(script.plan.definition().nodes, &mut Vec::new(), &[]);
        Ok(script)
    }

    /// What a step answers.
    pub(crate) fn answer(&self, step: &str) -> Option<&Told> {
        self.answers.get(step)
    }

    /// Whether the decisions lead to this step.
    pub(crate) fn is_on_the_way(&self, step: &str, execution: &Execution) -> bool {
        let decided = |(key, then): &(String, bool)| match execution.decisions.get(key) {
            Some(Decision::Then) => *then,
            Some(Decision::Otherwise) => !then,
            Some(Decision::Stuck(_)) | None => false,
        };
        self.conditions.get(step).is_some_and(|conditions| conditions.iter().all(decided))
    }

    /// The steps behind this one.
    pub(crate) fn later(&self, step: &str) -> impl Iterator<Item = &'static str> {
        self.before.iter().filter(move |(first, _)| *first == step).map(|(_, second)| *second)
    }

    /// The steps before this one.
    pub(crate) fn earlier(&self, step: &str) -> impl Iterator<Item = &'static str> {
        self.before.iter().filter(move |(_, second)| *second == step).map(|(first, _)| *first)
    }

    /// Every way through the saga: what is decided on it.
    pub(crate) fn ways(&self) -> Vec<BTreeMap<String, Decision>> {
        ways(self.plan.definition().nodes)
    }

    fn walk(&mut self, nodes: &'static [Node], steps: &mut Vec<&'static str>, conditions: &[(String, bool)]) {
        for node in nodes {
            let mut inside = Vec::new();
            match node {
                Node::Step(step) => {
                    inside.push(step.name);
                    self.conditions.insert(step.name, conditions.to_vec());
                }
                Node::When { then, otherwise, .. } => {
                    let key = decision_key(then).unwrap_or_default();
                    for (part, way) in [(then, true), (otherwise, false)] {
                        let (mut one, mut more) = (Vec::new(), conditions.to_vec());
                        more.push((key.clone(), way));
                        self.walk(part, &mut one, &more);
                        inside.extend(one);
                    }
                }
                Node::Parallel(branches) => {
                    for branch in *branches {
                        let mut one = Vec::new();
                        self.walk(branch, &mut one, conditions);
                        inside.extend(one);
                    }
                }
            }
            self.before.extend(steps.iter().flat_map(|first| inside.iter().map(move |second| (*first, *second))));
            steps.extend(inside);
        }
    }
}

fn told(step: &Step, given: Option<&Value>) -> Result<Told, String> {
    let name = step.name;
    let value = match given {
        Some(value) => value.clone(),
        None => (step.sample)().map_err(|error| format!("{error}: give what step `{name}` answers, as `answers: {{ {name}: … }}`"))?,
    };
    let bytes = serde_json::to_vec(&value).map_err(|error| error.to_string())?;
    let reads = |bytes: &[u8]| read(step, &Outcome::Answer(bytes.to_vec()));
    if matches!(step.work, Work::Remote { .. }) {
        reads(&bytes).map_err(|error| format!("what step `{name}` is to answer, {value}, is not what it yields: {}", error.chain()))?;
    }
    let garbage = matches!(step.work, Work::Remote { .. }) && reads(GARBAGE).is_err();
    Ok(Told { value, bytes, garbage })
}

fn ways(nodes: &'static [Node]) -> Vec<BTreeMap<String, Decision>> {
    let mut all = vec![BTreeMap::new()];
    for node in nodes {
        let parts: Vec<Vec<BTreeMap<String, Decision>>> = match node {
            Node::Step(_) => continue,
            Node::When { then, otherwise, .. } => {
                let key = decision_key(then).unwrap_or_default();
                let mut either = Vec::new();
                for (part, decision) in [(then, Decision::Then), (otherwise, Decision::Otherwise)] {
                    either.extend(ways(part).into_iter().map(|mut way| {
                        way.insert(key.clone(), decision.clone());
                        way
                    }));
                }
                vec![either]
            }
            Node::Parallel(branches) => branches.iter().map(|branch| ways(branch)).collect(),
        };
        for part in parts {
            let with = |way: &BTreeMap<String, Decision>| {
                let way = way.clone();
                part.iter().map(move |more| way.iter().chain(more).map(|(key, decision)| (key.clone(), decision.clone())).collect())
            };
            all = all.iter().flat_map(with).collect();
        }
    }
    all
}

/// The same saga, which gives up sooner. A test makes a few of them, and they stay.
fn impatient(def: &'static SagaDef) -> &'static SagaDef {
    let SagaDef { name, input, isolated, nodes, module, file, line } = *def;
    Box::leak(Box::new(SagaDef { name, input, isolated, nodes: impatient_nodes(nodes), module, file, line }))
}

fn impatient_nodes(nodes: &'static [Node]) -> &'static [Node] {
    let node = |node: &'static Node| match node {
        Node::Step(step) => Node::Step(impatient_step(step)),
        Node::When { condition, then, otherwise } => {
            Node::When { condition: *condition, then: impatient_nodes(then), otherwise: impatient_nodes(otherwise) }
        }
        Node::Parallel(branches) => Node::Parallel(Vec::leak(branches.iter().map(|branch| impatient_nodes(branch)).collect())),
    };
    Vec::leak(nodes.iter().map(node).collect())
}

fn impatient_step(step: &Step) -> Step {
    let Step { name, kind, output, timeout, retry, sample, ref work } = *step;
    let work = match *work {
        Work::Local { execute, undo } => Work::Local { execute, undo },
        Work::Remote { execute, read, on_success, on_error, undo } => Work::Remote { execute, read, on_success, on_error, undo },
    };
    let retry = retry.map(|retry| Retry { attempts: retry.attempts.min(ATTEMPTS), ..retry });
    Step { name, kind, output, timeout, retry, sample, work }
}
