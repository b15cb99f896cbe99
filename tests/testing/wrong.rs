//! Sagas that are wrong in ways that the compiler does not see, and what their matrix says.

use minos::{
    prelude::*,
    testing::{Coverage, CrashMatrix, MatrixError},
};
use std::sync::atomic::{AtomicU32, Ordering};

#[message("Hold", reply = u32)]
pub struct Hold {
    pub seats: u32,
}

#[message("Release")]
pub struct Release {
    pub hold: u32,
}

fn wrong<S: Saga>() -> MatrixError {
    wrong_with(CrashMatrix::<S>::new())
}

fn wrong_with<S: Saga>(matrix: CrashMatrix<S>) -> MatrixError {
    match matrix.explore() {
        Ok(coverage) => panic!("it survives: {coverage}"),
        Err(error) => error,
    }
}

fn right<S: Saga>(matrix: CrashMatrix<S>) -> Coverage {
    matrix.explore().unwrap_or_else(|error| panic!("{error}"))
}

saga! {
    /// Its compensation panics for a value that is legal.
    pub UndoPanics { seats: u32 }

    remote hold -> hold: u32 {
        on_execute: |saga| Hold { seats: saga.seats },
        on_failure: |saga| Release { hold: saga.hold.checked_sub(1).unwrap() },
    }

    local note { on_execute: async |_cx, _saga| Ok(()) }
}

#[test]
fn a_compensation_that_panics_is_found_by_the_shortest_way_to_it() {
    let error = wrong::<UndoPanics>();
    assert!(error.why.starts_with("`on_failure` of step `hold` panicked: "), "{error}");
    assert_eq!(
        error.story,
        [
            "   1.   the other side is asked to do `hold` (attempt 1), and answers that it is done",
            "   2.   the saga, which has asked to do `hold` (attempt 1), is answered that it is done",
            "   3. ! local step `note` fails, and may succeed later (attempt 1)",
        ]
    );
    let text = error.to_string();
    assert!(text.contains("its input: {\"seats\":0}") && text.contains("flowchart TD") && text.contains("class n2 done"), "{text}");
}

saga! {
    /// What it makes of an error panics.
    pub ErrorPanics { seats: u32 }

    remote hold -> hold: u32 {
        on_execute: |saga| Hold { seats: saga.seats },
        on_error: |_saga, error| if error.to_string() == "not now" { error } else { panic!("unexpected") },
        on_failure: |saga| Release { hold: saga.hold },
    }
}

saga! {
    /// Its condition panics.
    pub ConditionPanics { seats: u32 }

    when |saga| 10 / saga.seats > 1 {
        remote hold -> hold: u32 {
            on_execute: |saga| Hold { seats: saga.seats },
            on_failure: |saga| Release { hold: saga.hold },
        }
    }
}

#[test]
fn whatever_panics_is_found() {
    let error = wrong::<ErrorPanics>();
    assert!(error.why.starts_with("`on_error` of step `hold` panicked: unexpected"), "{error}");
    assert!(error.story.last().is_some_and(|last| last.contains("an error")), "{error}");
    let error = wrong::<ConditionPanics>();
    assert!(error.why.contains("the condition of the `when` before step `hold`"), "{error}");
    right(CrashMatrix::<UndoPanics>::new().answer("hold", 1));
}

static ASKED: AtomicU32 = AtomicU32::new(0);

saga! {
    /// Asks for something else each time.
    pub NotTheSameTwice { seats: u32 }

    remote hold -> hold: u32 {
        on_execute: |_saga| Hold { seats: ASKED.fetch_add(1, Ordering::Relaxed) },
        on_failure: |saga| Release { hold: saga.hold },
    }
}

#[test]
fn a_message_that_is_another_one_each_time_is_found() {
    let error = wrong::<NotTheSameTwice>();
    assert!(error.why.starts_with("`on_execute` of step `hold` gives another message when it is asked again: "), "{error}");
    assert_eq!(error.story.iter().filter(|line| line.contains('!')).count(), 1, "one fault is enough: {error}");
}

saga! {
    /// What cannot be undone refuses its own success.
    pub PivotRefuses { seats: u32 }

    pivot remote hold -> hold: u32 {
        on_execute: |saga| Hold { seats: saga.seats },
        on_success: |saga| { ensure!(saga.hold > 0, "hold {} is none", saga.hold); Ok(()) },
    }
}

