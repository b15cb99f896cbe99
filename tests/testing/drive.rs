//! Sagas that the test drives.

use minos::{
    message::Direction,
    prelude::*,
    saga::{Repair, Status},
    testing::{SagaTest, TestService},
};
use std::panic::{AssertUnwindSafe, catch_unwind};

#[aggregate]
pub struct Order {
    pub seats: u32,
    pub hold: Option<u32>,
}

#[message("Hold", reply = u32)]
#[derive(Debug, PartialEq)]
pub struct Hold {
    pub what: String,
    pub seats: u32,
}

#[message("Release")]
#[derive(Debug, PartialEq)]
pub struct Release {
    pub hold: u32,
}

#[message("Thank")]
#[derive(Debug, PartialEq)]
pub struct Thank {
    pub order: Uuid,
}

saga! {
    /// Holds seats and notes it.
    pub HoldSeats { order: Uuid, seats: u32 }

    remote hold -> hold: u32 {
        on_execute: |saga| Hold { what: "seats".into(), seats: saga.seats },
        on_failure: |saga| Release { hold: saga.hold },
        timeout: "5s",
    }

    local note -> at: Timestamp {
        on_execute: async |cx, saga| {
            let mut order = Order::get(cx, saga.order).await?;
            ensure!(order.seats >= saga.seats, "only {} seats were ordered", order.seats);
            order.hold = Some(saga.hold);
            order.save(cx).await?;
            cx.send(Thank { order: saga.order })?;
            Ok(cx.now())
        },
        on_failure: async |cx, saga| {
            let mut order = Order::get(cx, saga.order).await?;
            order.hold = None;
            order.save(cx).await
        },
    }

    pivot remote confirm {
        on_execute: |saga| Release { hold: saga.hold },
        retry: { attempts: 2, first_pause: "2s", longest_pause: "2s" },
    }
}

fn with_an_order() -> (TestService, Uuid) {
    let service = TestService::new();
    let order = service.run(async |cx| Ok(Order::create(cx, Order { seats: 2, hold: None }).await?.uuid())).unwrap();
    (service, order)
}

fn hold_of(service: &TestService, order: Uuid) -> Option<u32> {
    service.run(async |cx| Ok(Order::get(cx, order).await?.hold)).unwrap()
}

#[test]
fn a_saga_is_driven_to_its_end() {
    let (service, order) = with_an_order();
    let mut saga = service.start(HoldSeats { order, seats: 2 });
    assert_eq!(saga.sent::<Hold>(), Hold { what: "seats".to_owned(), seats: 2 });
    saga.answer(7);
    saga.answer_again();
    saga.crash();
    assert_eq!(saga.waits_for(), ["note"]);
    saga.run();
    assert_eq!(hold_of(&service, order), Some(7));
    assert_eq!(service.sent::<Thank>(), [Thank { order }]);
    saga.fail("not now");
    saga.pause_ends();
    assert_eq!(
        saga.messages().iter().map(|sent| (sent.name, sent.attempt)).collect::<Vec<_>>(),
        [("Hold", 1), ("Release", 1), ("Release", 2)]
    );
    saga.answer(());
    let done = saga.committed();
    assert_eq!((done.hold, done.at.as_second()), (7, 946_684_800), "no time has passed where the test did not let it");
    assert!(saga.undone().is_empty());
}

#[tokio::test]
async fn what_was_done_is_undone_and_the_tests_may_be_async() {
    let (service, order) = with_an_order();
    let mut saga = service.start(HoldSeats { order, seats: 2 });
    saga.answer(7);
    saga.run();
    saga.refuse("no");
    assert_eq!(saga.undone(), ["note"]);
    saga.run();
    assert_eq!(hold_of(&service, order), None);
    assert_eq!(saga.sent::<Release>(), Release { hold: 7 });
    assert_eq!(saga.failure().unwrap().at.as_deref(), Some("confirm"));
    saga.answer(());
    assert_eq!((saga.undone(), saga.rolled_back().to_string()), (vec!["note", "hold"], "no".to_owned()));
}

#[test]
fn what_a_local_step_refuses_has_not_happened() {
    let (service, order) = with_an_order();
    let mut saga = service.start(HoldSeats { order, seats: 3 });
    saga.answer(7);
    saga.run();
    saga.answer(());
    assert_eq!(saga.rolled_back().to_string(), "only 2 seats were ordered");
    assert_eq!((hold_of(&service, order), service.sent::<Thank>().len()), (None, 0));
}

