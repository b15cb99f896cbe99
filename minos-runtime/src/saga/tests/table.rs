//! Each rule by itself, with its times.

use super::{Direction::*, StepStatus::*, *};

/// An execution that is told what happens, and what it said to do.
struct Told {
    plan: Plan,
    execution: Execution,
    effects: Vec<Effect>,
    second: i64,
}

impl Told {
    fn new(nodes: Vec<Node>) -> Self {
        Self::with(nodes, true)
    }

    fn with(nodes: Vec<Node>, yes: impl Into<Value>) -> Self {
        Told::begun(plan(nodes), yes)
    }

    fn of(plan: Plan) -> Self {
        Told::begun(plan, true)
    }

    fn begun(plan: Plan, yes: impl Into<Value>) -> Self {
        let execution = begin(&plan, yes);
        let mut told = Told { plan, execution, effects: vec![], second: 0 };
        told.input(Input::Started);
        told
    }

    fn try_input(&mut self, input: Input) -> Result<(), TransitionError> {
        let moment = Moment { now: at(self.second), jitter: 0.0 };
        self.effects = transition(&self.plan, &mut self.execution, input, moment)?;
        Ok(())
    }

    fn input(&mut self, input: Input) {
        self.try_input(input).unwrap();
    }

    fn ended(&mut self, step: &str, direction: Direction, attempt: u32, result: Result<Outcome>) {
        self.input(Input::Ended { call: call(step, direction, attempt), result, holds: false });
    }

    /// It is done, and the other side holds something since.
    fn held(&mut self, step: &str, direction: Direction, attempt: u32) {
        self.input(Input::Ended { call: call(step, direction, attempt), result: Ok(Outcome::Answer(b"7".to_vec())), holds: true });
    }

    /// What the other sides are told to release by the last effects.
    fn released(&self) -> Vec<(&str, Direction)> {
        let calls = self.effects.iter().filter_map(|effect| match effect {
            Effect::Release { call, .. } => Some((call.step.as_str(), call.direction)),
            _ => None,
        });
        calls.collect()
    }

    fn good(&mut self, step: &str, direction: Direction, attempt: u32) {
        self.ended(step, direction, attempt, Ok(Outcome::Answer(b"7".to_vec())));
    }

    fn later(&mut self, second: i64) {
        self.second = second;
        self.input(Input::Due);
    }

    fn status(&self, step: &str) -> StepStatus {
        self.execution.steps[step].status
    }

    /// The calls of the last effects.
    fn calls(&self) -> Vec<(&str, Direction, u32)> {
        let calls = self.effects.iter().filter_map(|effect| match effect {
            Effect::Send { call, .. } | Effect::Run { call } => Some(call),
            Effect::Release { .. } | Effect::Alarm { .. } | Effect::Finished => None,
        });
        calls.map(|call| (call.step.as_str(), call.direction, call.attempt)).collect()
    }

    fn refused(&mut self, repair: Repair) -> String {
        let before = self.execution.clone();
        let error = self.try_input(Input::Repair(repair)).unwrap_err().to_string();
        assert_eq!(self.execution, before);
        error
    }
}

fn never() -> Result<Outcome> {
    Err(Error::rejected("no seat"))
}

fn not_now() -> Result<Outcome> {
    Err(Error::unavailable("full"))
}

fn retry(step: &str) -> Repair {
    Repair::Retry { step: step.to_owned() }
}

fn skip(step: &str, value: Option<Value>) -> Repair {
    Repair::Skip { step: step.to_owned(), value }
}

#[test]
fn it_goes_forward_and_commits() {
    let mut told = Told::new(vec![remote("a").into(), local("b").into()]);
    assert_eq!(told.calls(), [("a", Execute, 1)]);
    assert_eq!(told.execution.due(), Some(at(10)));
    told.good("a", Execute, 1);
    assert_eq!((told.calls(), told.execution.due()), (vec![("b", Execute, 1)], None));
    told.ended("b", Execute, 1, Ok(Outcome::Value(json!(8))));
    assert_eq!(told.effects, [Effect::Finished]);
    assert_eq!((told.execution.status, told.execution.version), (Status::Committed, 3));
    assert_eq!(serde_json::to_value(&told.execution.values).unwrap(), json!({ "yes": true, "a": 7, "b": 8 }));
}

