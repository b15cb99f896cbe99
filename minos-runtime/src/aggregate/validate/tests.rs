//! Rules, and how what they find is told.

use super::{Validate, ValidationError, Violations, rules::*};
use crate::error::ErrorKind;
use std::ops::Bound::{Excluded, Included, Unbounded};

#[test]
fn lengths_are_those_of_characters_and_items() {
    assert_eq!(length(&"äöü".to_owned(), Included(3), Included(3)), None);
    assert_eq!(length(&vec![1, 2], Included(3), Unbounded).as_deref(), Some("has a length of 2, and it has to be at least 3"));
    assert_eq!(length(&None::<String>, Included(3), Unbounded), None);
    assert_eq!(not_empty(&String::new()).as_deref(), Some("is empty"));
    assert_eq!(not_empty(&Some(String::new())).as_deref(), Some("is empty"));
}

#[test]
fn numbers_are_within_their_range() {
    assert_eq!(range(&5, Included(1), Included(5)), None);
    assert_eq!(range(&5, Included(1), Excluded(5)).as_deref(), Some("is 5, and has to be at least 1 and less than 5"));
    assert_eq!(range(&Some(-1), Included(0), Unbounded).as_deref(), Some("is -1, and has to be at least 0"));
    assert!(range(&f64::NAN, Included(0.0), Unbounded).is_some(), "what is no number is in no range");
    assert_eq!(one_of_numbers(&3_u8, &[1, 2]).as_deref(), Some("is 3, and has to be one of 1, 2"));
}

#[test]
fn texts_are_of_their_form() {
    for right in ["a@b.c", "ada.lovelace+x@example.org", "o'neill@localhost"] {
        assert_eq!(email(&right.to_owned()), None, "{right}");
    }
    for wrong in ["", "@b.c", "a@", "a@b@c", "a b@c.d", "a@-b.c", "a@b..c", &format!("{}@b.c", "a".repeat(65))] {
        assert!(email(&wrong.to_owned()).is_some(), "{wrong}");
    }
    for right in ["https://example.org", "http://127.0.0.1:80/a?b=c", "ftp://host/x"] {
        assert_eq!(url(&right.to_owned()), None, "{right}");
    }
    for wrong in ["", "example.org", "/a", "https://", "https:// x"] {
        assert!(url(&wrong.to_owned()).is_some(), "{wrong}");
    }
    assert_eq!(one_of(&"c".to_owned(), &["a", "b"]).as_deref(), Some("is `c`, and has to be one of `a`, `b`"));
}

struct Line(u32);

impl Validate for Line {
    fn validate(&self, found: &mut Violations) {
        found.rule("quantity", "range", range(&self.0, Included(1), Unbounded));
    }
}

struct Order(Vec<Line>);

impl Validate for Order {
    fn validate(&self, found: &mut Violations) {
        found.within("a/b", &self.0);
        found.with("", if self.0.len() > 1 { Err("has too many lines") } else { Ok(()) });
    }
}

#[test]
fn all_that_is_wrong_is_told_with_its_path() {
    let error = Order(vec![Line(0), Line(1), Line(0)]).check().unwrap_err();
    assert_eq!((error.kind(), error.status().as_u16(), error.is_transient()), (ErrorKind::Rejected, 422, false));
    let found = error.downcast_ref::<ValidationError>().unwrap().violations();
    let told: Vec<_> = found.iter().map(|one| (one.pointer(), one.rule)).collect();
    assert_eq!(told, [("#/a~1b/0/quantity".into(), "range"), ("#/a~1b/2/quantity".into(), "range"), ("#".into(), "with")]);
    assert!(error.to_string().starts_with("`a/b.0.quantity` is 0, and has to be at least 1; "), "{error}");
    assert!(Order(vec![Line(1)]).check().is_ok());
}
