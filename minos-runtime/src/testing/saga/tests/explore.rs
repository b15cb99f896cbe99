//! Small sagas, and everything that can happen to them, in every order.

use super::{
    super::{event::ANY, search, story::Story},
    *,
};
use crate::error::Result;

/// Goes through all worlds. In which statuses executions end, or wait for an operator.
fn explore(nodes: Vec<Node>, yes: bool, budget: Budget) -> Vec<&'static str> {
    explore_definition(definition(nodes), yes, budget)
}

fn explore_definition(def: &'static SagaDef, yes: bool, budget: Budget) -> Vec<&'static str> {
    let first = first(def, yes, budget).unwrap();
    let explored = search::explore(first, 10_000_000, &mut |world, events| {
        world.check_thoroughly()?;
        if world.waits_for_nobody(events) { world.clone().rescue().map(|_| ()) } else { Ok(()) }
    });
    let explored = explored.unwrap_or_else(|found| panic!("{}\nafter\n{}", found.why, Story(&found.story)));
    assert_eq!(explored.complete, Some(u32::MAX), "there are too many worlds");
    // Seen with `--nocapture`.
    println!("{} worlds, {} lives", explored.worlds, explored.lives);
    explored.ends.into_keys().collect()
}

/// Errors and answers that come too late, as many as you like, and nothing else.
const CALM: Budget =
    Budget { faults: ANY, duplicates: 0, losses: 0, crashes: 0, garbage: 0, broken: 0, questions: 0, repairs: 0, helped: false };
const TWICE: Budget = Budget { duplicates: 1, ..CALM };
const CRASH: Budget = Budget { crashes: 1, ..CALM };
const REPAIR: Budget = Budget { repairs: 1, ..CALM };
const ASK: Budget = Budget { questions: 1, ..CALM };
const GARBAGE: Budget = Budget { garbage: 1, ..CALM };

const EVERY: [&str; 3] = ["committed", "needs_operator", "rolled_back"];

#[test]
fn one_step() {
    for budget in [Budget { duplicates: 1, crashes: 1, ..REPAIR }, Budget { crashes: 1, ..GARBAGE }] {
        assert_eq!(explore(vec![remote("a").into()], true, budget), EVERY);
        assert_eq!(explore(vec![remote("a").pivot().into()], true, budget), EVERY);
        assert_eq!(explore(vec![remote("a").retriable().into()], true, budget), ["committed", "needs_operator"]);
        assert_eq!(explore(vec![local("a").retriable().within(5).into()], true, budget), ["committed", "needs_operator"]);
    }
    // It is only undone if the operator wants it.
    assert_eq!(explore(vec![local("a").tried(2).into()], true, CRASH), ["committed", "rolled_back"]);
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

#[test]
fn isolated_steps() {
    let (a, b, c) = (|| remote("a").not_undone(), || remote("b").not_undone(), || local("c").not_undone());
    for budget in [CRASH, REPAIR, TWICE, GARBAGE, Budget { questions: 2, ..REPAIR }] {
        assert_eq!(explore_definition(isolated(vec![a().into()]), true, budget), EVERY);
    }
    assert_eq!(explore_definition(isolated(vec![a().tried(2).into()]), true, CALM), EVERY);
    for budget in [CRASH, TWICE, REPAIR, GARBAGE, ASK] {
        assert_eq!(explore_definition(isolated(vec![a().into(), c().into()]), true, budget), EVERY);
        assert_eq!(explore_definition(isolated(vec![c().into(), b().into()]), true, budget), EVERY);
    }
    assert_eq!(explore_definition(isolated(vec![a().into(), b().into()]), true, CALM), EVERY);
    let either = || isolated(vec![c().into(), when(vec![a().into()], vec![b().into()])]);
    assert_eq!(explore_definition(either(), true, CALM), EVERY);
    assert_eq!(explore_definition(either(), false, CALM), EVERY);
    assert_eq!(explore_definition(isolated(vec![parallel(vec![vec![a().into()], vec![c().into()]])]), true, CALM), EVERY);
}

#[test]
fn isolated_steps_whose_answers_are_refused_or_replaced() {
    let refuse: fn(&Values) -> Result<()> = |_| Err(Error::rejected("too dear"));
    let refused = || remote("b").not_undone().on_success(refuse);
    assert_eq!(
        explore_definition(isolated(vec![local("a").not_undone().into(), refused().into()]), true, REPAIR),
        ["needs_operator", "rolled_back"]
    );
    let replaced = remote("a").not_undone().on_error(|_, _| Ok(json!(0)));
    assert_eq!(explore_definition(isolated(vec![replaced.into(), local("c").not_undone().into()]), true, CALM), EVERY);
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
    assert_eq!(explore(vec![remote("a").into()], true, Budget { duplicates: 1, crashes: 1, repairs: 1, garbage: 1, ..CALM }), EVERY);
    let nodes = vec![parallel(vec![vec![remote("a").into(), remote("b").into()], vec![remote("c").into(), remote("d").into()]])];
    assert_eq!(explore(nodes, true, CALM), EVERY);
    for budget in [Budget { duplicates: 1, crashes: 1, ..REPAIR }, Budget { crashes: 1, ..GARBAGE }] {
        assert_eq!(explore_definition(isolated(vec![remote("a").not_undone().tried(2).into()]), true, budget), EVERY);
    }
    let branches = vec![parallel(vec![vec![remote("a").not_undone().into()], vec![remote("b").not_undone().into()]])];
    assert_eq!(explore_definition(isolated(branches), true, CALM), EVERY);
}

#[test]
fn an_error_with_a_value_in_its_place() {
    let replaced = remote("b").on_error(|_, error| if error.is_transient() { Err(error) } else { Ok(json!(0)) });
    assert_eq!(explore(vec![remote("a").into(), replaced.into(), local("c").into()], true, CALM), EVERY);
    let replaced = remote("a").retriable().on_error(|_, _| Ok(json!(0)));
    assert_eq!(explore(vec![replaced.into()], true, REPAIR), ["committed", "needs_operator"]);
}

#[test]
fn a_success_that_the_saga_refuses() {
    let refuse: fn(&Values) -> Result<()> = |_| Err(Error::rejected("too dear"));
    assert_eq!(explore(vec![local("a").into(), remote("b").on_success(refuse).into()], true, REPAIR), ["needs_operator", "rolled_back"]);
    assert_eq!(explore(vec![local("a").into(), remote("b").pivot().on_success(refuse).into()], true, REPAIR), EVERY);
}