#[test]
fn what_has_happened_is_undone_in_the_reverse_order() {
    let mut told = Told::new(vec![remote("a").into(), local("b").into(), remote("c").into()]);
    told.good("a", Execute, 1);
    told.good("b", Execute, 1);
    told.ended("c", Execute, 1, never());
    assert_eq!((told.execution.status, told.calls()), (Status::Compensating, vec![("b", Undo, 1)]));
    told.good("b", Undo, 1);
    assert_eq!(told.calls(), [("a", Undo, 1)]);
    assert!(matches!(&told.effects[..], [Effect::Send { message, .. }] if message.name == "Undo"));
    told.good("a", Undo, 1);
    assert_eq!((told.effects.as_slice(), told.execution.status), (&[Effect::Finished][..], Status::RolledBack));
    let failure = told.execution.failure.unwrap();
    assert_eq!((failure.at.as_deref(), failure.message.as_str(), failure.error().status().as_u16()), (Some("c"), "no seat", 422));
}

#[test]
fn only_what_may_help_is_tried_again() {
    let mut told = Told::new(vec![remote("a").tried(3).into()]);
    told.ended("a", Execute, 1, not_now());
    assert_eq!((told.status("a"), told.execution.due()), (Pausing(Execute), Some(at(1))));
    told.later(1);
    told.ended("a", Execute, 2, not_now());
    assert_eq!(told.execution.due(), Some(at(3)));
    told.later(3);
    assert_eq!(told.calls(), [("a", Execute, 3)]);
    told.ended("a", Execute, 3, not_now());
    assert_eq!(told.execution.status, Status::RolledBack);

    let mut told = Told::new(vec![remote("a").tried(3).into()]);
    told.ended("a", Execute, 1, never());
    assert_eq!(told.execution.status, Status::RolledBack);

    let mut told = Told::new(vec![remote("a").retriable().tried(3).into()]);
    told.ended("a", Execute, 1, never());
    assert_eq!(told.status("a"), Pausing(Execute));
}

#[test]
fn an_answer_to_nothing_under_way_changes_nothing() {
    let mut told = Told::new(vec![remote("a").tried(3).within(5).into(), local("b").into()]);
    told.later(5);
    told.later(6);
    assert_eq!(told.calls(), [("a", Execute, 2)]);
    let before = told.execution.clone();
    // One before, one to come, what nobody asked, a step that was not begun, and one that there is not.
    for (step, direction, attempt) in
        [("a", Execute, 1), ("a", Execute, 3), ("a", Undo, 1), ("a", Cancel, 2), ("b", Execute, 1), ("x", Execute, 1)]
    {
        told.good(step, direction, attempt);
        told.ended(step, direction, attempt, never());
        assert_eq!((&told.execution, told.effects.as_slice()), (&before, &[][..]), "{step} {direction:?} {attempt}");
    }
    told.good("a", Execute, 2);
    told.good("a", Execute, 2);
    assert_eq!((told.calls(), told.status("a"), told.status("b")), (vec![], Succeeded, UnderWay(Execute)));
    // The end is the end.
    told.good("b", Execute, 1);
    let end = told.execution.clone();
    told.good("b", Execute, 1);
    told.later(99);
    told.input(Input::Resumed);
    assert_eq!((told.execution, told.effects), (end, vec![]));
}

#[test]
fn what_comes_before_its_time_changes_nothing() {
    let mut told = Told::new(vec![remote("a").tried(2).into()]);
    told.later(9);
    assert_eq!((told.execution.version, told.execution.due()), (1, Some(at(10))));
    told.later(10);
    assert_eq!(told.status("a"), Pausing(Execute));
}

