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

const MOST: usize = 9;

/// With rules: what is handed in is to be as they say, and what is answered may be older than they are.
#[aggregate]
pub struct Note {
    #[validate(not_empty, length(..=MOST))]
    pub text: String,
    #[validate(range(1..5))]
    pub stars: u8,
}

#[derive(Deserialize, minos::Validate)]
#[serde(rename_all = "camelCase")]
pub struct Register {
    #[validate(email)]
    pub mail_address: Option<String>,
    #[validate(url)]
    pub page: String,
    #[validate(length(1..=3))]
    pub names: Vec<String>,
    #[validate(length(2..=3))]
    pub tags: std::collections::BTreeSet<String>,
    #[validate(length(..=5))]
    pub weights: BTreeMap<String, f64>,
    #[validate(one_of("mail", "phone"))]
    pub kind: String,
    #[validate(one_of(1, 3))]
    pub class: Option<i64>,
    #[validate(range(-0.5..=1.0))]
    pub share: f64,
    #[validate(range(-5..))]
    pub at: i16,
    #[validate(range(Timestamp::UNIX_EPOCH..))]
    pub since: Timestamp,
    /// It is read from text, and has as many items as there are words in it.
    #[serde(deserialize_with = "words")]
    #[validate(length(1..=2))]
    pub words: Vec<String>,
    #[validate(nested)]
    pub first: Option<Named>,
    pub others: Vec<Named>,
}

#[derive(Serialize, Deserialize, minos::Validate)]
pub struct Named {
    #[serde(rename = "called")]
    #[validate(length(1..=40))]
    pub name: String,
}

fn words<'de, D: serde::Deserializer<'de>>(reader: D) -> std::result::Result<Vec<String>, D::Error> {
    Ok(String::deserialize(reader)?.split(' ').map(str::to_owned).collect())
}

#[command(POST "/looks/notes")]
async fn write(cx: &mut Context, input: Note) -> Result<Uuid> {
    Ok(Note::create(cx, input).await?.uuid())
}

#[query(GET "/looks/notes/{uuid}")]
async fn read_note(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Note>> {
    Note::get(cx, uuid).await
}

#[command(POST "/looks/people")]
async fn register(_cx: &mut Context, input: Register) -> Result<Option<Named>> {
    input.check()?;
    Ok(input.first)
}

#[event("NoteCreated")]
async fn noted(_cx: &mut Context, _event: NoteCreated) -> Result<()> {
    Ok(())
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

#[test]
fn inputs_are_to_be_as_their_rules_say() {
    let contract = contract();
    let schemas = &contract["components"]["schemas"];
    let note = |text: Value, stars: Value| json!({ "type": "object", "properties": { "text": text, "stars": stars }, "required": ["text", "stars"] });
    let ruled = note(
        json!({ "type": "string", "minLength": 1, "maxLength": 9 }),
        json!({ "type": "integer", "minimum": 1, "exclusiveMaximum": 5 }),
    );
    assert_eq!(contract["operations"]["write"]["input"], json!({ "$ref": "#/components/schemas/NoteInput" }));
    assert_eq!(schemas["NoteInput"], ruled);
    assert_eq!(schemas["Note"], note(json!({ "type": "string" }), number(0, 255)), "what is stored may be older than the rules");
    assert_eq!(schemas["NoteRoot"]["properties"]["text"], json!({ "type": "string" }));

    let fields = &schemas["Register"]["properties"];
    for (name, expected) in [
        ("mailAddress", json!({ "type": ["string", "null"], "format": "email", "maxLength": 254 })),
        ("page", json!({ "type": "string", "format": "uri" })),
        ("names", json!({ "type": "array", "items": { "type": "string" }, "minItems": 1, "maxItems": 3 })),
        ("tags", json!({ "type": "array", "items": { "type": "string" }, "minItems": 2 })),
        ("weights", json!({ "type": "object", "additionalProperties": { "type": "number", "format": "double" }, "maxProperties": 5 })),
        ("kind", json!({ "type": "string", "enum": ["mail", "phone"] })),
        ("share", json!({ "type": "number", "format": "double", "minimum": -0.5, "maximum": 1.0 })),
        ("since", json!({ "type": "string", "format": "date-time" })),
        ("words", json!({ "type": "string" })),
        ("others", json!({ "type": "array", "items": { "$ref": "#/components/schemas/NamedInput" } })),
    ] {
        assert_eq!(fields[name], expected, "{name}");
    }
    assert_eq!(fields["class"]["enum"], json!([1, 3, null]));
    assert_eq!((&fields["at"]["minimum"], &fields["at"]["maximum"]), (&json!(-5), &json!(i16::MAX)));
    assert_eq!(schemas["NamedInput"]["properties"]["called"], json!({ "type": "string", "minLength": 1, "maxLength": 40 }));
    assert_eq!(schemas["Named"]["properties"]["called"], json!({ "type": "string" }));
}

#[test]
fn the_first_state_of_an_aggregate_is_its_fields() {
    assert_eq!(contract()["consumes"]["events"]["NoteCreated"], json!({ "$ref": "#/components/schemas/Note" }));
}
