//! Schemas of what serde reads by a tag, flattens, or tries out, held against what it writes and reads, by a validator that is none of ours.

use super::{seen, tagged_types::*};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    fmt::Debug,
};
use uuid::Uuid;

/// The schema of a type as a document, and the validator for it.
pub(super) fn validator<T: DeserializeOwned>() -> (Value, jsonschema::Validator) {
    let schema = seen::<T>().schema;
    let mut document = json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "components": { "schemas": schema.named } });
    document["allOf"] = json!([schema.root]);
    let validator = jsonschema::options().should_validate_formats(true).build(&document).unwrap();
    (document, validator)
}

/// Each place in a value at which there is an object, and what is there.
fn objects(value: &Value, at: &str, found: &mut Vec<(String, Vec<String>)>) {
    match value {
        Value::Object(fields) => {
            found.push((at.to_owned(), fields.keys().cloned().collect()));
            for (name, value) in fields {
                objects(value, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(all) => all.iter().enumerate().for_each(|(n, value)| objects(value, &format!("{at}/{n}"), found)),
        _ => {}
    }
}

/// Values as serde writes them are as the schema says. What the schema refuses of them when a field is missing, serde refuses, too. How many it refuses.
fn holds<T: Serialize + DeserializeOwned + Debug>(values: impl IntoIterator<Item = T>) -> usize {
    let (document, validator) = validator::<T>();
    let mut refused = 0;
    for value in values {
        let written = serde_json::to_value(&value).unwrap();
        let wrong: Vec<_> = validator.iter_errors(&written).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{value:?}: {wrong:?} by {document:#}");
        let mut places = Vec::new();
        objects(&written, "", &mut places);
        for (at, names) in places {
            for name in names {
                let mut less = written.clone();
                less.pointer_mut(&at).unwrap().as_object_mut().unwrap().remove(&name);
                let is_read = serde_json::from_value::<T>(less.clone()).is_ok();
                let is_valid = validator.is_valid(&less);
                assert!(
                    is_valid || !is_read,
                    "serde reads {less}, without `{name}` at `{at}`, and the schema does not take it: {document:#}"
                );
                refused += usize::from(!is_valid);
            }
        }
    }
    refused
}

/// The tags of the types here.
const TAGS: &[&str] = &["kind", "t", "op", "outer"];

/// Values of other kinds in place of each part of a value.
fn never_wrong<T: Serialize + DeserializeOwned>(values: impl IntoIterator<Item = T>) {
    let (document, validator) = validator::<T>();
    for value in values {
        let written = serde_json::to_value(&value).unwrap();
        let mut places = Vec::new();
        objects(&written, "", &mut places);
        for (at, names) in places {
            for name in names {
                for other in [
                    json!(null),
                    json!(true),
                    json!(0),
                    json!(-1),
                    json!(70_000),
                    json!(0.5),
                    json!("x"),
                    json!([]),
                    json!(["x"]),
                    json!({}),
                ] {
                    let mut changed = written.clone();
                    changed.pointer_mut(&at).unwrap()[&name] = other.clone();
                    // That structs are read from lists, and variants by their numbers, is for formats that have nothing else.
                    let is_list = other.is_array() || (other.is_u64() && TAGS.contains(&name.as_str()));
                    if serde_json::from_value::<T>(changed.clone()).is_ok() && !is_list {
                        assert!(validator.is_valid(&changed), "serde reads {changed}, and the schema does not take it: {document:#}");
                    }
                }
            }
        }
    }
}

#[test]
fn by_a_tag_there_is_one_alternative_for_each_variant() {
    assert!(holds(payments()) >= 16);
    never_wrong(payments());
    let schema = seen::<Payment>().schema;
    assert_eq!(schema.root, json!({ "$ref": "#/components/schemas/Payment" }));
    let all = &schema.named["Payment"]["oneOf"];
    let cash = json!({
        "type": "object",
        "properties": {
            "kind": { "const": "cash" },
            "cents": { "type": "integer", "format": "int64", "minimum": i64::MIN, "maximum": i64::MAX },
            "paid_at": { "type": "string", "format": "date-time" },
        },
        "required": ["kind", "cents", "paid_at"],
    });
    assert_eq!(all[0], cash);
    assert_eq!(all[1]["properties"]["holder"], json!({ "type": "string", "format": "uuid" }));
    assert_eq!(all[1]["required"], json!(["kind", "number", "holder"]), "what may be missing does not show, and is open");
    assert_eq!(all[2]["properties"]["number"], json!({ "type": "integer", "minimum": 0, "maximum": 65535 }));
    let parts = &all[3]["properties"];
    assert_eq!(parts["places"]["items"]["required"], json!(["street", "number"]), "{parts:#}");
    assert_eq!(parts["word"], json!({ "type": "string", "enum": ["old", "brand_new"] }));
    assert_eq!(parts["done"], json!({ "type": "boolean" }));
    assert_eq!(parts["rate"], json!({ "type": "number", "format": "double" }));
    assert_eq!(parts["pair"]["prefixItems"][1], json!({ "type": "string" }));
    assert_eq!(parts["any"], json!({}));
    assert_eq!(all[4], json!({ "type": "object", "properties": { "kind": { "const": "free" } }, "required": ["kind"] }));
}

#[test]
fn beside_its_tag_stands_the_content_of_a_variant() {
    assert!(holds(adjacents()) >= 9);
    never_wrong(adjacents());
    let schema = seen::<Adjacent>().schema;
    let all = &schema.named["Adjacent"]["oneOf"];
    assert_eq!(all[0]["properties"]["t"], json!({ "const": "Number" }));
    assert_eq!(all[0]["properties"]["c"]["maximum"], json!(u32::MAX));
    assert_eq!(all[0]["required"], json!(["t", "c"]));
    assert_eq!(all[1]["properties"]["c"]["properties"]["place"], json!({ "$ref": "#/components/schemas/Place" }));
    assert_eq!(all[3]["required"], json!(["t"]));
}

#[test]
fn without_a_tag_it_is_one_of_its_kinds() {
    assert!(holds(eithers()) >= 2);
    never_wrong(eithers().into_iter().map(|either| HashMap::from([("either".to_owned(), either)])));
    let root = seen::<Either>().schema.root;
    let kinds: Vec<_> = root["anyOf"].as_array().unwrap().iter().map(|one| one["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["object", "integer", "array", "string"], "{root:#}");
    assert_eq!(root["anyOf"][0]["required"], json!(["street", "number"]));
    // Each of several objects has to have something.
    assert!(holds([Shapes::Circle { radius: 0.5 }, Shapes::Box { width: 1.0, height: 0.5 }]) >= 1);
    never_wrong([Shapes::Circle { radius: 0.5 }, Shapes::Box { width: 1.0, height: 0.5 }]);
}

#[test]
fn what_is_flattened_stands_beside_the_fields() {
    let flat = |note: &str| Flat {
        id: Uuid::now_v7(),
        note: note.to_owned(),
        place: place(),
        rest: HashMap::from([("beside".to_owned(), json!([1]))]),
    };
    assert!(holds([flat(""), flat("x")]) >= 6);
    never_wrong([flat("x")]);
    let root = seen::<Flat>().schema.root;
    assert_eq!(root["additionalProperties"], true);
    assert_eq!(root["required"], json!(["id", "street", "number"]), "{root:#}");
    assert_eq!(root["properties"]["id"], json!({ "type": "string", "format": "uuid" }));
    assert_eq!(root["properties"]["number"], json!({ "type": "integer", "minimum": 0, "maximum": 65535 }));

    let tagged = || payments().into_iter().map(|payment| FlatTagged { id: 3, payment });
    assert!(holds(tagged()) >= 22);
    never_wrong(tagged());
    let maps = || [Some("x"), None].map(|note| FlatMap { note: note.map(str::to_owned), rest: BTreeMap::from([("a".to_owned(), 3)]) });
    holds(maps());
    never_wrong(maps());
    let options = || [Some(place()), None].map(|place| FlatOption { id: 3, place });
    assert!(holds(options()) >= 2);
    never_wrong(options());
}

#[test]
fn other_words_are_taken_where_there_is_a_variant_for_them() {
    let (_, known) = validator::<Known>();
    for value in [json!("One"), json!({ "Two": { "n": 3 } }), json!("what comes later")] {
        assert!(known.is_valid(&value), "{value}");
    }
    assert!(!known.is_valid(&json!({ "Two": {} })));
    holds([TaggedOther::One { n: 3 }, TaggedOther::Other]);
    let (_, tagged) = validator::<TaggedOther>();
    assert!(tagged.is_valid(&json!({ "kind": "what comes later" })) && !tagged.is_valid(&json!({})));
}

#[test]
fn what_contains_itself_comes_to_an_end() {
    let leaf = || Box::new(Tree::Leaf { value: true });
    let trees = || [Tree::And { left: leaf(), right: Box::new(Tree::Not { of: leaf() }) }, Tree::All { of: vec![*leaf()] }, *leaf()];
    assert!(holds(trees()) >= 3);
    never_wrong(trees());
    let outer = || {
        let inner = payments().into_iter().zip(eithers()).map(|(payment, either)| Outer::Inner { payment, either });
        inner.chain(adjacents().into_iter().map(|adjacent| Outer::Deep { adjacent }))
    };
    assert!(holds(outer()) >= 8);
    never_wrong(outer());
}

#[test]
fn defaults_and_options_of_such_types_may_be_missing() {
    let full = Defaults {
        second_one: payments().pop(),
        third: eithers(),
        by_name: adjacents().into_iter().map(|adjacent| ("x".to_owned(), adjacent)).collect(),
        ..Defaults::default()
    };
    assert!(holds([full.clone(), Defaults::default()]) >= 2);
    never_wrong([full]);
    let schema = seen::<Defaults>().schema;
    assert_eq!(schema.resolved().get("required"), None);
    let second = &schema.resolved()["properties"]["secondOne"];
    assert_eq!(second, &json!({ "anyOf": [{ "$ref": "#/components/schemas/Payment" }, { "type": "null" }] }));
}

#[test]
fn an_enum_without_tags_may_have_variants_with_some() {
    let mixed = || {
        let payments = payments().into_iter().map(Mixed::Payment);
        payments.chain([
            Mixed::Names(BTreeMap::from([("a".to_owned(), 3)])),
            Mixed::Both { first: 3, second: "x".to_owned() },
            Mixed::Number(3),
        ])
    };
    holds(mixed());
    never_wrong(mixed().map(|mixed| HashMap::from([("mixed".to_owned(), mixed)])));
}

#[test]
fn what_was_in_no_sample_is_said_to_be_no_more_than_it_is() {
    let iban = || Iban("DE02120300000000202051".to_owned());
    let owner = |kind: Holder| Owner { note: None, iban: iban(), kind };
    let person = || Holder::Person { name: None, iban: iban() };
    let owners = |holder: Holder| Owners {
        all: vec![owner(person()), owner(Holder::Nobody)],
        first: Some(owner(Holder::Company(Box::new(owner(person()))))),
        by_name: BTreeMap::from([("a".to_owned(), holder.clone()), ("b".to_owned(), Holder::Nobody)]),
        holder,
    };
    holds([owner(person()), owner(Holder::Nobody)]);
    holds([person(), Holder::Nobody]);
    holds([owners(person()), owners(Holder::Nobody)]);
    never_wrong([owner(person()), owner(Holder::Nobody)]);
    never_wrong([owners(person()), owners(Holder::Company(Box::new(owner(Holder::Nobody))))]);
    let hidden = seen::<Owners>().hidden.unwrap();
    assert!(hidden.contains("`Holder`: no sample of its variant `Company`"), "{hidden}");
    holds([Long("a text that is long enough".to_owned())]);
    assert_eq!(seen::<Long>().schema.root, json!({ "type": "string" }));
}

#[test]
fn what_cannot_be_known_is_open_and_says_so() {
    let iban = || Iban("DE02120300000000202051".to_owned());
    holds([Strange::Number(3), Strange::Iban(iban())]);
    let strange = seen::<Strange>();
    assert_eq!(strange.schema.root, json!({}));
    assert!(strange.hidden.is_some(), "{strange:?}");
    holds([StrangeTagged::Paid { iban: iban() }, StrangeTagged::Free { why: String::new() }]);
    let tagged = seen::<StrangeTagged>();
    let hidden = tagged.hidden.unwrap();
    assert!(hidden.contains("StrangeTagged") && hidden.contains("Paid"), "{hidden}");
}