#[test]
fn without_an_answer_the_other_side_is_asked_before_anything_is_undone() {
    let silent = || {
        let mut told = Told::new(vec![local("a").into(), remote("b").within(5).into()]);
        told.good("a", Execute, 1);
        told.later(5);
        assert_eq!((told.calls(), told.execution.status), (vec![("b", Cancel, 1)], Status::Compensating));
        assert!(matches!(&told.effects[..], [Effect::Send { message, .. }] if message.name == "Do"));
        told
    };
    let mut told = silent();
    told.ended("b", Cancel, 1, Ok(Outcome::NotDone));
    assert_eq!((told.calls(), told.status("b")), (vec![("a", Undo, 1)], Failed));

    let mut told = silent();
    told.good("b", Cancel, 1);
    assert_eq!(told.calls(), [("b", Undo, 1)]);

    // The answer itself, late.
    let mut told = silent();
    told.good("b", Execute, 1);
    assert_eq!((told.calls(), told.execution.values.get("b")), (vec![("b", Undo, 1)], Some(&json!(7))));
    let version = told.execution.version;
    told.ended("b", Cancel, 1, Ok(Outcome::NotDone));
    assert_eq!(told.execution.version, version);
}

#[test]
fn a_pivot_without_an_answer_decides_nothing_until_it_is_known() {
    let silent = || {
        let mut told = Told::new(vec![local("a").into(), remote("b").pivot().into(), local("c").retriable().into()]);
        told.good("a", Execute, 1);
        told.later(10);
        assert_eq!((told.calls(), told.execution.status), (vec![("b", Cancel, 1)], Status::Running));
        told
    };
    let mut told = silent();
    told.good("b", Cancel, 1);
    assert_eq!(told.calls(), [("c", Execute, 1)]);

    let mut told = silent();
    told.ended("b", Cancel, 1, Ok(Outcome::NotDone));
    assert_eq!(told.calls(), [("a", Undo, 1)]);
    assert_eq!(told.execution.failure.as_ref().unwrap().status, 504);

    // An operator wants it back, but it has happened.
    let mut told = silent();
    told.input(Input::Repair(Repair::Rollback));
    assert_eq!((told.calls(), told.execution.status), (vec![], Status::Compensating));
    told.good("b", Cancel, 1);
    assert_eq!((told.calls(), told.execution.failure.as_ref()), (vec![("c", Execute, 1)], None));
}

#[test]
fn nothing_local_is_in_doubt() {
    let mut told = Told::new(vec![local("a").within(5).into()]);
    told.later(5);
    assert_eq!((told.execution.status, told.effects.as_slice()), (Status::RolledBack, &[Effect::Finished][..]));
}

#[test]
fn a_compensation_that_keeps_failing_needs_an_operator() {
    let stuck = || {
        let mut told = Told::new(vec![local("a").into(), remote("b").into(), local("c").into()]);
        told.good("a", Execute, 1);
        told.good("b", Execute, 1);
        told.ended("c", Execute, 1, never());
        told.ended("b", Undo, 1, never());
        assert_eq!((told.status("b"), told.execution.due()), (Pausing(Undo), Some(at(1))));
        told.later(1);
        told.ended("b", Undo, 2, never());
        assert_eq!(told.effects, [Effect::Alarm { step: "b".to_owned() }]);
        assert_eq!((told.execution.status, told.status("b")), (Status::NeedsOperator, Stuck(Undo)));
        told
    };
    let mut told = stuck();
    told.input(Input::Repair(retry("b")));
    assert_eq!((told.calls(), told.execution.status), (vec![("b", Undo, 3)], Status::Compensating));
    // It has as many attempts as at first.
    told.ended("b", Undo, 3, never());
    assert_eq!(told.status("b"), Pausing(Undo));
    // What pauses can be tried at once.
    told.input(Input::Repair(retry("b")));
    told.good("b", Undo, 4);
    assert_eq!(told.calls(), [("a", Undo, 1)]);

    let mut told = stuck();
    told.input(Input::Repair(skip("b", None)));
    assert_eq!((told.calls(), told.status("b")), (vec![("a", Undo, 1)], Undone));
}

