//! Types that are made of the contract of another service.

use minos::prelude::*;

minos::import_contract!("tests/contract/shipping.json");
minos::import_contract!(mod some = "tests/contract/shipping.json", ShipParcel, ParcelShipped);

#[test]
fn a_message_is_written_as_its_receiver_reads_it() {
    use shipping::{Address, ShipParcel, Size};
    let address = Address { street: "Main".into(), number: Some(7), lines: Vec::new() };
    let message = ShipParcel { parcel: Uuid::nil(), to: address, size: Size::Large(3), kind: Some(true), r#type: None };
    let json = serde_json::json!({
        "parcel": "00000000-0000-0000-0000-000000000000",
        "to": { "street": "Main", "number": 7, "lines": [] },
        "size": { "large": 3 },
        "kind": true,
    });
    assert_eq!(serde_json::to_value(&message).unwrap(), json);
    assert_eq!(serde_json::from_value::<ShipParcel>(json).unwrap(), message);
    assert_eq!(<ShipParcel as minos::Message>::NAME, "ShipParcel");
}

#[test]
fn what_a_message_answers_is_a_type() {
    fn answers<M: minos::Message<Reply = R>, R>() {}
    answers::<shipping::ShipParcel, shipping::Shipped>();
    answers::<shipping::TrackParcel, Option<shipping::Tree>>();
    answers::<shipping::Ping, ()>();
    let tree: shipping::Tree = serde_json::from_str(r#"{"name":"a","of":{"name":"b"}}"#).unwrap();
    assert_eq!(tree.of.unwrap().name, "b");
}

#[test]
fn events_and_aggregates_are_read_as_they_are_told() {
    let shipped: some::ParcelShipped = serde_json::from_str(r#"{"at":"2026-01-01T00:00:00Z","weights":{"a":1.5},"unknown":1}"#).unwrap();
    assert_eq!(shipped.weights["a"], 1.5);
    let parcel: shipping::Parcel = serde_json::from_str(r#"{"state":"on the way"}"#).unwrap();
    assert_eq!(parcel.state, shipping::State::OnTheWay);
    let parcel: shipping::Parcel = serde_json::from_str(r#"{"state":"there","way":{"by":"night_train","number":7}}"#).unwrap();
    assert_eq!(parcel.way, Some(shipping::Way::NightTrain { number: 7 }));
    assert_eq!(serde_json::to_value(shipping::Way::Foot).unwrap(), serde_json::json!({ "by": "foot" }));
}

/// A handler takes it as it is.
#[event("Parcel.ParcelShipped")]
async fn shipped(_cx: &mut Context, event: some::ParcelShipped) -> Result<()> {
    let _ = event.at;
    Ok(())
}
