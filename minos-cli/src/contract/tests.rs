//! Which changes break, and whom.

use super::{check::changes, consumer::uses};
use serde_json::{Value, json};

fn contract() -> Value {
    json!({
        "contract": 1,
        "service": "orders",
        "operations": {
            "place": {
                "kind": "command", "routes": [{ "method": "POST", "path": "/orders/{uuid}/place" }], "topics": ["PlaceOrder"],
                "path": [["uuid", { "type": "string", "format": "uuid" }]],
                "input": { "$ref": "#/components/schemas/PlaceOrder" },
                "answer": { "status": 200, "content": { "$ref": "#/components/schemas/Placed" } }, "problems": [400],
            },
        },
        "aggregates": { "Order": { "events": { "OrderPlaced": { "version": 1, "content": {
            "type": "object", "properties": { "sum": { "type": "integer", "minimum": 0 }, "note": { "type": "string" } }, "required": ["sum", "note"],
        } } } } },
        "consumes": { "events": {}, "messages": {} },
        "components": { "schemas": {
            "PlaceOrder": { "type": "object", "required": ["way"], "properties": {
                "way": { "type": "string", "enum": ["mail", "van"] },
                "note": { "type": ["string", "null"] },
                "tree": { "$ref": "#/components/schemas/Tree" },
            } },
            "Placed": { "type": "object", "required": ["id"], "properties": { "id": { "type": "string", "format": "uuid" } } },
            "Tree": { "oneOf": [
                { "type": "string", "enum": ["Leaf"] },
                { "type": "object", "properties": { "Two": { "type": "array", "items": { "$ref": "#/components/schemas/Tree" } } }, "required": ["Two"], "additionalProperties": false },
            ] },
        } },
    })
}

/// Where and what has changed when this was set, with `!` before what breaks.
fn told(pointer: &str, value: Value) -> Vec<String> {
    let (old, mut new) = (contract(), contract());
    let (at, key) = pointer.rsplit_once('/').unwrap();
    match new.pointer_mut(at).unwrap() {
        Value::Object(of) if value.is_null() => drop(of.remove(key)),
        Value::Object(of) => drop(of.insert(key.to_owned(), value)),
        of => of[key.parse::<usize>().unwrap()] = value,
    }
    changes(&old, &new).iter().map(|change| format!("{}{}: {}", if change.breaks { "!" } else { "" }, change.at, change.what)).collect()
}

fn breaks(pointer: &str, value: Value, what: &str) {
    let told = told(pointer, value);
    assert!(told.iter().any(|one| one.starts_with('!') && one.contains(what)), "{told:#?}");
}

fn harmless(pointer: &str, value: Value, what: &str) {
    let told = told(pointer, value);
    assert!(told.iter().any(|one| one.contains(what)), "{told:#?}");
    assert!(!told.iter().any(|one| one.starts_with('!')), "{told:#?}");
}

const INPUT: &str = "/components/schemas/PlaceOrder";
const ANSWER: &str = "/components/schemas/Placed";
const EVENT: &str = "/aggregates/Order/events/OrderPlaced/content";

#[test]
fn nothing_is_told_of_what_is_the_same() {
    assert!(changes(&contract(), &contract()).is_empty());
}

#[test]
fn what_is_gone_breaks() {
    breaks("/operations/place", Value::Null, "the route is gone");
    breaks("/operations/place", Value::Null, "nobody handles it any more");
    breaks("/aggregates/Order", Value::Null, "it is not told any more");
    breaks(&format!("{ANSWER}/properties/id"), Value::Null, "id: the field is gone");
    breaks(&format!("{EVENT}/properties/note"), Value::Null, "event Order.OrderPlaced: note: the field is gone");
    breaks(&format!("{INPUT}/properties/note"), Value::Null, "POST /orders/{uuid}/place: note: the field is gone");
}

#[test]
fn what_is_stricter_of_inputs_breaks_and_what_is_looser_does_not() {
    breaks(&format!("{INPUT}/required"), json!(["way", "note"]), "note: the field has to be there now");
    breaks(&format!("{INPUT}/properties/way/enum"), json!(["mail"]), "the word \"van\" is gone");
    harmless(&format!("{INPUT}/properties/way/enum"), json!(["mail", "van", "foot"]), "the word \"foot\" is new");
    breaks(&format!("{INPUT}/properties/note"), json!({ "type": "string" }), "it was null or string, and is string");
    breaks(&format!("{INPUT}/properties/note"), json!({ "type": ["string", "null"], "maxLength": 3 }), "`maxLength` was none, and is 3");
    breaks(&format!("{INPUT}/properties/note"), json!({ "type": ["integer", "null"] }), "and is integer or null");
    harmless(&format!("{INPUT}/properties/new"), json!({ "type": "string" }), "new: the field is new");
    harmless(&format!("{INPUT}/required"), json!([]), "way: the field may be missing now");
    breaks("/components/schemas/Tree/oneOf/1/properties/Two", json!({ "type": "string" }), "it was array, and is string");
    breaks("/components/schemas/Tree/oneOf/0", json!({ "type": "string", "enum": ["Twig"] }), "the variant \"Leaf\" is gone");
    breaks("/operations/place/access", json!({ "roles": ["admin"] }), "it is closed now");
    breaks("/operations/place/path/0", json!(["uuid", { "type": "integer" }]), "it was string, and is integer");
}