#[test]
fn past_the_pivot_it_only_goes_forward() {
    let mut told = Told::new(vec![local("a").into(), local("b").pivot().into(), remote("c").retriable().tried(1).into()]);
    told.good("a", Execute, 1);
    told.good("b", Execute, 1);
    assert!(told.refused(Repair::Rollback).contains("point of no return"));
    told.ended("c", Execute, 1, never());
    assert_eq!((told.execution.status, told.status("c")), (Status::NeedsOperator, Stuck(Execute)));
    assert!(told.refused(Repair::Rollback).contains("point of no return"));
    assert!(told.refused(skip("c", None)).contains("has to happen"));
    // What it yields has to be of its type.
    assert!(told.refused(skip("c", Some(json!("seven")))).contains("the answer to step `c`"));
    told.input(Input::Repair(skip("c", Some(json!(7)))));
    assert_eq!((told.execution.status, told.execution.values.get("c")), (Status::Committed, Some(&json!(7))));
    assert!(told.refused(retry("c")).contains("has ended as committed"));
}

#[test]
fn what_is_held_is_released_when_it_has_ended() {
    let nodes = || vec![remote("a").into(), remote("b").into(), remote("c").tried(2).into()];
    let mut told = Told::new(nodes());
    told.held("a", Execute, 1);
    told.good("b", Execute, 1);
    assert_eq!(told.released(), []);
    told.held("c", Execute, 1);
    assert_eq!((told.execution.status, told.released()), (Status::Committed, vec![("a", Execute), ("c", Execute)]));

    let mut told = Told::new(nodes());
    told.good("a", Execute, 1);
    told.held("b", Execute, 1);
    // Nobody answers; then it is asked whether it was done, and it was.
    told.later(10);
    told.later(20);
    told.later(30);
    assert_eq!(told.calls(), [("c", Cancel, 1)]);
    told.held("c", Cancel, 1);
    told.good("c", Undo, 1);
    told.held("b", Undo, 1);
    assert_eq!(told.released(), []);
    told.good("a", Undo, 1);
    assert_eq!(told.execution.status, Status::RolledBack);
    assert_eq!(told.released(), [("b", Execute), ("b", Undo), ("c", Execute)]);
}

#[test]
fn what_was_done_by_hand_is_released_in_case_it_was_done() {
    let mut told = Told::new(vec![remote("a").tried(1).into(), remote("b").into()]);
    told.good("a", Execute, 1);
    told.ended("b", Execute, 1, never());
    for attempt in 1..=2 {
        told.ended("a", Undo, attempt, not_now());
        told.later(i64::from(attempt) * 100);
    }
    told.input(Input::Repair(skip("a", None)));
    assert_eq!((told.execution.status, told.released()), (Status::RolledBack, vec![("a", Undo)]));
}

