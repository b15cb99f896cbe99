//! A service that handles the events of others, none of which is in this process: its broker is that of one process, as it is by default.

use minos::{prelude::*, testing::TestService};
use serde_json::json;
use std::sync::{Arc, Mutex};

/// What its handlers have heard.
#[derive(Default, Clone)]
struct Heard(Arc<Mutex<Vec<String>>>);

#[aggregate_ref]
pub struct Tide {
    pub height: u32,
}

minos::import_contract!(mod carrier = "tests/contract/shipping.json", ParcelShipped);

#[event("TideCreated")]
async fn came(cx: &mut Context, event: Event<Tide>) -> Result<()> {
    hear(cx, format!("{} came with {}", event.uuid(), event.height))
}

#[event("TideUpdated.height")]
async fn rose(cx: &mut Context, event: Event<serde_json::Value>) -> Result<()> {
    hear(cx, format!("{} rose to {}", event.uuid(), event["height"]))
}

/// Of its contract only this event is known.
#[event("Parcel.ParcelShipped")]
async fn shipped(cx: &mut Context, event: Event<carrier::ParcelShipped>) -> Result<()> {
    hear(cx, format!("a parcel of {}", event.weights["all"]))
}

fn hear(cx: &Context, what: String) -> Result<()> {
    cx.resource::<Heard>()?.0.lock().unwrap().push(what);
    Ok(())
}

#[tokio::test]
async fn events_of_services_that_are_not_here_are_told_by_the_test() -> Result<()> {
    let heard = Heard::default();
    let pier = Service::from_toml("service.name = \"pier\"")?.module(module_path!()).with(heard.clone());
    let pier = TestService::whole().service(pier).start().await?;
    let tide = Uuid::from_u128(7);
    pier.happened("TideCreated", tide, json!({ "height": 3, "moon": "full" })).await?;
    pier.happened("TideUpdated", tide, json!({ "moon": "new" })).await?;
    pier.happened("TideUpdated", tide, json!({ "height": 4 })).await?;
    let shipped = json!({ "at": "2026-01-01T00:00:00Z", "weights": { "all": 1.5 } });
    pier.happened("Parcel.ParcelShipped", Uuid::from_u128(8), shipped).await?;
    pier.settled().await?;
    let expected = [format!("{tide} came with 3"), format!("{tide} rose to 4"), "a parcel of 1.5".to_owned()];
    assert_eq!(*heard.0.lock().unwrap(), expected);
    Ok(())
}
