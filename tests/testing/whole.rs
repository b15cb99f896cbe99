//! Whole services in a test, in memory.

use super::theatre::{
    GiveBack, PostTickets, Reserve, Write,
    clock::Struck,
    office::{Booking, Confirm},
};
use minos::{
    prelude::*,
    saga::Status,
    testing::{TestRunning, TestService},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn service(name: &str) -> Service {
    Service::from_toml(&format!("service.name = \"{name}\"\nbroker.url = \"kafka://not.here:9092\""))
        .unwrap()
        .module(format!("testing::theatre::{name}"))
}

async fn office() -> Result<TestRunning> {
    TestService::whole().service(service("office")).start().await
}

async fn booked(office: &TestRunning, guest: &str) -> Result<Uuid> {
    office.post("/bookings", json!({ "guest": guest, "seats": 2 })).await?.json()
}

#[tokio::test]
async fn requests_go_through_the_router_and_its_limits() -> Result<()> {
    let office = office().await?;
    let uuid = booked(&office, "ann").await?;
    let booking: Value = office.get(format!("/bookings/{uuid}")).await?.json()?;
    assert_eq!((&booking["guest"], &booking["created_at"]), (&json!("ann"), &json!("2000-01-01T00:00:00Z")));

    let answer = office.post("/bookings", json!({ "guest": "ann", "seats": 0 })).await?;
    assert_eq!((answer.status().as_u16(), answer.problem().as_deref()), (422, Some("nobody books no seat")));
    let error = answer.json::<Uuid>().unwrap_err();
    assert_eq!(error.to_string(), "`POST /bookings` was answered with 422: nobody books no seat");

    let unknown = office.post("/bookings", json!({ "guest": "ann", "sets": 0 })).await?;
    assert_eq!(unknown.status(), 422);
    assert_eq!(office.delete("/bookings").await?.status(), 405);
    assert_eq!(office.get("/nowhere").await?.status(), 404);
    office.settled().await?;
    assert_eq!(office.get("/health/ready").await?.status(), 200);

    let once = office.with_header("idempotency-key", "one");
    let book = || once.post("/bookings", json!({ "guest": "bob", "seats": 1 }));
    assert_eq!(book().await?.json::<Uuid>()?, book().await?.json::<Uuid>()?);
    Ok(())
}

#[tokio::test]
async fn ids_are_the_same_in_each_run() -> Result<()> {
    let (one, other) = (office().await?, office().await?);
    let first = booked(&one, "ann").await?;
    assert_eq!(first, booked(&other, "bob").await?);
    assert_ne!(first, booked(&one, "ann").await?);
    Ok(())
}

#[tokio::test]
async fn a_start_is_quick() -> Result<()> {
    drop(office().await?);
    let began = Instant::now();
    let offices = 20;
    for _ in 0..offices {
        let office = office().await?;
        booked(&office, "ann").await?;
        office.settled().await?;
    }
    assert!(began.elapsed() < Duration::from_millis(50) * offices, "{:?}", began.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_handler_that_panics_is_told() -> Result<()> {
    let office = office().await?;
    let answer = office.post("/panics", ()).await?;
    assert_eq!(answer.status(), 500);
    office.settled().await?;
    assert_eq!(office.get("/health").await?.status(), 200);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_handled_is_named() -> Result<()> {
    let office = office().await?;
    let uuid = booked(&office, "ann").await?;
    office.put(format!("/bookings/{uuid}/guest"), "nobody").await?.ok()?;
    let error = office.settled().await.unwrap_err();
    let expected = format!(
        "`theatre::office::renamed` of `office` could not handle `BookingUpdated` (Booking/{uuid}), after 1 attempts: there is no such guest"
    );
    assert_eq!(error.to_string(), expected);
    let aside = office.put_aside().await?;
    assert_eq!(aside[0].letter.subscriber, "theatre::office::renamed");
    office.wait(Duration::from_secs(60)).await?;
    Ok(())
}

#[tokio::test]
async fn what_a_read_model_cannot_take_is_named() -> Result<()> {
    let office = office().await?;
    booked(&office, "ann").await?;
    booked(&office, "ann").await?;
    office.settled().await?;
    assert_eq!(office.get("/guests/ann").await?.json::<Option<u32>>()?, Some(4));
    booked(&office, "unseen").await?;
    let error = office.settled().await.unwrap_err().to_string();
    assert!(error.contains("`projection Guest #") && error.contains("this one wants to be seen by nobody"), "{error}");
    Ok(())
}

#[tokio::test]
async fn what_goes_on_for_ever_is_named() -> Result<()> {
    let office = office().await?;
    let uuid = booked(&office, "ann").await?;
    office.put(format!("/bookings/{uuid}/guest"), "endless").await?.ok()?;
    let error = office.settled_within(Duration::from_millis(100)).await.unwrap_err();
    let expected =
        format!("not settled within 100ms: `office`: not all have handled the event `BookingUpdated` of Booking/{uuid}, version 2");
    assert_eq!(error.to_string(), expected);
    Ok(())
}

#[tokio::test]
async fn messages_to_services_that_are_not_here_are_seen() -> Result<()> {
    let office = office().await?;
    let uuid = booked(&office, "ann").await?;
    office.put(format!("/bookings/{uuid}/guest"), "bob").await?.ok()?;
    office.settled().await?;
    assert_eq!(office.sent::<PostTickets>(), [PostTickets { booking: uuid }]);
    Ok(())
}

#[tokio::test]
async fn two_services_work_together() -> Result<()> {
    let theatre = TestService::whole().service(service("office")).service(service("letters")).start().await?;
    let uuid = booked(&theatre, "ann").await?;
    theatre.settled().await?;
    let letter: Value = theatre.get(format!("/letters/{uuid}")).await?.json()?;
    assert_eq!(letter["text"], "welcome");

    assert_eq!(theatre.send(Write { to: "bob".into() }).await?, 5);
    let refused = theatre.send(Write { to: String::new() }).await.unwrap_err();
    assert_eq!((refused.to_string(), refused.status().as_u16()), ("a letter is to somebody".to_owned(), 422));
    let uuid: Uuid = theatre.call("Book", json!({ "guest": "eve", "seats": 1 })).await?;
    let booking = theatre.of("office").run(async |cx| Booking::get(cx, uuid).await).await?;
    assert_eq!(booking.guest, "eve");
    assert_eq!(theatre.sent::<Write>(), [], "what the test sends is no service's");
    theatre.settled().await
}

#[tokio::test]
async fn what_happens_elsewhere_is_told_by_the_test() -> Result<()> {
    let letters = TestService::whole().service(service("letters")).start().await?;
    let prize = Uuid::from_u128(7);
    letters.happened("Lottery.PrizeDrawn", prize, json!({ "name": "ann" })).await?;
    assert_eq!(letters.get(format!("/letters/{prize}")).await?.json::<Value>()?["to"], "ann");
    let error = letters.happened("Raffle.PrizeDrawn", prize, json!({})).await.unwrap_err();
    assert_eq!(error.to_string(), "no service of this test listens to events of `Raffle`");
    let error = letters.happened("PrizeDrawn", prize, json!({})).await.unwrap_err();
    assert!(error.to_string().starts_with("`PrizeDrawn` does not say whose event it is"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_stand_in_takes_part_in_a_saga() -> Result<()> {
    let office = TestService::whole().service(service("office")).answer::<Reserve>(|reserve| Ok(reserve.seats * 100)).start().await?;
    let uuid = booked(&office, "ann").await?;
    let reservation: u32 = office.post(format!("/bookings/{uuid}/confirm"), ()).await?.json()?;
    assert_eq!(reservation, 200);
    assert_eq!(office.sent::<Reserve>(), [Reserve { seats: 2 }]);
    let booking = office.run(async |cx| Booking::get(cx, uuid).await).await?;
    assert_eq!(booking.reservation, Some(200));
    let later = booked(&office, "cid").await?;
    office.post(format!("/bookings/{later}/confirm-later"), ()).await?.ok()?;
    office.settled().await?;
    assert_eq!(office.run(async |cx| Booking::get(cx, later).await).await?.reservation, Some(200), "the local step is done, too");
    assert_eq!(office.get("/free").await?.json::<u32>()?, 0, "it answers questions, too");

    office.answer::<Reserve>(|_| Err(Error::rejected("the house is full"))).await?;
    let other = booked(&office, "bob").await?;
    let answer = office.post(format!("/bookings/{other}/confirm"), ()).await?;
    assert_eq!((answer.status().as_u16(), answer.problem().as_deref()), (422, Some("the house is full")));
    office.settled().await
}

#[tokio::test]
async fn what_was_done_elsewhere_is_undone() -> Result<()> {
    let office = TestService::whole().service(service("office")).answer::<Reserve>(|_| Ok(13)).start().await?;
    let uuid = booked(&office, "ann").await?;
    let id: Uuid = office.post(format!("/bookings/{uuid}/confirm-later"), ()).await?.json()?;
    office.settled().await?;
    assert_eq!(office.sent::<GiveBack>(), [GiveBack { reservation: 13 }]);
    let status = async || Ok::<_, Error>(office.running().sagas().show(id).await?.status);
    assert_eq!(status().await?, Status::Compensating, "nobody has answered yet");
    office.answer::<GiveBack>(|_| Ok(())).await?;
    office.settled().await?;
    assert_eq!(status().await?, Status::RolledBack);
    Ok(())
}

#[tokio::test]
async fn a_timer_runs_when_the_test_lets_time_pass() -> Result<()> {
    let office = office().await?;
    let uuid = booked(&office, "ann").await?;
    let id = office.run(async |cx| cx.start(Confirm { booking: uuid, seats: 2 }).await).await?;
    office.settled().await?;
    assert_eq!(office.sent::<Reserve>(), [Reserve { seats: 2 }]);
    office.wait(Duration::from_secs(29)).await?;
    assert_eq!(office.running().sagas().show(id).await?.status, Status::Running);
    office.wait(Duration::from_secs(1)).await?;
    assert_eq!(office.running().sagas().show(id).await?.status, Status::Compensating, "nobody has answered in time");
    assert_eq!(office.now().to_string(), "2000-01-01T00:00:30Z");
    Ok(())
}

#[tokio::test]
async fn schedules_run_each_at_its_time() -> Result<()> {
    let struck = Struck::default();
    let at = "2026-11-28T10:30:00Z".parse().unwrap();
    let clock = TestService::whole().service(service("clock").with(struck.clone())).at(at).start().await?;
    clock.wait(Duration::from_secs(29 * 60)).await?;
    assert!(struck.0.lock().unwrap().is_empty());
    clock.wait(Duration::from_secs(2 * 3600)).await?;
    assert_eq!(*struck.0.lock().unwrap(), ["2026-11-28T11:00:00Z", "2026-11-28T12:00:00Z"]);
    assert_eq!(clock.now().to_string(), "2026-11-28T12:59:00Z");
    Ok(())
}

#[tokio::test]
async fn a_schedule_that_fails_is_named() -> Result<()> {
    let clock = TestService::whole().service(service("broken_clock")).start().await?;
    let error = clock.wait(Duration::from_secs(3600)).await.unwrap_err();
    let told = error.chain();
    assert!(told.contains("`broken_clock`") && told.contains("`every_half_hour` at tests/testing/theatre.rs:"), "{told}");
    assert!(told.ends_with("the spring is broken"), "{told}");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_asked_is_told() -> Result<()> {
    let office = office().await?;
    let nobody = office.send(Write { to: "ann".into() }).await.unwrap_err();
    let expected = "no service of this test handles `Write`: start the one that does, or give it a stand-in with `.answer::<…>(…)`";
    assert_eq!(nobody.to_string(), expected);
    let letters = TestService::whole().service(service("letters")).answer::<Write>(|_| Ok(1)).start().await.unwrap_err();
    assert_eq!(letters.to_string(), "`letters` handles `Write` itself: a stand-in is for a service that is not here");
    Ok(())
}
