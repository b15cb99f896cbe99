//! What is told of a struct by its fields is what is seen where it is read as a whole.

use super::{Look, NotTraced, Of, seen};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A struct, and how the macros tell it by its fields.
macro_rules! told {
    ($(#[$attr:meta])* struct $name:ident { $($field:ident: $ty:ty,)* }) => {
        $(#[$attr])*
        #[expect(dead_code, reason = "it is only read")]
        struct $name { $($field: $ty,)* }

        impl $name {
            fn look() -> Look {
                Look::Fields(stringify!($name), &[$((stringify!($field), Of::<$ty>::SEEN)),*])
            }
        }
    };
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "it is only read")]
enum State {
    Open,
    Sent { to: String, lines: Vec<Line> },
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "it is only read")]
struct Line {
    product: uuid::Uuid,
    quantity: std::num::NonZeroU32,
    gift: Option<Gift>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "it is only read")]
struct Gift(String);

/// A field of this type is asked for, though there may be nothing in it.
#[derive(Deserialize)]
#[expect(dead_code, reason = "it is only read")]
struct Wrapped(Option<u8>);

/// A field of this one is not.
#[derive(Deserialize)]
#[serde(transparent)]
#[expect(dead_code, reason = "it is only read")]
struct Bare {
    maybe: Option<u8>,
}

#[derive(PartialEq, Serialize, Deserialize)]
#[serde(rename = "Line")]
struct OtherLine {
    text: String,
}

told! {
    #[derive(Deserialize)]
    struct Order {
        id: uuid::Uuid,
        at: jiff::Timestamp,
        text: String,
        letter: char,
        count: u64,
        price: f64,
        done: bool,
        maybe: Option<i32>,
        twice: Option<Option<String>>,
        boxed: Box<Option<u8>>,
        wrapped: Wrapped,
        bare: Bare,
        nothing: (),
        pair: (u8, String),
        any: Value,
        state: State,
        lines: Vec<Line>,
        first: Option<Line>,
        by_name: BTreeMap<String, Line>,
        words: HashMap<String, bool>,
        tags: BTreeSet<String>,
        inside: Option<Box<Order>>,
    }
}

#[test]
fn a_struct_by_its_fields_is_what_is_read_as_a_whole() {
    let (whole, by_fields) = (seen::<Order>(), Order::look().see().unwrap());
    assert_eq!(by_fields.schema, whole.schema);
    assert_eq!(by_fields.hidden, whole.hidden);
    let required = &by_fields.schema.resolved()["required"];
    let is_required = |name: &str| required.as_array().unwrap().contains(&json!(name));
    for name in ["id", "wrapped", "nothing", "any", "tags"] {
        assert!(is_required(name), "{name}: {required}");
    }
    for name in ["maybe", "twice", "boxed", "bare", "first", "inside"] {
        assert!(!is_required(name), "{name}: {required}");
    }
}

told! {
    #[derive(Deserialize)]
    struct Maybe {
        note: Option<String>,
    }
}

#[test]
fn where_all_may_be_missing_nothing_is_required() {
    let by_fields = Maybe::look().see().unwrap().schema;
    assert_eq!(by_fields, seen::<Maybe>().schema);
    assert_eq!(by_fields.resolved().get("required"), None);
}

told! {
    #[derive(Deserialize)]
    struct Both {
        one: Line,
        other: OtherLine,
    }
}

/// Two types of one name, of which one is not taken for the other.
#[test]
fn two_types_of_one_name_have_two_schemas() {
    let schema = Both::look().see().unwrap().schema;
    let fields = &schema.resolved()["properties"];
    let [one, other] = ["one", "other"].map(|field| fields[field]["$ref"].as_str().unwrap().rsplit('/').next().unwrap());
    assert_eq!((one, other), ("Line", "Line2"));
    assert!(schema.named["Line"]["properties"].get("product").is_some());
    assert_eq!(schema.named["Line2"], json!({ "type": "object", "properties": { "text": { "type": "string" } }, "required": ["text"] }));
}

struct Unread;

#[test]
fn a_field_that_cannot_be_read_is_open_and_says_so() {
    let seen = Look::Fields("Odd", &[("good", Of::<u8>::SEEN), ("bad", Of::<Unread>::SEEN)]).see().unwrap();
    assert_eq!(seen.hidden.as_deref(), Some("`bad`: it cannot be read"));
    assert_eq!(seen.schema.resolved()["properties"]["bad"], json!({}));
    assert_eq!(seen.schema.resolved()["properties"]["good"], json!({ "type": "integer", "minimum": 0, "maximum": 255 }));
}
