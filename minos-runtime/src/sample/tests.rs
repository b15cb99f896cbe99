use super::*;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{collections::BTreeMap, net::IpAddr, num::NonZeroU32, time::Duration};
use uuid::Uuid;

#[derive(Debug, Serialize, Deserialize, PartialEq)]
enum Tree {
    Two(Box<Tree>, Box<Tree>),
    Named { name: String, tree: Option<Box<Tree>> },
    Leaf,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(try_from = "u32")]
struct Even(u32);

impl TryFrom<u32> for Even {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        if number > 0 && number.is_multiple_of(2) { Ok(Even(number)) } else { Err(format!("{number} is not even")) }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct All {
    text: String,
    id: Uuid,
    other: Uuid,
    at: Timestamp,
    pause: Duration,
    some: NonZeroU32,
    even: Even,
    list: Vec<All>,
    pair: (i8, f32, char, bool),
    three: [u64; 3],
    map: BTreeMap<String, Even>,
    addr: IpAddr,
    maybe: Option<Box<All>>,
    any: Value,
    unit: (),
    tree: Tree,
}

#[test]
fn any_shape_has_a_sample() {
    let all: All = sample().unwrap();
    assert_eq!((all.text.as_str(), all.some.get(), all.even.0, all.three), ("", 1, 2, [0; 3]));
    assert!(all.list.is_empty() && all.maybe.is_none() && all.any.is_null());
    assert!(!all.id.is_nil() && all.id != all.other, "two of them are two");
    let written = serde_json::to_value(&all).unwrap();
    assert_eq!(serde_json::to_value(serde_json::from_value::<All>(written.clone()).unwrap()).unwrap(), written);
    assert_eq!(sample::<()>(), Ok(()));
    assert_eq!(sample::<Option<u8>>(), Ok(None));
}

#[test]
fn what_has_no_sample_says_where_and_why() {
    #[derive(Debug, Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        #[expect(dead_code, reason = "it is only read")]
        One { n: u32 },
    }
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "it is only read")]
    struct Order {
        id: Uuid,
        goods: Tagged,
    }
    let error = sample::<Order>().unwrap_err();
    assert_eq!(error.at, ["goods"]);
    assert!(error.to_string().contains("Order` could be made at `goods`: "), "{error}");

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "it is only read")]
    struct Endless(Box<Endless>);
    assert!(sample::<Endless>().unwrap_err().why.contains("without end"));
    #[derive(Debug, Deserialize)]
    enum Never {}
    assert_eq!(sample::<Never>().unwrap_err().why, "it has no variants");
}

#[test]
fn a_tree_comes_to_an_end() {
    let tree: Tree = sample().unwrap();
    assert_eq!(serde_json::from_value::<Tree>(json!(serde_json::to_value(&tree).unwrap())).unwrap(), tree);
}

#[expect(dead_code, reason = "it is only read")]
#[derive(Deserialize)]
struct Named {
    #[serde(alias = "an_older", alias = "older")]
    name: String,
    #[serde(rename = "of: all", alias = "before")]
    number: NonZeroU32,
}

fn shape<T: serde::de::DeserializeOwned>() -> Shape {
    trace::<T>(|made| assert!(made.is_ok(), "{:?}", made.err()))
}

#[test]
fn a_shape_shows_all_that_is_stored() {
    let mut trees = Vec::new();
    let shape = trace::<All>(|made| trees.push(made.unwrap().tree));
    let lines = shape.lines();
    let expected = "  addr: string
  any: any
  at: string
  even: u32
  id: string
  list: list of All again
  map: map of string to u32
  maybe: optional All again
  other: string
  pair: tuple
    0: i8
    1: f32
    2: char
    3: bool
  pause: struct
    nanos: u32
    secs: u64
  some: u32
  text: string
  three: tuple
    0: u64
    1: u64
    2: u64
  tree: enum
    Leaf
    Named: struct
      name: string
      tree: optional Tree again
    Two: tuple
      0: Tree again
      1: Tree again
  unit: nothing
";
    assert_eq!(lines, expected);
    assert_eq!(Shape::parse(lines.lines()), Some(shape), "it is read as it was written");
    let tree = |name: &str| Tree::Named { name: name.to_owned(), tree: Some(Box::new(Tree::Leaf)) };
    assert_eq!(trees, [Tree::Two(Box::new(Tree::Leaf), Box::new(Tree::Leaf)), tree(""), Tree::Leaf], "each variant was made");
}

#[test]
fn other_names_of_a_field_are_no_other_fields() {
    let named = shape::<Named>();
    assert_eq!(named.lines(), "  name: string\n  \"of: all\": u32\n");
    assert_eq!(Shape::parse(named.lines().lines()), Some(named.clone()));
    let was = Shape::parse(["  before: u32", "  older: string"]).unwrap();
    assert!(was.differences(&named, &[]).iter().all(|difference| difference.breaks.is_none()));
    assert!(sample::<Named>().is_ok());
}

#[test]
fn differences_tell_what_breaks() {
    let now = Shape::parse(["  a: optional u64", "  b: struct", "    c: enum", "      X", "      Y: u8", "  d: list of string"]).unwrap();
    let broken = |lines: &[&str]| {
        let was = Shape::parse(lines.iter().copied()).unwrap();
        let differences = was.differences(&now, &[("old", "d")]);
        let breaking = differences.iter().filter(|difference| difference.breaks.is_some());
        (differences.len(), breaking.map(|difference| difference.at.clone()).collect::<Vec<_>>().join(" "))
    };
    let same = ["  a: optional u64", "  b: struct", "    c: enum", "      X", "      Y: u8", "  d: list of string"];
    assert_eq!(broken(&same), (0, String::new()));
    for (n, line, found) in [
        (0, "  a: u64", (1, "")),
        (0, "  a: optional u32", (1, "a")),
        (0, "  gone: bool", (2, "")),
        (0, "  gone: u64", (2, "gone")),
        (3, "      Z", (2, "b.c.Z")),
        (4, "      Y: u16", (1, "b.c.Y")),
        (4, "      Y", (1, "b.c.Y")),
        (5, "  old: list of string", (1, "")),
        (5, "  older: list of string", (2, "older")),
        (5, "  d: list of struct", (1, "d")),
    ] {
        let mut lines = same;
        lines[n] = line;
        assert_eq!(broken(&lines), (found.0, found.1.to_owned()), "{line}");
    }
    assert_eq!(Shape::parse(["      too deep: u8"]), None);
}
