//! Every event says what has led to it, whichever way that came in.

use minos::{
    Uuid,
    prelude::*,
    store::{Cause, StoredEvent},
    testing::{TestRunning, TestService},
};
use serde_json::json;
use std::time::Duration;

#[aggregate]
pub struct Thing {
    pub name: String,
    pub gilded: bool,
}

#[aggregate]
pub struct Label {
    pub text: String,
}

#[derive(Deserialize)]
pub struct MakeThing {
    name: String,
}

#[command("MakeThing", POST "/things")]
async fn make_thing(cx: &mut Context, input: MakeThing) -> Result<Uuid> {
    Ok(Thing::create(cx, Thing { name: input.name, gilded: false }).await?.uuid())
}

#[event("ThingCreated")]
async fn label(cx: &mut Context, event: ThingCreated) -> Result<()> {
    Label::create(cx, Label { text: event.name.clone() }).await.map(|_| ())
}

/// What lists show.
#[document]
pub struct Shelf {
    pub name: String,
}

#[projection]
impl Shelf {
    #[event("ThingCreated")]
    async fn put(view: &mut View<Self>, event: ThingCreated) -> Result<()> {
        view.put(event.uuid(), Shelf { name: event.name.clone() });
        Ok(())
    }
}

#[periodic("0 * * * *")]
async fn every_hour(cx: &mut Context) -> Result<()> {
    Thing::create(cx, Thing { name: "hourly".into(), gilded: false }).await.map(|_| ())
}

saga! {
    pub Gild { thing: Uuid }
    local gild {
        on_execute: async |cx, saga| {
            let mut thing = Thing::get(cx, saga.thing).await?;
            thing.gilded = true;
            thing.save(cx).await
        },
    }
}

#[command(PUT "/things/{thing}/gilded")]
async fn gild_thing(cx: &mut Context, Path(thing): Path<Uuid>) -> Result<()> {
    cx.run(Gild { thing }).await.map(|_| ())
}

async fn world() -> TestRunning {
    let service = Service::from_toml("service.name = \"things\"").unwrap().module(module_path!());
    TestService::whole().service(service).start().await.unwrap()
}

async fn events(world: &TestRunning) -> Vec<StoredEvent> {
    world.settled().await.unwrap();
    world.running().store().log(0, 100, None).await.unwrap().events
}

/// The message by which others hear of an event.
fn message_of(event: &StoredEvent) -> Uuid {
    Uuid::new_v5(&event.stream.uuid, format!("{}/{}", event.stream.aggregate, event.version).as_bytes())
}

fn assert_follows(event: &StoredEvent, of: &StoredEvent) {
    let Cause { correlation, causation, .. } = &event.cause;
    assert_eq!((*correlation, *causation), (of.cause.correlation, message_of(of)), "{event:?} follows from {of:?}");
}

#[tokio::test]
async fn what_comes_by_http() {
    let world = world().await;
    let asked = Uuid::from_u128(0x1234);
    let answer = world.with_header("x-correlation-id", &asked.to_string()).post("/things", json!({ "name": "cup" })).await.unwrap();
    assert_eq!(answer.header("x-correlation-id"), Some(asked.to_string().as_str()));
    let [made, labelled] = &events(&world).await[..] else { panic!("one thing and its label") };
    assert_eq!(made.cause.correlation, asked);
    assert!(!made.cause.causation.is_nil() && made.cause.causation != asked, "the request has an id of its own");
    assert_follows(labelled, made);
    world.stop().await;
}

#[tokio::test]
async fn what_comes_by_the_broker() {
    let world = world().await;
    let _: Uuid = world.call("MakeThing", json!({ "name": "cup" })).await.unwrap();
    let [made, labelled] = &events(&world).await[..] else { panic!("one thing and its label") };
    assert!(!made.cause.correlation.is_nil() && !made.cause.causation.is_nil());
    assert_follows(labelled, made);
    world.stop().await;
}

#[tokio::test]
async fn what_comes_by_a_schedule() {
    let world = world().await;
    world.wait(Duration::from_secs(3600)).await.unwrap();
    let [made, labelled] = &events(&world).await[..] else { panic!("one thing and its label") };
    assert_eq!(made.cause.correlation, made.cause.causation, "nothing has led to it but the time");
    assert!(!made.cause.correlation.is_nil());
    assert_follows(labelled, made);
    world.stop().await;
}

#[tokio::test]
async fn what_a_step_of_a_saga_does() {
    let world = world().await;
    let thing: Uuid = world.post("/things", json!({ "name": "cup" })).await.unwrap().json().unwrap();
    let asked = Uuid::from_u128(0x5678);
    let gild = world.with_header("x-correlation-id", &asked.to_string());
    gild.put(format!("/things/{thing}/gilded"), json!({})).await.unwrap().ok().unwrap();
    let events = events(&world).await;
    let gilded = events.iter().find(|event| event.name == "ThingUpdated").unwrap();
    let executions = world.running().store().sagas(Default::default(), None, 10).await.unwrap();
    assert_eq!(gilded.cause.correlation, asked);
    assert_eq!(gilded.cause.causation, Uuid::new_v5(&executions[0].id, b"gild/execute/1"), "the attempt at the step");
    world.stop().await;
}
