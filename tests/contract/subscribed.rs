//! A service that listens to events of another one, and what it tells of them.

use minos::{Service, contract::Format, prelude::*};
use serde_json::{Value, json};

/// What this service reads of it.
#[derive(Deserialize)]
#[serde(tag = "by")]
pub enum Moved {
    Train { number: u16 },
    Ship { name: String },
}

#[event("FooCreated")]
async fn moved(_cx: &mut Context, _event: minos::Event<Moved>) -> Result<()> {
    Ok(())
}

#[event("FooUpdated")]
async fn sold(_cx: &mut Context, _event: minos::Event<Value>) -> Result<()> {
    Ok(())
}

#[test]
fn what_is_subscribed_is_described_by_the_type_that_is_taken() {
    let config = "[service]\nname = \"subscribed\"\n[store]\nurl = \"memory:\"\n";
    let service = || Service::from_toml(config).unwrap().module(module_path!());
    let document = |format| serde_json::from_str::<Value>(&service().describe(format).unwrap()).unwrap();
    let moved = json!({ "$ref": "#/components/schemas/Moved" });
    let contract = document(Format::Contract);
    assert_eq!(contract["consumes"]["events"], json!({ "FooCreated": moved, "FooUpdated": {} }));

    let asyncapi = document(Format::AsyncApi);
    let message = &asyncapi["components"]["messages"]["Foo.FooCreated"];
    assert_eq!(message["payload"], moved, "{asyncapi:#}");
    assert_eq!(message["headers"]["properties"]["uuid"], json!({ "type": "string", "format": "uuid" }));
    assert_eq!(asyncapi["components"]["schemas"]["Moved"]["oneOf"][1]["required"], json!(["by", "name"]));
}
