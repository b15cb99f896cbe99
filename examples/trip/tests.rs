//! The saga by itself: what it asks for, and that it survives whatever can happen.

use super::trip::*;
use minos::{
    prelude::*,
    testing::{SagaTest, TestService},
};

minos::crash_matrix!(BookTrip);

fn booked(room: u32) -> SagaTest<BookTrip> {
    let id = Uuid::from_u128;
    let mut saga = TestService::new().start(BookTrip { account: id(1), flight: id(2), hotel: id(3), nights: 4 });
    saga.step("book_room").answer(room);
    saga.step("book_seat").answer(300);
    saga
}

#[test]
fn an_expensive_trip_is_insured() {
    let mut saga = booked(800);
    assert_eq!(saga.sent::<Insure>().value, 1_100);
    saga.answer(Some(Uuid::from_u128(9)));
    assert_eq!(saga.sent::<Pay>().amount, 1_100);
    saga.answer(Uuid::from_u128(7));
    saga.answer("a ticket");
    saga.run();
    let done = saga.committed();
    assert_eq!((done.receipt, done.insurance), (Uuid::from_u128(7), Some(Uuid::from_u128(9))));
}

#[test]
fn what_cannot_be_paid_is_undone() {
    let mut saga = booked(500);
    assert_eq!(saga.waits_for(), ["do_not_insure"]);
    saga.run();
    saga.refuse("the account has 3");
    saga.step("book_seat").answer(());
    saga.step("book_room").answer(());
    assert_eq!(saga.rolled_back().to_string(), "the account has 3");
}

#[test]
fn without_a_seat_the_room_is_given_back() {
    let mut saga = TestService::new().start(BookTrip { account: Uuid::nil(), flight: Uuid::nil(), hotel: Uuid::nil(), nights: 4 });
    saga.step("book_seat").refuse("the flight is full");
    assert_eq!(saga.waits_for(), ["book_room"], "it may have happened, so it is awaited");
    saga.answer(500);
    saga.answer(());
    assert_eq!((saga.undone(), saga.rolled_back().to_string()), (vec!["book_room"], "there is no seat: the flight is full".to_owned()));
}