#[test]
fn without_an_answer_it_is_asked_whether_it_was_done() {
    let mut saga = SagaTest::start(HoldSeats { order: Uuid::now_v7(), seats: 2 });
    saga.times_out();
    assert_eq!(saga.messages().last().unwrap().direction, Direction::Cancel);
    saga.not_done();
    assert_eq!((saga.rolled_back().status().as_u16(), saga.undone().len()), (504, 0));
    assert!(!saga.answer_late("hold", 1, 7), "that was promised never to happen");

    let mut saga = SagaTest::start(HoldSeats { order: Uuid::now_v7(), seats: 2 });
    saga.times_out();
    assert!(saga.answer_late("hold", 1, 7), "it was done, and is undone");
    saga.answer(());
    assert_eq!(saga.undone(), ["hold"]);
    saga.rolled_back();
}

#[test]
fn a_local_step_can_be_played_and_an_operator_helps() {
    let mut saga = SagaTest::start(HoldSeats { order: Uuid::now_v7(), seats: 2 });
    saga.answer(7);
    saga.answer(Timestamp::UNIX_EPOCH);
    saga.refuse("no");
    for _ in 1..30 {
        saga.fail("its store is down");
        saga.pause_ends();
    }
    saga.fail("its store is down");
    assert_eq!(saga.needs_operator(), ["note"]);
    assert!(saga.repair(Repair::Rollback).unwrap_err().to_string().contains("it is being undone already"));
    saga.repair(Repair::Skip { step: "note".to_owned(), value: None }).unwrap();
    saga.answer(());
    assert_eq!(saga.execution().status, Status::RolledBack);
    assert!(saga.diagram().contains("rolled_back"));
}

saga! {
    /// Two at once.
    pub HoldBoth { seats: u32 }

    parallel {
        remote car -> car: u32 {
            on_execute: |saga| Hold { what: "car".into(), seats: saga.seats },
            on_failure: |saga| Release { hold: saga.car },
        }
        remote room -> room: u32 {
            on_execute: |saga| Hold { what: "room".into(), seats: saga.seats },
            on_failure: |saga| Release { hold: saga.room },
        }
    }
}

#[test]
fn of_several_at_once_each_has_its_name() {
    let mut saga = SagaTest::start(HoldBoth { seats: 1 });
    assert_eq!(saga.waits_for(), ["car", "room"]);
    assert_eq!(saga.step("room").sent::<Hold>().what, "room");
    saga.step("car").refuse("none left");
    assert_eq!(saga.waits_for(), ["room"], "nothing is undone while a branch is under way");
    saga.answer(9);
    assert_eq!(saga.sent::<Release>(), Release { hold: 9 });
    saga.answer(());
    assert_eq!(saga.undone(), ["room"]);
    saga.rolled_back();
}

/// What a test is told that does what the saga does not wait for.
fn told(saga: &mut SagaTest<HoldBoth>, wrong: impl FnOnce(&mut SagaTest<HoldBoth>)) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| wrong(saga))).expect_err("it panics");
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn what_the_saga_does_not_wait_for_is_told() {
    let saga = &mut SagaTest::start(HoldBoth { seats: 1 });
    assert_eq!(
        told(saga, |saga| saga.answer(1)),
        "more than one step waits: say which, as `saga.step(\"…\")`: the saga `HoldBoth` is running; step `car` waits for `Hold` to be answered (attempt 1); \
         step `room` waits for `Hold` to be answered (attempt 1)"
    );
    assert!(told(saga, |saga| drop(saga.sent::<Hold>())).starts_with("more than one `Hold` waits for an answer: say of which step"));
    assert!(
        told(saga, |saga| {
            let _ = saga.sent::<Thank>();
        })
        .starts_with("no `Thank` waits for an answer: the saga `HoldBoth` is running; ")
    );
    assert!(told(saga, |saga| saga.step("car").answer("x")).starts_with("that is not what step `car` yields: "));
    assert!(told(saga, |saga| saga.step("car").run()).starts_with("step `car` does not run here"));
    assert!(told(saga, |saga| saga.step("car").not_done()).starts_with("nobody asks whether it was done: "));
    assert!(told(saga, |saga| saga.pause_ends()).starts_with("nothing pauses: "));
    assert!(told(saga, |saga| drop(saga.rolled_back())).starts_with("the saga is not rolled back: the saga `HoldBoth` is running; "));
    saga.step("car").refuse("none left");
    saga.step("room").refuse("none left");
    assert_eq!(
        told(saga, |saga| {
            let _ = saga.committed();
        }),
        "the saga has not committed: the saga `HoldBoth` is rolled_back because of `car` `none left`"
    );
    assert!(told(saga, |saga| saga.answer(1)).starts_with("no step waits: "));
}
