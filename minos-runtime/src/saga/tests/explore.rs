//! Small sagas, and everything that can happen to them, in every order.

use super::{
    world::{Budget, Event, World},
    *,
};
use std::{
    collections::{HashSet, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    rc::Rc,
};

/// How a world came to be.
struct Past(Option<Rc<Past>>, Option<Event>);

/// Goes through all worlds. In which statuses executions end, or wait for an operator.
fn explore(nodes: Vec<Node>, yes: bool, budget: Budget) -> Vec<Status> {
    let plan = Rc::new(plan(nodes));
    let first = World::new(plan, yes, budget).unwrap();
    let (mut seen, mut ends) = (HashSet::new(), HashSet::new());
    let mut todo = vec![(first, Rc::new(Past(None, None)))];
    while let Some((world, past)) = todo.pop() {
        let mut hasher = DefaultHasher::new();
        world.key().hash(&mut hasher);
        if !seen.insert(hasher.finish()) {
            continue;
        }
        assert!(seen.len() < 2_000_000, "there are too many worlds");
        let events = world.events();
        let told = |error: String| -> ! { panic!("{error}\nafter {}\nit is {}", story(&past), world.key()) };
        world.check().unwrap_or_else(|error| told(error));
        if world.execution.status.is_final() {
            ends.insert(world.execution.status);
        } else if world.execution.status == Status::NeedsOperator {
            ends.insert(Status::NeedsOperator);
            if events.iter().all(|event| matches!(event, Event::Crash | Event::Repair(_))) {
                world.clone().rescue().unwrap_or_else(|error| told(error));
            }
        }
        for event in events {
            let next = world.after(&event).unwrap_or_else(|error| told(format!("{error}\nby {event:?}")));
            todo.push((next, Rc::new(Past(Some(Rc::clone(&past)), Some(event)))));
        }
    }
    let mut ends: Vec<_> = ends.into_iter().collect();
    ends.sort_by_key(|status| status.name());
    // Seen with `--nocapture`.
    println!("{} worlds", seen.len());
    ends
}

fn story(past: &Past) -> String {
    let mut events = Vec::new();
    let mut past = Some(past);
    while let Some(Past(before, event)) = past {
        events.extend(event.as_ref().map(|event| format!("\n  {event:?}")));
        past = before.as_deref();
    }
    events.reverse();
    events.concat()
}

const CALM: Budget = Budget { duplicates: 0, crashes: 0, repairs: 0, garbage: 0 };
const TWICE: Budget = Budget { duplicates: 1, ..CALM };
const CRASH: Budget = Budget { crashes: 1, ..CALM };
const REPAIR: Budget = Budget { repairs: 1, ..CALM };
const GARBAGE: Budget = Budget { garbage: 1, ..CALM };

use Status::{Committed, NeedsOperator, RolledBack};
const EVERY: [Status; 3] = [Committed, NeedsOperator, RolledBack];

#[test]
fn one_step() {
    for budget in [Budget { duplicates: 1, crashes: 1, ..REPAIR }, Budget { crashes: 1, ..GARBAGE }] {
        assert_eq!(explore(vec![remote("a").into()], true, budget), EVERY);
        assert_eq!(explore(vec![remote("a").pivot().into()], true, budget), EVERY);
        assert_eq!(explore(vec![remote("a").retriable().into()], true, budget), [Committed, NeedsOperator]);
        assert_eq!(explore(vec![local("a").retriable().within(5).into()], true, budget), [Committed, NeedsOperator]);
    }
    // It is only undone if the operator wants it.
    assert_eq!(explore(vec![local("a").tried(2).into()], true, CRASH), [Committed, RolledBack]);
    assert_eq!(explore(vec![local("a").tried(2).into()], true, REPAIR), EVERY);
}

#[test]
fn two_steps() {
    for budget in [CRASH, REPAIR, GARBAGE] {
        assert_eq!(explore(vec![local("a").into(), remote("b").into()], true, budget), EVERY);
        assert_eq!(explore(vec![remote("a").into(), local("b").within(5).into()], true, budget), EVERY);
        assert_eq!(explore(vec![remote("a").pivot().into(), remote("b").retriable().into()], true, budget), EVERY);
    }
    assert_eq!(explore(vec![local("a").into(), remote("b").pivot().tried(2).into()], true, TWICE), EVERY);
}

#[test]
fn four_steps_with_a_pivot_and_a_tail() {
    let nodes = vec![remote("a").into(), local("b").into(), remote("c").pivot().into(), remote("d").retriable().into()];
    assert_eq!(explore(nodes, true, CALM), EVERY);
}

#[test]
fn either_way_of_a_decision() {
    let nodes = || {
        vec![remote("a").into(), when(vec![when(vec![remote("b").into()], vec![])], vec![local("c").into(), remote("d").pivot().into()])]
    };
    assert_eq!(explore(nodes(), true, CALM), EVERY);
    assert_eq!(explore(nodes(), false, CALM), EVERY);
}

fn branches() -> Vec<Node> {
    vec![local("a").into(), parallel(vec![vec![remote("b").into()], vec![local("c").tried(2).into()]])]
}

#[test]
fn branches_at_once() {
    assert_eq!(explore(branches(), true, CALM), EVERY);
    let nodes = vec![parallel(vec![vec![local("b").into()], vec![local("c").into(), local("d").within(5).into()]])];
    assert_eq!(explore(nodes, true, CALM), EVERY);
}

#[test]
fn branches_at_once_behind_the_pivot() {
    let nodes = vec![
        local("a").pivot().into(),
        parallel(vec![
            vec![remote("b").retriable().into()],
            vec![when(vec![local("c").retriable().into()], vec![]), local("d").retriable().into()],
        ]),
    ];
    assert_eq!(explore(nodes, true, CALM), EVERY);
}

#[test]
#[ignore = "takes minutes"]
fn larger_worlds() {
    let tail = || vec![remote("a").into(), local("b").into(), remote("c").pivot().into(), remote("d").retriable().into()];
    let way = || {
        vec![remote("a").into(), when(vec![when(vec![remote("b").into()], vec![])], vec![local("c").into(), remote("d").pivot().into()])]
    };
    for budget in [TWICE, CRASH, REPAIR, GARBAGE] {
        assert_eq!(explore(branches(), true, budget), EVERY);
        assert_eq!(explore(tail(), true, budget), EVERY);
        assert_eq!(explore(way(), true, budget), EVERY);
        assert_eq!(explore(way(), false, budget), EVERY);
        assert_eq!(explore(vec![remote("a").tried(2).into(), remote("b").pivot().tried(2).into()], true, budget), EVERY);
    }
    assert_eq!(explore(vec![remote("a").into()], true, Budget { duplicates: 1, crashes: 1, repairs: 1, garbage: 1 }), EVERY);
    let nodes = vec![parallel(vec![vec![remote("a").into(), remote("b").into()], vec![remote("c").into(), remote("d").into()]])];
    assert_eq!(explore(nodes, true, CALM), EVERY);
}

#[test]
fn an_error_with_a_value_in_its_place() {
    let replaced = remote("b").on_error(|_, error| if error.is_transient() { Err(error) } else { Ok(json!(0)) });
    assert_eq!(explore(vec![remote("a").into(), replaced.into(), local("c").into()], true, CALM), [Committed, NeedsOperator, RolledBack]);
    let replaced = remote("a").retriable().on_error(|_, _| Ok(json!(0)));
    assert_eq!(explore(vec![replaced.into()], true, REPAIR), [Committed, NeedsOperator]);
}

#[test]
fn a_success_that_the_saga_refuses() {
    let refuse: fn(&Values) -> Result<()> = |_| Err(Error::rejected("too dear"));
    assert_eq!(explore(vec![local("a").into(), remote("b").on_success(refuse).into()], true, REPAIR), [NeedsOperator, RolledBack]);
    assert_eq!(
        explore(vec![local("a").into(), remote("b").pivot().on_success(refuse).into()], true, REPAIR),
        [Committed, NeedsOperator, RolledBack]
    );
}