saga! {
    /// Refuses a success, and undoes it.
    pub StepRefuses { seats: u32 }

    remote hold -> hold: u32 {
        on_execute: |saga| Hold { seats: saga.seats },
        on_success: |saga| { ensure!(saga.hold > 0, "hold {} is none", saga.hold); Ok(()) },
        on_failure: |saga| Release { hold: saga.hold },
    }
}

#[test]
fn a_saga_that_does_not_commit_though_nothing_goes_wrong_is_found() {
    for error in [wrong::<PivotRefuses>(), wrong::<StepRefuses>()] {
        assert!(error.why.starts_with("nothing has gone wrong, and the saga does not commit: `hold` says `hold 0 is none`"), "{error}");
    }
    let coverage = right(CrashMatrix::<StepRefuses>::new().answer("hold", 7));
    assert!(coverage.ends["committed"] > 0 && coverage.ends["rolled_back"] > 0, "{coverage}");
    let coverage = right(CrashMatrix::<PivotRefuses>::new().answer("hold", 7));
    assert_eq!(coverage.ends.keys().copied().collect::<Vec<_>>(), ["committed", "rolled_back"], "{coverage}");
}

saga! {
    /// Its point of no return is where its first retriable step begins.
    pub HoldAndTell { seats: u32 }

    remote hold -> hold: u32 {
        on_execute: |saga| Hold { seats: saga.seats },
        on_failure: |saga| Release { hold: saga.hold },
    }

    retriable remote tell { on_execute: |saga| Release { hold: saga.hold } }
    retriable local note { on_execute: async |_cx, _saga| Ok(()) }
}

minos::crash_matrix!(HoldAndTell);

saga! {
    /// Goes one way or the other.
    pub EitherWay { seats: u32, name: String }

    when |saga| saga.seats > 10 {
        remote many -> hold: u32 {
            on_execute: |saga| Hold { seats: saga.seats },
            on_failure: |saga| Release { hold: saga.hold },
        }
    } otherwise {
        remote few -> hold: u32 {
            on_execute: |saga| Hold { seats: 10 - saga.seats },
            on_failure: |saga| Release { hold: saga.hold },
        }
    }

    local note { on_execute: async |_cx, _saga| Ok(()) }
}

#[test]
fn both_ways_are_gone_or_the_inputs_lead_there() {
    let input = |seats| EitherWay { seats, name: "x".to_owned() };
    right(CrashMatrix::<EitherWay>::new());
    right(CrashMatrix::new().input(input(11)).input(input(1)));
    let error = wrong_with(CrashMatrix::new().input(input(11)));
    assert_eq!(error.why, "no input leads to step `few`: give one more for which the `when` before it decides so");
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Payment {
    Card { number: u64 },
}

saga! {
    /// There is no sample of its input.
    pub HardInput { payment: Payment }

    remote hold -> hold: u32 {
        on_execute: |_saga| Hold { seats: 1 },
        on_failure: |saga| Release { hold: saga.hold },
    }
}

#[test]
fn what_the_matrix_needs_and_does_not_have_is_told() {
    let error = wrong::<HardInput>();
    assert!(error.why.contains("could be made at `payment`: "), "{error}");
    assert!(error.why.ends_with(": give an input, as `crash_matrix!(HardInput { input: HardInput { … } })`"), "{error}");
    right(CrashMatrix::new().input(HardInput { payment: Payment::Card { number: 1 } }));

    let error = wrong_with(CrashMatrix::<StepRefuses>::new().answer("hodl", 7));
    assert_eq!(error.why, "an answer is given for `hodl`, which is no step of the saga; it has `hold`");
    let error = wrong_with(CrashMatrix::<StepRefuses>::new().answer("hold", "seven"));
    assert!(error.why.starts_with("what step `hold` is to answer, \"seven\", is not what it yields: "), "{error}");
}

#[test]
fn how_much_was_looked_at_is_bounded_and_said() {
    let all = right(CrashMatrix::<EitherWay>::new().lives(1_000_000));
    assert_eq!(all.faults, Some(u32::MAX));
    let some = right(CrashMatrix::<EitherWay>::new().lives(400));
    assert!(some.lives < 500 && some.faults < all.faults, "{some}");
    let none = right(CrashMatrix::<EitherWay>::new().lives(4));
    assert_eq!(none.faults, None);
    assert!(none.to_string().contains("not even all without a fault"), "{none}");
}
