//! JSON is read as `serde_json` reads it: the same values, and the same kind of mistake.

use super::{Class, Fault, Json, Reader, seen, tagged_tests::validator};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json, value::RawValue};
use std::collections::{BTreeMap, HashMap};

fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, Fault> {
    let mut json = Json::new(text);
    let value = T::deserialize(Reader::Json(&mut json))?;
    json.end().map(|()| value)
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Dot,
    Circle(f64),
    Line(i32, i32),
    Named { name: String, inside: Option<Box<Shape>> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    One { n: u8 },
    Two,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Either {
    Number(i64),
    Text(String),
    List(Vec<u8>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct All {
    text: String,
    flag: bool,
    small: u8,
    large: i64,
    huge: u128,
    float: f64,
    letter: char,
    list: Vec<Shape>,
    pair: (u8, String),
    map: BTreeMap<u32, Option<Value>>,
    tagged: Tagged,
    either: Either,
    #[serde(default)]
    missing: u8,
    unit: (),
    #[serde(flatten)]
    rest: HashMap<String, Value>,
}

fn value(random: &mut fastrand::Rng, depth: u32) -> Value {
    match random.u8(..if depth > 3 { 6 } else { 8 }) {
        0 => Value::Null,
        1 => random.bool().into(),
        2 => random.u64(..).into(),
        3 => random.i64(..).into(),
        4 => json!((random.f64() - 0.5) * 10_f64.powi(random.i32(-30..30))),
        5 => word(random).into(),
        6 => (0..random.usize(..4)).map(|_| value(random, depth + 1)).collect(),
        _ => Value::Object((0..random.usize(..4)).map(|_| (word(random), value(random, depth + 1))).collect()),
    }
}

fn word(random: &mut fastrand::Rng) -> String {
    const LETTERS: &[char] = &['a', 'Z', '"', '\\', '\n', '\u{1}', 'ü', '😀', '/', ' '];
    (0..random.usize(..6)).map(|_| LETTERS[random.usize(..LETTERS.len())]).collect()
}

fn shape(random: &mut fastrand::Rng, depth: u32) -> Shape {
    match random.u8(..4) {
        0 => Shape::Dot,
        1 => Shape::Circle(random.f64()),
        2 => Shape::Line(random.i32(..), random.i32(..)),
        _ => Shape::Named { name: word(random), inside: (depth < 3).then(|| Box::new(shape(random, depth + 1))) },
    }
}

fn all(random: &mut fastrand::Rng) -> All {
    All {
        text: word(random),
        flag: random.bool(),
        small: random.u8(..),
        large: random.i64(..),
        huge: random.u128(..),
        float: random.f64(),
        letter: random.char(..),
        list: (0..random.usize(..3)).map(|_| shape(random, 0)).collect(),
        pair: (random.u8(..), word(random)),
        // A null in an option is nothing.
        map: (0..random.usize(..3)).map(|_| (random.u32(..), Some(value(random, 0)).filter(|value| !value.is_null()))).collect(),
        tagged: if random.bool() { Tagged::Two } else { Tagged::One { n: random.u8(..) } },
        either: match random.u8(..3) {
            0 => Either::Number(random.i64(..)),
            1 => Either::Text(word(random)),
            _ => Either::List(vec![1, 2]),
        },
        missing: random.u8(..),
        unit: (),
        rest: HashMap::from([("beside".to_owned(), value(random, 0))]),
    }
}

/// The same for both, whatever the text is.
fn same<T: DeserializeOwned + Serialize>(text: &[u8]) {
    let (ours, theirs) = (read::<T>(text), serde_json::from_slice::<T>(text));
    let shown = String::from_utf8_lossy(text);
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => assert_eq!(serde_json::to_string(&ours).unwrap(), serde_json::to_string(&theirs).unwrap(), "{shown}"),
        (Err(ours), Err(theirs)) => {
            let is_data = theirs.is_data();
            assert_eq!(ours.class() == Class::Data, is_data, "{shown}: `{ours}` and `{theirs}`");
        }
        (Ok(_), Err(theirs)) => panic!("{shown} was read, and serde_json says `{theirs}`"),
        (Err(ours), Ok(_)) => panic!("{shown} was refused: `{ours}`"),
    }
}

#[test]
fn what_serde_json_reads_is_read_the_same() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..2_000 {
        let any = value(&mut random, 0);
        same::<Value>(any.to_string().as_bytes());
        same::<Value>(serde_json::to_string_pretty(&any).unwrap().as_bytes());
        let all = all(&mut random);
        // What flattens reads whole numbers up to 64 bits only, by any reader.
        let text = serde_json::to_string(&all).unwrap();
        same::<All>(text.as_bytes());
        let shape = serde_json::to_string(&shape(&mut random, 0)).unwrap();
        assert_eq!(read::<Shape>(shape.as_bytes()).unwrap(), serde_json::from_str(&shape).unwrap());
    }
}

#[test]
fn what_is_broken_is_refused_the_same() {
    let mut random = fastrand::Rng::with_seed(11);
    for _ in 0..5_000 {
        let mut text = value(&mut random, 0).to_string().into_bytes();
        let at = random.usize(..text.len());
        match random.u8(..3) {
            0 => text.truncate(at),
            1 => text[at] = b"{}[],:\"\\0-e.x \xff"[random.usize(..15)],
            _ => text.insert(at, b"{}[],:\"1"[random.usize(..8)]),
        }
        same::<Value>(&text);
    }
    for text in ["", " ", "01", "-", "1.", "nul", "tru", "\"\\ud800\"", "[1,]", "{\"a\":1,}", "{1:2}", "1 2", "\"\n\""] {
        same::<Value>(text.as_bytes());
        same::<Vec<u8>>(text.as_bytes());
        same::<Option<u8>>(text.as_bytes());
    }
    let deep = [vec![b'['; 200], vec![b']'; 200]].concat();
    assert_eq!(read::<Value>(&deep).unwrap_err().to_string(), "recursion limit exceeded");
}

#[test]
fn numbers_of_128_bits_and_raw_json_are_read() {
    assert_eq!(read::<u128>(u128::MAX.to_string().as_bytes()).unwrap(), u128::MAX);
    assert_eq!(read::<i128>(i128::MIN.to_string().as_bytes()).unwrap(), i128::MIN);
    assert_eq!(read::<Vec<Box<RawValue>>>(b"[ {\"a\" : 1} ,2]").unwrap()[0].get(), "{\"a\" : 1}");
}

#[test]
fn an_input_is_read_by_its_names_and_says_where_it_is_wrong() {
    #[derive(Debug, Deserialize)]
    struct Foo {
        bar: u32,
    }
    assert_eq!(read::<Foo>(b"{\"bar\":1}").unwrap().bar, 1);
    assert!(read::<Foo>(b"[1]").unwrap_err().to_string().starts_with("invalid type: sequence, expected struct Foo"));
    let place = |text: &[u8]| {
        let mut json = Json::new(text);
        let error = Foo::deserialize(Reader::Json(&mut json)).unwrap_err().to_string();
        (error, json.place())
    };
    assert_eq!(place(b"{\n \"bar\": \"x\"\n}"), ("invalid type: string \"x\", expected u32".to_owned(), (2, 11)));
    assert_eq!(place(b"{}"), ("missing field `bar`".to_owned(), (1, 1)));
    let mut json = Json::new(b"{\"bar\":1,\"baz\":2}");
    Foo::deserialize(Reader::Json(&mut json)).unwrap();
    assert_eq!(json.unknown(), Some(("baz", &["bar"][..])));
}

#[test]
fn a_schema_is_what_is_read() {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    #[expect(dead_code, reason = "it is only read")]
    struct Order {
        id: uuid::Uuid,
        at: jiff::Timestamp,
        #[serde(default)]
        note_text: String,
        count: std::num::NonZeroU32,
        maybe: Option<u8>,
        shapes: Vec<Shape>,
        prices: BTreeMap<String, i64>,
        any: Value,
    }
    let schema = seen::<Order>().schema;
    let number = |minimum: i64, maximum: u64| json!({ "type": "integer", "minimum": minimum, "maximum": maximum });
    assert_eq!(
        schema.resolved(),
        &json!({
            "type": "object",
            "properties": {
                "id": { "type": "string", "format": "uuid" },
                "at": { "type": "string", "format": "date-time" },
                "noteText": { "type": "string" },
                "count": number(1, u32::MAX.into()),
                "maybe": { "type": ["integer", "null"], "minimum": 0, "maximum": 255 },
                "shapes": { "type": "array", "items": { "$ref": "#/components/schemas/Shape" } },
                "prices": { "type": "object", "additionalProperties": { "type": "integer", "format": "int64", "minimum": i64::MIN, "maximum": i64::MAX } },
                "any": {},
            },
            "required": ["id", "at", "count", "shapes", "prices", "any"],
        })
    );
    let shape = &schema.named["Shape"]["oneOf"];
    assert_eq!(shape[0], json!({ "type": "string", "enum": ["Dot"] }));
    assert_eq!(
        shape[3]["properties"]["Named"]["properties"]["inside"],
        json!({ "anyOf": [{ "$ref": "#/components/schemas/Shape" }, { "type": "null" }] })
    );
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", content = "how", rename_all = "snake_case")]
enum Adjacent {
    Nothing,
    Number(u8),
    Named { name: String },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Strict {
    id: uuid::Uuid,
    at: jiff::Timestamp,
    small: i8,
    port: std::num::NonZeroU16,
    letter: char,
    shape: Shape,
    maybe: Option<uuid::Uuid>,
    inside: Option<Box<Strict>>,
    pairs: BTreeMap<String, (u8, bool)>,
    three: [i16; 3],
    tagged: Vec<Adjacent>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    note: String,
}

fn strict(random: &mut fastrand::Rng, depth: u32) -> Strict {
    Strict {
        id: uuid::Uuid::from_u128(random.u128(..)),
        at: jiff::Timestamp::from_second(random.i64(0..2_000_000_000)).unwrap(),
        small: random.i8(..),
        port: random.u16(1..).try_into().unwrap(),
        letter: random.char(..),
        shape: shape(random, 0),
        maybe: random.bool().then(|| uuid::Uuid::from_u128(random.u128(..))),
        inside: (depth < 2).then(|| Box::new(strict(random, depth + 1))),
        pairs: (0..random.usize(..3)).map(|_| (word(random), (random.u8(..), random.bool()))).collect(),
        three: [random.i16(..), 0, -1],
        tagged: vec![Adjacent::Nothing, Adjacent::Number(random.u8(..)), Adjacent::Named { name: word(random) }],
        note: word(random),
    }
}

#[test]
fn what_is_written_of_a_type_is_as_its_schema_says() {
    let (schema, validator) = validator::<Strict>();
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..1_000 {
        let value = serde_json::to_value(strict(&mut random, 0)).unwrap();
        assert!(validator.is_valid(&value), "{value}\n{schema:#}");
    }
    // What the type refuses, the schema refuses.
    let good = serde_json::to_value(strict(&mut random, 2)).unwrap();
    for (field, wrong) in [
        ("id", json!("x")),
        ("at", json!("today")),
        ("small", json!(128)),
        ("port", json!(0)),
        ("letter", json!("ab")),
        ("shape", json!("Square")),
        ("maybe", json!("")),
        ("pairs", json!({ "a": [256, true] })),
        ("three", json!([1, 2])),
        ("tagged", json!([{ "what": "something" }])),
    ] {
        let mut value = good.clone();
        value[field] = wrong;
        assert!(serde_json::from_value::<Strict>(value.clone()).is_err(), "{value}");
        assert!(!validator.is_valid(&value), "{field}: {schema:#}");
        value.as_object_mut().unwrap().remove(field);
        let may_be_missing = serde_json::from_value::<Strict>(value.clone()).is_ok();
        assert_eq!(validator.is_valid(&value), may_be_missing, "{field}: {schema:#}");
    }
}