#[test]
fn what_is_decided_is_applied_in_order_until_it_is_answered() {
    let nodes = || vec![remote("a").not_undone().into(), local("b").not_undone().into(), remote("c").not_undone().into()];
    let mut told = Told::of(plan_of(isolated(nodes())));
    told.held("a", Execute, 1);
    told.good("b", Execute, 1);
    assert!(!told.execution.decided);
    told.held("c", Execute, 1);
    assert!(told.execution.decided && told.execution.status == Status::Committing);
    assert_eq!((told.calls(), told.status("b")), (vec![("a", Commit, 1)], Succeeded));
    told.later(10);
    assert_eq!(told.status("a"), Pausing(Commit));
    told.later(20);
    assert_eq!(told.calls(), [("a", Commit, 2)]);
    told.later(40);
    assert_eq!((told.status("a"), told.execution.status), (Stuck(Commit), Status::NeedsOperator));
    assert!(told.refused(Repair::Rollback).contains("only go forward"));
    // The first attempt is answered at last.
    told.good("a", Commit, 1);
    assert_eq!((told.status("a"), told.status("b"), told.calls()), (Applied, Applied, vec![("c", Commit, 1)]));
    told.good("c", Commit, 1);
    assert_eq!((told.execution.status, told.released()), (Status::Committed, vec![]));

    let mut told = Told::of(plan_of(isolated(nodes())));
    told.held("a", Execute, 1);
    told.good("b", Execute, 1);
    // Nobody knows whether it is prepared.
    told.later(10);
    assert_eq!(told.calls(), [("c", Abort, 1)]);
    told.good("c", Abort, 1);
    assert_eq!(told.calls(), [("a", Abort, 1)]);
    told.good("a", Abort, 1);
    assert_eq!((told.execution.status, told.released()), (Status::RolledBack, vec![]));
}

/// What is stored of an execution that holds nothing is what it was before there were holds.
#[test]
fn an_execution_that_holds_nothing_says_nothing_of_it() {
    let mut told = Told::new(vec![remote("a").into()]);
    told.good("a", Execute, 1);
    let text = serde_json::to_string(&told.execution).unwrap();
    assert!(!text.contains("holds"), "{text}");
    assert_eq!(serde_json::from_str::<Execution>(&text).unwrap(), told.execution);
}

#[test]
fn what_an_operator_cannot_want() {
    let mut told = Told::new(vec![local("a").into(), remote("b").into()]);
    assert!(told.refused(retry("nobody")).contains("no step `nobody`"));
    assert!(told.refused(retry("b")).contains("was not begun"));
    assert!(told.refused(retry("a")).contains("not stuck"));
    assert!(told.refused(skip("a", Some(json!(1)))).contains("not stuck"));
    told.input(Input::Repair(Repair::Rollback));
    assert_eq!(told.status("a"), UnderWay(Execute));
    assert!(told.refused(Repair::Rollback).contains("already"));
    told.good("a", Execute, 1);
    assert_eq!(told.calls(), [("a", Undo, 1)]);
}

#[test]
fn branches_that_are_under_way_are_awaited_before_anything_is_undone() {
    let mut told = Told::new(vec![
        local("a").into(),
        parallel(vec![vec![remote("b").into(), remote("x").into()], vec![remote("c").into()], vec![remote("d").tried(2).into()]]),
    ]);
    told.good("a", Execute, 1);
    assert_eq!(told.calls(), [("b", Execute, 1), ("c", Execute, 1), ("d", Execute, 1)]);
    told.good("d", Execute, 1);
    told.ended("c", Execute, 1, never());
    assert_eq!((told.calls(), told.execution.status), (vec![], Status::Compensating));
    told.good("b", Execute, 1);
    // Both at once, and nothing begins that comes later.
    assert_eq!(told.calls(), [("b", Undo, 1), ("d", Undo, 1)]);
    told.good("d", Undo, 1);
    assert_eq!(told.calls(), []);
    told.good("b", Undo, 1);
    assert_eq!(told.calls(), [("a", Undo, 1)]);
}

#[test]
fn what_pauses_is_given_up_when_another_branch_fails() {
    let mut told = Told::new(vec![parallel(vec![vec![remote("b").tried(5).into()], vec![remote("c").into()]])]);
    told.ended("b", Execute, 1, not_now());
    told.ended("c", Execute, 1, never());
    assert_eq!((told.status("b"), told.execution.status), (Failed, Status::RolledBack));

    // If it was not answered it has to be asked for.
    let mut told = Told::new(vec![parallel(vec![vec![remote("b").tried(5).within(2).into()], vec![remote("c").into()]])]);
    told.later(2);
    told.ended("c", Execute, 1, never());
    assert_eq!(told.calls(), [("b", Cancel, 1)]);
}

