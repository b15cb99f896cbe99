//! What aggregates, their events and messages look like: told by their fields, or seen as a whole where serde is told something of them. Either way it is
//! what serde reads.

use minos::{Service, contract::Format, prelude::*};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    pub product: Uuid,
    pub quantity: u32,
}

/// Told by its fields.
#[aggregate]
pub struct Parcel {
    pub to: String,
    pub r#type: u8,
    pub note: Option<String>,
    pub lines: Vec<Line>,
    pub weights: BTreeMap<String, f64>,
    pub inside: Option<Box<Parcel>>,
    #[cfg(any())]
    pub never: u8,
}

#[aggregate]
impl Parcel {
    #[event("ParcelSent")]
    fn sent(&mut self, to: String, line: Option<Line>) {
        self.to = to;
        self.lines.extend(line);
    }
}

/// Seen as a whole.
#[aggregate]
pub struct Carton {
    #[serde(rename = "size")]
    pub width: u8,
    #[serde(default)]
    pub count: u16,
    #[serde(skip)]
    pub cache: u32,
    #[cfg_attr(all(), serde(rename = "colour"))]
    pub color: String,
}

#[aggregate]
#[serde(rename_all = "camelCase")]
pub struct Van {
    pub license_plate: String,
}

#[message("LooksLoad", reply = Line)]
pub struct Load {
    pub parcel: Uuid,
    pub van: Option<Line>,
}

#[message("LooksUnload")]
pub struct Unload {
    #[serde(default)]
    pub parcel: Uuid,
}

#[query("GetLooksParcel", GET "/looks/{uuid}")]
async fn get_parcel(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Parcel>> {
    Parcel::get(cx, uuid).await
}

fn contract() -> Value {
    let config = "[service]\nname = \"looks\"\n[store]\nurl = \"memory:\"\n";
    let service = Service::from_toml(config).unwrap().module(module_path!());
    serde_json::from_str(&service.describe(Format::Contract).unwrap()).unwrap()
}

fn number(minimum: u8, maximum: u32) -> Value {
    json!({ "type": "integer", "minimum": minimum, "maximum": maximum })
}

#[test]
fn what_serde_is_told_nothing_of_is_told_by_its_fields() {
    let contract = contract();
    let schemas = &contract["components"]["schemas"];
    let line = json!({ "$ref": "#/components/schemas/Line" });
    let fields = json!({
        "to": { "type": "string" },
        "type": number(0, u8::MAX.into()),
        "note": { "type": ["string", "null"] },
        "lines": { "type": "array", "items": line },
        "weights": { "type": "object", "additionalProperties": { "type": "number", "format": "double" } },
        "inside": { "anyOf": [{ "$ref": "#/components/schemas/Parcel" }, { "type": "null" }] },
    });
    assert_eq!(schemas["Parcel"], json!({ "type": "object", "properties": fields, "required": ["to", "type", "lines", "weights"] }));
    assert_eq!(schemas["Line"]["required"], json!(["product", "quantity"]));
    let events = &contract["aggregates"]["Parcel"]["events"];
    assert_eq!(events["ParcelCreated"]["content"], json!({ "$ref": "#/components/schemas/Parcel" }));
    assert_eq!(events["ParcelSent"]["content"], json!({ "$ref": "#/components/schemas/ParcelSent" }));
    let maybe = json!({ "anyOf": [line, { "type": "null" }] });
    let sent = json!({ "type": "object", "properties": { "to": { "type": "string" }, "line": maybe }, "required": ["to"] });
    assert_eq!(schemas["ParcelSent"], sent);
    let load = json!({
        "type": "object",
        "properties": { "parcel": { "type": "string", "format": "uuid" }, "van": maybe },
        "required": ["parcel"],
    });
    assert_eq!(schemas["Load"], load);
}

/// Its answer has what every aggregate has, beside its own fields.
#[test]
fn an_aggregate_that_is_answered_looks_as_it_is_registered() {
    let contract = contract();
    let schemas = &contract["components"]["schemas"];
    assert_eq!(contract["operations"]["get_parcel"]["answer"]["content"], json!({ "$ref": "#/components/schemas/ParcelRoot" }));
    let root = &schemas["ParcelRoot"];
    assert_eq!(root["required"], json!(["uuid", "version", "created_at", "updated_at", "to", "type", "lines", "weights"]));
    for (name, field) in schemas["Parcel"]["properties"].as_object().unwrap() {
        assert_eq!(root["properties"][name], *field, "{name}");
    }
}

#[test]
fn what_serde_is_told_something_of_is_seen_as_a_whole() {
    let contract = contract();
    let schemas = &contract["components"]["schemas"];
    let fields = json!({ "size": number(0, u8::MAX.into()), "count": number(0, u16::MAX.into()), "colour": { "type": "string" } });
    assert_eq!(schemas["Carton"], json!({ "type": "object", "properties": fields, "required": ["size", "colour"] }));
    assert_eq!(schemas["Van"]["required"], json!(["licensePlate"]));
    assert_eq!(schemas["Unload"].get("required"), None, "{}", schemas["Unload"]);
}