#[test]
fn what_is_looser_of_answers_and_events_breaks_and_what_is_stricter_does_not() {
    breaks(&format!("{ANSWER}/required"), json!([]), "id: the field may be missing now");
    breaks(&format!("{ANSWER}/properties/id"), json!({ "type": ["string", "null"], "format": "uuid" }), "null or string");
    breaks(&format!("{ANSWER}/properties/id"), json!({ "type": "string" }), "not of the format");
    breaks(&format!("{EVENT}/properties/sum"), json!({ "type": "integer" }), "`minimum` was 0, and is none");
    breaks(&format!("{EVENT}/properties/sum"), json!({}), "may be anything");
    harmless(&format!("{EVENT}/properties/sum/minimum"), json!(1), "`minimum` was 0, and is 1");
    harmless(&format!("{EVENT}/properties/by"), json!({ "type": "string" }), "by: the field is new");
    breaks("/operations/place/answer/status", json!(204), "its status was 200, and is 204");
}

#[test]
fn the_names_of_functions_and_parameters_are_nobodys_business() {
    let mut new = contract();
    let operations = new["operations"].as_object_mut().unwrap();
    let mut place = operations.remove("place").unwrap();
    place["routes"][0]["path"] = "/orders/{id}/place".into();
    operations.insert("placed".to_owned(), place);
    let told = changes(&contract(), &new);
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn a_consumer_is_only_told_what_it_uses() {
    let consumer = |consumes: Value| json!({ "contract": 1, "service": "billing", "consumes": consumes, "components": { "schemas": {} } });
    let reads = |field: &str| json!({ "type": "object", "properties": { field: {} } });
    let mut new = contract();
    new["aggregates"]["Order"]["events"]["OrderPlaced"]["content"]["properties"].as_object_mut().unwrap().remove("note");
    new["operations"]["place"]["answer"]["status"] = json!(201);
    let found = changes(&contract(), &new);
    let counts = |consumes: Value| found.iter().filter(|change| uses(&consumer(consumes.clone()), change)).count();
    assert_eq!(counts(json!({ "events": {}, "messages": {} })), 0);
    assert_eq!(counts(json!({ "events": { "Order.OrderPlaced": reads("note") }, "messages": {} })), 1);
    assert_eq!(counts(json!({ "events": { "Order.OrderPlaced": {} }, "messages": {} })), 1, "it may read all of it");
    assert_eq!(counts(json!({ "events": { "Order.OrderPlaced": reads("sum") }, "messages": {} })), 0);
    assert_eq!(counts(json!({ "events": { "Order.OrderPaid": {} }, "messages": { "PlaceOrder": { "content": {}, "reply": {} } } })), 1);
}

/// Alternatives that are objects are told apart by their tags.
#[test]
fn variants_with_a_tag_are_compared_each_with_its_own() {
    let way = |number: Value, words: &[&str]| {
        let mut all = vec![json!({
            "type": "object", "properties": { "by": { "const": "train" }, "number": number }, "required": ["by", "number"],
        })];
        all.extend(words.iter().map(|word| json!({ "type": "object", "properties": { "by": { "const": word } }, "required": ["by"] })));
        let mut contract = contract();
        contract["components"]["schemas"]["PlaceOrder"]["properties"]["way"] = json!({ "oneOf": all });
        contract
    };
    let old = way(json!({ "type": "integer", "maximum": 99 }), &["foot", "ship"]);
    let what =
        |new: &Value| changes(&old, new).iter().map(|change| (change.breaks, format!("{} {}", change.at, change.what))).collect::<Vec<_>>();
    assert_eq!(what(&old), []);
    // Each is told of the route and of the topic.
    let narrower = what(&way(json!({ "type": "integer", "maximum": 9 }), &["foot", "ship"]));
    assert!(
        matches!(&narrower[..], [(true, what), (true, _)] if what.contains("train.number") && what.contains("`maximum` was 99, and is 9")),
        "{narrower:?}"
    );
    let gone = what(&way(json!({ "type": "integer", "maximum": 99 }), &["foot"]));
    assert!(matches!(&gone[..], [(true, what), (true, _)] if what.contains("\"ship\" is gone")), "{gone:?}");
    let new = what(&way(json!({ "type": "integer", "maximum": 99 }), &["foot", "ship", "air"]));
    assert!(matches!(&new[..], [(false, what), (false, _)] if what.contains("\"air\" is new")), "{new:?}");
}