#[test]
fn a_decision_is_stored() {
    let nodes = || vec![when(vec![when(vec![local("a").into()], vec![local("b").into()])], vec![]), local("c").into()];
    let mut told = Told::with(nodes(), true);
    let decisions = serde_json::to_value(&told.execution.decisions).unwrap();
    assert_eq!(decisions, json!({ "a": "then", "when a": "then" }));
    // What is decided stays.
    told.execution.values.set("yes", json!(false));
    told.good("a", Execute, 1);
    assert_eq!(told.calls(), [("c", Execute, 1)]);
    assert_eq!(Told::with(nodes(), false).calls(), [("c", Execute, 1)]);
}

#[test]
fn a_condition_that_fails_makes_the_saga_fail_or_needs_an_operator() {
    let mut told = Told::with(vec![local("a").into(), when(vec![local("b").into()], vec![])], Value::Null);
    told.good("a", Execute, 1);
    assert_eq!(told.calls(), [("a", Undo, 1)]);

    let mut told = Told::with(vec![local("a").pivot().into(), when(vec![local("b").retriable().into()], vec![])], Value::Null);
    told.good("a", Execute, 1);
    assert_eq!(told.effects, [Effect::Alarm { step: "b".to_owned() }]);
    let why = told.execution.stuck().next().unwrap().1.unwrap().message.clone();
    assert_eq!(why, "the condition of the `when` before step `b`: nobody has said yes or no");
    told.input(Input::Repair(retry("b")));
    assert_eq!(told.execution.status, Status::NeedsOperator);
    assert!(told.refused(skip("b", None)).contains("`true` or `false`"));
    told.input(Input::Repair(skip("b", Some(json!(true)))));
    assert_eq!(told.calls(), [("b", Execute, 1)]);
}

#[test]
fn an_error_can_be_told_in_other_words_or_be_no_error() {
    let words = remote("a").on_error(|_, error| Err(error.context("no foobar")));
    let mut told = Told::new(vec![words.into()]);
    told.ended("a", Execute, 1, never());
    assert_eq!(told.execution.failure.unwrap().message, "no foobar: no seat");

    // With a value in its place there is nothing to undo.
    let mut told = Told::new(vec![remote("a").on_error(|_, _| Ok(json!(0))).into(), local("b").into()]);
    told.ended("a", Execute, 1, never());
    assert_eq!((told.calls(), told.execution.values.get("a")), (vec![("b", Execute, 1)], Some(&json!(0))));
    told.ended("b", Execute, 1, never());
    assert_eq!(told.execution.status, Status::RolledBack);
}

#[test]
fn a_success_can_be_refused() {
    let refuse: fn(&Values) -> Result<()> = |_| Err(Error::rejected("too dear"));
    let mut told = Told::new(vec![remote("a").on_success(refuse).into(), local("b").into()]);
    told.good("a", Execute, 1);
    assert_eq!((told.calls(), told.execution.failure.as_ref().unwrap().message.as_str()), (vec![("a", Undo, 1)], "too dear"));

    // A pivot that has happened cannot be taken back.
    let mut told = Told::new(vec![remote("a").pivot().on_success(refuse).into()]);
    told.good("a", Execute, 1);
    assert_eq!((told.calls(), told.status("a")), (vec![], Stuck(Execute)));
    told.input(Input::Repair(Repair::Rollback));
    told.good("a", Cancel, 1);
    assert_eq!(told.status("a"), Stuck(Execute));
}

#[test]
fn an_answer_that_nobody_can_read_means_that_it_has_happened() {
    let garbage = || Ok(Outcome::Answer(b"{".to_vec()));
    let mut told = Told::new(vec![remote("a").into(), local("b").into()]);
    told.ended("a", Execute, 1, garbage());
    assert_eq!(told.calls(), [("a", Cancel, 1)]);
    told.ended("a", Cancel, 1, garbage());
    assert_eq!(told.status("a"), Stuck(Cancel));
    told.input(Input::Repair(skip("a", Some(json!(3)))));
    assert_eq!((told.calls(), told.execution.values.get("a")), (vec![("a", Undo, 1)], Some(&json!(3))));
}

