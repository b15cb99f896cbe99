//! Sagas made by chance, and what happens to them by chance.

use super::{super::event::ANY, *};

const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

/// What makes definitions. All chance comes from one seed.
struct Maker {
    random: fastrand::Rng,
    names: std::slice::Iter<'static, &'static str>,
}

impl Maker {
    fn step(&mut self, kind: StepKind) -> Option<Node> {
        let name = self.names.next()?;
        let mut step = if self.random.bool() { remote(name) } else { local(name) };
        step = match kind {
            StepKind::Compensable if self.random.u8(..8) == 0 => step.not_undone(),
            StepKind::Compensable => step,
            StepKind::Pivot => step.pivot(),
            StepKind::Retriable => step.retriable(),
        };
        step = if self.random.bool() { step.tried(self.random.u32(0..4)) } else { step };
        step = if self.random.bool() { step.within(self.random.u64(0..20)) } else { step };
        step = match self.random.u8(..12) {
            0 => step.on_error(|_, error| if error.is_transient() { Err(error) } else { Ok(json!(1)) }),
            1 => step.on_error(|_, _| panic!("on purpose")),
            2 => step.on_success(|_| Err(Error::rejected("refused"))),
            3 => step.on_success(|_| panic!("on purpose")),
            _ => step,
        };
        Some(step.into())
    }

    fn nodes(&mut self, depth: u32, kind: StepKind) -> Vec<Node> {
        let mut nodes = Vec::new();
        for _ in 0..self.random.usize(1..4) {
            let node = match self.random.u8(..6) {
                0 if depth > 0 => {
                    Some(when(self.nodes(depth - 1, kind), if self.random.bool() { self.nodes(depth - 1, kind) } else { vec![] }))
                }
                1 | 2 if depth > 0 => Some(parallel((0..self.random.usize(1..4)).map(|_| self.nodes(depth - 1, kind)).collect())),
                _ => self.step(kind),
            };
            nodes.extend(node);
        }
        nodes
    }

    /// Steps that can be undone, perhaps a pivot, perhaps a tail.
    fn saga(&mut self) -> Vec<Node> {
        let mut nodes = if self.random.u8(..8) > 0 { self.nodes(2, StepKind::Compensable) } else { vec![] };
        match self.random.u8(..4) {
            0 => {}
            1 => nodes.extend(self.step(StepKind::Pivot).map(|pivot| when(vec![pivot], vec![]))),
            _ => nodes.extend(self.step(StepKind::Pivot)),
        }
        if self.random.bool() {
            nodes.extend(self.nodes(2, StepKind::Retriable));
        }
        nodes
    }

    /// Whatever can be written, legal or not.
    fn anything(&mut self) -> Vec<Node> {
        let kinds = [StepKind::Compensable, StepKind::Pivot, StepKind::Retriable];
        let parts = self.random.usize(..4);
        let one = |_| {
            let kind = kinds[self.random.usize(..kinds.len())];
            self.nodes(1, kind)
        };
        (0..parts).flat_map(one).collect()
    }
}

/// One saga and one life of it; false if the saga is not legal.
fn live(seed: u64) -> Result<bool, String> {
    let mut maker = Maker { random: fastrand::Rng::with_seed(seed), names: NAMES.iter() };
    let nodes = if maker.random.bool() { maker.saga() } else { maker.anything() };
    let def = definition(nodes);
    if Plan::of(def, Policy::default()).is_err() {
        return Ok(false);
    }
    let mut random = maker.random;
    let (duplicates, losses, crashes) = (random.u32(..4), random.u32(..2), random.u32(..3));
    let (repairs, garbage, broken) = (random.u32(..4), random.u32(..2), random.u32(..2));
    let questions = random.u32(..2);
    let budget = Budget { faults: ANY, duplicates, losses, crashes, garbage, broken, questions, repairs, helped: false };
    let mut world = first(def, random.bool(), budget)?;
    for _ in 0..random.usize(..100) {
        world.check()?;
        world.check_thoroughly()?;
        let events = world.events();
        let Some(event) = random.choice(&events) else { break };
        world = world.after(event).map_err(|error| format!("{error}\nby {event}\nit was {:?}", world.execution))?;
    }
    world.rescue().map(|_| true)
}

#[test]
fn any_saga_ends_well_whatever_happens() {
    let seeds = match std::env::var("SAGA_SEED").map(|seed| seed.parse()) {
        Ok(Ok(seed)) => seed..seed + 1,
        _ => 0..300,
    };
    let legal = seeds.clone().filter(|seed| live(*seed).unwrap_or_else(|error| panic!("SAGA_SEED={seed}: {error}"))).count();
    assert!(seeds.end - seeds.start == 1 || legal > 100, "only {legal} of the sagas were legal");
}
