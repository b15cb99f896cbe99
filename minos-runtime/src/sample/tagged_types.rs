//! Types that serde reads by a tag, flattens, or tries out, and values of them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) street: String,
    pub(super) number: u16,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    Old,
    BrandNew,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Payment {
    Cash {
        cents: i64,
        paid_at: jiff::Timestamp,
    },
    Card {
        number: String,
        holder: Uuid,
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    Sent(Place),
    Parts {
        places: Vec<Place>,
        done: bool,
        word: Word,
        pair: (u8, String),
        prices: HashMap<String, u32>,
        rate: f64,
        letter: char,
        any: Value,
    },
    Free,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
pub(super) enum Adjacent {
    Number(u32),
    Full { place: Place, inner: Box<Option<Adjacent>> },
    Pair(u8, bool),
    Empty,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Either {
    Number(i32),
    Place(Place),
    Words(Vec<String>),
    Text(String),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Shapes {
    Circle { radius: f64 },
    Box { width: f64, height: f64 },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Flat {
    pub(super) id: Uuid,
    #[serde(default)]
    pub(super) note: String,
    #[serde(flatten)]
    pub(super) place: Place,
    #[serde(flatten)]
    pub(super) rest: HashMap<String, Value>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct FlatTagged {
    pub(super) id: u32,
    #[serde(flatten)]
    pub(super) payment: Payment,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct FlatMap {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
    #[serde(flatten)]
    pub(super) rest: BTreeMap<String, u32>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct FlatOption {
    pub(super) id: u32,
    #[serde(flatten)]
    pub(super) place: Option<Place>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Known {
    One,
    Two {
        n: u8,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub(super) enum TaggedOther {
    One {
        n: u8,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "op")]
pub(super) enum Tree {
    And { left: Box<Tree>, right: Box<Tree> },
    Not { of: Box<Tree> },
    All { of: Vec<Tree> },
    Leaf { value: bool },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "outer")]
pub(super) enum Outer {
    Inner { payment: Payment, either: Either },
    Deep { adjacent: Adjacent },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Defaults {
    pub(super) first_one: u8,
    pub(super) second_one: Option<Payment>,
    pub(super) third: Vec<Either>,
    pub(super) by_name: BTreeMap<String, Adjacent>,
}

impl Default for Defaults {
    fn default() -> Self {
        Defaults { first_one: 7, second_one: None, third: Vec::new(), by_name: BTreeMap::new() }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Iban(pub(super) String);

impl TryFrom<String> for Iban {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.starts_with("DE") && text.len() > 4 { Ok(Iban(text)) } else { Err("no IBAN".to_owned()) }
    }
}

impl From<Iban> for String {
    fn from(iban: Iban) -> String {
        iban.0
    }
}

/// Of what it takes, no sample is made: a text of a form of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Strange {
    Number(u8),
    Iban(Iban),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub(super) enum StrangeTagged {
    Paid { iban: Iban },
    Free { why: String },
}

pub(super) fn place() -> Place {
    Place { street: "Long Lane".to_owned(), number: 7 }
}

pub(super) fn payments() -> Vec<Payment> {
    let (holder, number) = (Uuid::now_v7(), "4711".to_owned());
    vec![
        Payment::Cash { cents: -5, paid_at: jiff::Timestamp::now() },
        Payment::Card { number: number.clone(), holder, note: None },
        Payment::Card { number, holder, note: Some("later".to_owned()) },
        Payment::Sent(place()),
        Payment::Parts {
            places: vec![place(), place()],
            done: true,
            word: Word::BrandNew,
            pair: (3, "three".to_owned()),
            prices: HashMap::from([("a".to_owned(), 3)]),
            rate: 0.25,
            letter: 'ü',
            any: json!([1, { "a": null }]),
        },
        Payment::Free,
    ]
}

pub(super) fn adjacents() -> Vec<Adjacent> {
    let inner = Adjacent::Full { place: place(), inner: Box::new(None) };
    vec![Adjacent::Number(3), Adjacent::Full { place: place(), inner: Box::new(Some(inner)) }, Adjacent::Pair(2, true), Adjacent::Empty]
}

pub(super) fn eithers() -> Vec<Either> {
    vec![Either::Number(-3), Either::Place(place()), Either::Words(vec!["a".to_owned()]), Either::Text("b".to_owned())]
}

/// One of its variants is read by a tag, and the others are not.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Mixed {
    Payment(Payment),
    Names(BTreeMap<String, u8>),
    Both { first: u8, second: String },
    Number(u64),
}

/// What has no sample stands beside what may be missing, and within lists, options and variants.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Owner {
    pub(super) note: Option<String>,
    pub(super) iban: Iban,
    pub(super) kind: Holder,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Holder {
    Company(Box<Owner>),
    Person { name: Option<String>, iban: Iban },
    Nobody,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Owners {
    pub(super) all: Vec<Owner>,
    pub(super) first: Option<Owner>,
    pub(super) holder: Holder,
    pub(super) by_name: BTreeMap<String, Holder>,
}

/// Text that has to be long, and of no form.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Long(pub(super) String);

impl TryFrom<String> for Long {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.len() > 12 { Ok(Long(text)) } else { Err("too short".to_owned()) }
    }
}

impl From<Long> for String {
    fn from(long: Long) -> String {
        long.0
    }
}