/// A step whose message cannot be made.
fn mute(name: &'static str) -> Step {
    let Work::Remote { read, undo, .. } = remote(name).work else { unreachable!("it is remote") };
    Step { work: Work::Remote { execute: |_| panic!("on purpose"), read, on_success: None, on_error: None, undo }, ..remote(name) }
}

#[test]
fn nothing_begins_beside_what_has_just_failed() {
    let told =
        Told::new(vec![parallel(vec![vec![mute("a").into()], vec![local("b").into()], vec![when(vec![local("c").into()], vec![])]])]);
    assert_eq!((told.effects.as_slice(), told.execution.status), (&[Effect::Finished][..], Status::RolledBack));
    assert_eq!((told.execution.steps.len(), told.execution.decisions.len()), (1, 0));
}

#[test]
fn what_panics_is_an_error() {
    let mut told = Told::new(vec![local("a").into(), remote("b").on_success(|_| panic!("on purpose")).into()]);
    told.good("a", Execute, 1);
    told.good("b", Execute, 1);
    assert_eq!(told.execution.failure.unwrap().message, "`on_success` of step `b` panicked: on purpose");

    let told = Told::new(vec![mute("a").into()]);
    assert_eq!(told.execution.status, Status::RolledBack);
    assert_eq!(told.execution.failure.unwrap().message, "`on_execute` of step `a` panicked: on purpose");
}

#[test]
fn after_a_crash_the_same_is_told_again() {
    let mut told = Told::new(vec![parallel(vec![vec![local("a").into()], vec![remote("b").into()], vec![remote("c").into()]])]);
    let before: Vec<_> = told.effects.clone();
    told.good("c", Execute, 1);
    told.input(Input::Resumed);
    assert_eq!(told.effects, before[..2]);
    told.input(Input::Started);
    assert_eq!(told.effects, []);
    assert_eq!(told.execution.version, 2);
}

#[test]
fn a_pause_grows_to_its_limit_and_chance_only_lengthens_it() {
    let retry = Retry { attempts: 9, first_pause: Duration::from_secs(1), longest_pause: Duration::from_secs(60) };
    let pauses = [1, 2, 3, 7, 99].map(|attempt| retry.pause(attempt, 0.0).as_secs());
    assert_eq!(pauses, [1, 2, 4, 60, 60]);
    assert_eq!(retry.pause(2, 1.0), Duration::from_secs(3));
    assert_eq!(retry.pause(2, f64::NAN), Duration::from_secs(2));
}

#[test]
fn a_message_has_the_same_id_whenever_it_is_sent() {
    let (one, other) = (uuid::Uuid::from_u128(1), uuid::Uuid::from_u128(2));
    let id = call("a", Undo, 2).message_id(one);
    assert_eq!(call("a", Undo, 2).message_id(one), id);
    for (call, execution) in
        [(call("a", Undo, 2), other), (call("b", Undo, 2), one), (call("a", Execute, 2), one), (call("a", Undo, 1), one)]
    {
        assert_ne!(call.message_id(execution), id);
    }
}

#[test]
fn a_pivot_that_answers_garbage_while_it_is_to_be_undone_is_not_done_again() {
    let mut told = Told::new(vec![remote("a").pivot().into()]);
    told.input(Input::Repair(Repair::Rollback));
    told.ended("a", Execute, 1, Ok(Outcome::Answer(b"garbage".to_vec())));
    assert_eq!((told.status("a"), told.calls()), (UnderWay(Cancel), vec![("a", Cancel, 1)]));
    // It has happened: so the saga goes forward after all, once it is known what it has yielded.
    told.good("a", Cancel, 1);
    assert_eq!(told.execution.status, Status::Committed);
}
