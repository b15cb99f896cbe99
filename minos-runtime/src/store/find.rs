//! Which documents are looked for, and in what order: the same in every store. What is here in Rust is what it means.
//!
//! A field that is null, missing, or of another kind than it is compared as counts as null. Null equals nothing, is neither below nor above anything,
//! and comes first in an order.

use super::{Document, StoreError, StoreResult};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::{borrow::Cow, cmp::Ordering};

/// Where a field is: the names of the objects around it, from outside, and its own.
pub type FieldPath = Vec<Cow<'static, str>>;

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Text, by code points.
    Text,
    /// Numbers: whole ones of `i64` exactly, others as `f64`.
    Number,
    /// False, and then true.
    Bool,
    /// Times in UTC as RFC 3339 writes them, ending with `Z`, of years from 0 to 9999 and of any precision, without zeros at the end of it: as text
    /// without the `Z`.
    Time,
}

/// A field, and how it is compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// Where it is.
    pub path: FieldPath,
    /// How it is compared.
    pub kind: Kind,
}

impl Field {
    /// The field at the end of this path.
    pub fn new<N: Into<Cow<'static, str>>>(path: impl IntoIterator<Item = N>, kind: Kind) -> Self {
        Field { path: path.into_iter().map(Into::into).collect(), kind }
    }
}

/// How a field compares to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// It equals it.
    Eq,
    /// It does not equal it: null is one of those that do not.
    Ne,
    /// It is below it.
    Lt,
    /// It is below it or equals it.
    Le,
    /// It is above it.
    Gt,
    /// It is above it or equals it.
    Ge,
}

/// Which documents.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Those of which all of these are true; of none: all documents.
    All(Vec<Filter>),
    /// Those of which one of these is true; of none: no document.
    Any(Vec<Filter>),
    /// Those of which this is not true.
    Not(Box<Filter>),
    /// Those whose field compares so to a value.
    Compare {
        /// The field.
        field: Field,
        /// How.
        op: Op,
        /// The value. Of another kind than the field it is null, and only `Ne` is true.
        value: Json,
    },
    /// Those whose field equals one of these.
    In {
        /// The field.
        field: Field,
        /// The values.
        values: Vec<Json>,
    },
    /// Those whose field is null or missing, whatever is said of its kind elsewhere.
    IsNull(FieldPath),
    /// Those whose field is a text that begins so.
    StartsWith {
        /// Where it is.
        path: FieldPath,
        /// The beginning. No character of it means anything else.
        prefix: String,
    },
    /// Those whose field is a text with this in it.
    Contains {
        /// Where it is.
        path: FieldPath,
        /// What is in it. No character of it means anything else.
        part: String,
    },
    /// Those whose field is a list that has this item.
    Has {
        /// The list, and how its items are compared.
        field: Field,
        /// The item.
        item: Json,
    },
}

/// From low to high, or from high to low.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The lowest first, and before it null.
    Ascending,
    /// The highest first, and null last.
    Descending,
}

/// What documents are ordered by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Order {
    /// The field.
    pub field: Field,
    /// In which direction.
    pub direction: Direction,
}

/// A place between two documents of an order: behind the last one of a page. It is true whatever is written or removed meanwhile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cursor {
    /// What the last document is ordered by, as many as there are fields of the order.
    pub values: Vec<Json>,
    /// Its key.
    pub key: String,
}

impl Cursor {
    /// The place behind a document.
    pub fn behind(document: &Document, order: &[Order]) -> Self {
        let body = serde_json::from_str(&document.body).unwrap_or_default();
        let values = order.iter().map(|order| at(&body, &order.field.path).cloned().unwrap_or_default()).collect();
        Cursor { values, key: document.key.clone() }
    }
}

/// Documents of a collection that are looked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Find {
    /// The collection.
    pub collection: Cow<'static, str>,
    /// Which of its documents.
    pub filter: Filter,
    /// In what order. Those that are equal in it come in the order of their keys, in the direction of the last field.
    pub order: Vec<Order>,
    /// Behind this place; from the first one, if there is none.
    pub after: Option<Cursor>,
    /// How many at most.
    pub limit: usize,
}

impl Find {
    /// All documents of a collection, in the order of their keys.
    pub fn all(collection: impl Into<Cow<'static, str>>, limit: usize) -> Self {
        Find { collection: collection.into(), filter: Filter::All(Vec::new()), order: Vec::new(), after: None, limit }
    }

    /// The direction of the keys.
    pub(super) fn of_keys(&self) -> Direction {
        self.order.last().map_or(Direction::Ascending, |order| order.direction)
    }

    /// Refuses what makes no sense.
    pub(super) fn check(&self) -> StoreResult<()> {
        self.filter.check()?;
        self.order.iter().try_for_each(|order| check_path(&order.field.path))?;
        match &self.after {
            Some(after) if after.values.len() != self.order.len() => Err(StoreError::Unsupported(format!(
                "this cursor has {} values, and the order {} fields: a cursor is only good for the order that it was made with",
                after.values.len(),
                self.order.len()
            ))),
            _ => Ok(()),
        }
    }

    /// How two documents come in this order.
    pub(super) fn compare(&self, one: (&Json, &str), other: (&Json, &str)) -> Ordering {
        let fields = self.order.iter().map(|Order { field, direction }| direction.of(field.of(one.0).cmp(&field.of(other.0))));
        fields.fold(Ordering::Equal, Ordering::then).then_with(|| self.of_keys().of(one.1.cmp(other.1)))
    }

    /// Whether a document comes behind the cursor.
    pub(super) fn is_behind(&self, body: &Json, key: &str) -> bool {
        let Some(after) = &self.after else { return true };
        let compared = self.order.iter().zip(&after.values);
        let fields = compared.map(|(Order { field, direction }, value)| direction.of(field.of(body).cmp(&field.kind.scalar(value))));
        fields.fold(Ordering::Equal, Ordering::then).then_with(|| self.of_keys().of(key.cmp(&after.key))) == Ordering::Greater
    }
}

impl Direction {
    fn of(self, ordering: Ordering) -> Ordering {
        match self {
            Direction::Ascending => ordering,
            Direction::Descending => ordering.reverse(),
        }
    }
}

impl Filter {
    /// Whether it is true of a document.
    pub(super) fn matches(&self, body: &Json) -> bool {
        let text = |path: &FieldPath| at(body, path).and_then(Json::as_str);
        match self {
            Filter::All(all) => all.iter().all(|filter| filter.matches(body)),
            Filter::Any(any) => any.iter().any(|filter| filter.matches(body)),
            Filter::Not(filter) => !filter.matches(body),
            Filter::Compare { field, op, value } => op.is(field.of(body), field.kind.scalar(value)),
            Filter::In { field, values } => values.iter().any(|value| Op::Eq.is(field.of(body), field.kind.scalar(value))),
            Filter::IsNull(path) => at(body, path).is_none_or(Json::is_null),
            Filter::StartsWith { path, prefix } => text(path).is_some_and(|text| text.starts_with(prefix)),
            Filter::Contains { path, part } => text(path).is_some_and(|text| text.contains(part)),
            Filter::Has { field, item } => at(body, &field.path)
                .and_then(Json::as_array)
                .is_some_and(|items| items.iter().any(|one| Op::Eq.is(field.kind.scalar(one), field.kind.scalar(item)))),
        }
    }

    /// Refuses what makes no sense.
    pub(super) fn check(&self) -> StoreResult<()> {
        match self {
            Filter::All(filters) | Filter::Any(filters) => filters.iter().try_for_each(Filter::check),
            Filter::Not(filter) => filter.check(),
            Filter::Compare { field: Field { path, .. }, .. }
            | Filter::In { field: Field { path, .. }, .. }
            | Filter::Has { field: Field { path, .. }, .. }
            | Filter::IsNull(path)
            | Filter::StartsWith { path, .. }
            | Filter::Contains { path, .. } => check_path(path),
        }
    }
}

/// Refuses a path that leads nowhere.
pub(super) fn check_path(path: &FieldPath) -> StoreResult<()> {
    if path.is_empty() {
        return Err(StoreError::Unsupported("a path names at least one field".to_owned()));
    }
    match path.iter().find(|name| name.contains('\0')) {
        Some(name) => Err(StoreError::Unsupported(format!("no field is called {name:?}"))),
        None => Ok(()),
    }
}

/// What is at the end of a path.
fn at<'j>(body: &'j Json, path: &FieldPath) -> Option<&'j Json> {
    path.iter().try_fold(body, |json, name| json.as_object()?.get(&**name))
}

impl Op {
    fn is(self, one: Option<Scalar<'_>>, other: Option<Scalar<'_>>) -> bool {
        let ordering = one.zip(other).map(|(one, other)| one.cmp(&other));
        match self {
            Op::Eq => ordering == Some(Ordering::Equal),
            Op::Ne => ordering != Some(Ordering::Equal),
            Op::Lt => ordering == Some(Ordering::Less),
            Op::Le => ordering.is_some_and(Ordering::is_le),
            Op::Gt => ordering == Some(Ordering::Greater),
            Op::Ge => ordering.is_some_and(Ordering::is_ge),
        }
    }
}

impl Field {
    /// What a document has there; `None` for null.
    fn of<'j>(&self, body: &'j Json) -> Option<Scalar<'j>> {
        self.kind.scalar(at(body, &self.path)?)
    }
}

/// A value of some kind. Only those of one kind are ever compared.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scalar<'j> {
    Text(&'j str),
    Whole(i64),
    Float(f64),
    Bool(bool),
}

impl Kind {
    /// A value of this kind; `None` if it is of another one, or null.
    pub(super) fn scalar(self, value: &Json) -> Option<Scalar<'_>> {
        match (self, value) {
            (Kind::Text, Json::String(text)) => Some(Scalar::Text(text)),
            (Kind::Time, Json::String(text)) => Some(Scalar::Text(text.trim_end_matches('Z'))),
            (Kind::Bool, Json::Bool(value)) => Some(Scalar::Bool(*value)),
            (Kind::Number, Json::Number(number)) => match number.as_i64() {
                Some(whole) => Some(Scalar::Whole(whole)),
                None => number.as_f64().map(Scalar::Float),
            },
            _ => None,
        }
    }
}

impl Scalar<'_> {
    fn cmp(&self, other: &Scalar<'_>) -> Ordering {
        match (self, other) {
            (Scalar::Text(one), Scalar::Text(other)) => one.cmp(other),
            (Scalar::Bool(one), Scalar::Bool(other)) => one.cmp(other),
            (Scalar::Whole(one), Scalar::Whole(other)) => one.cmp(other),
            // JSON has neither infinities nor what is no number.
            (Scalar::Float(one), Scalar::Float(other)) => one.partial_cmp(other).unwrap_or(Ordering::Equal),
            (Scalar::Whole(one), Scalar::Float(other)) => whole_to_float(*one, *other),
            (Scalar::Float(one), Scalar::Whole(other)) => whole_to_float(*other, *one).reverse(),
            // They are of one kind.
            _ => Ordering::Equal,
        }
    }
}

impl PartialEq for Scalar<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Scalar<'_> {}

impl PartialOrd for Scalar<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(Ord::cmp(self, other))
    }
}

impl Ord for Scalar<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        Scalar::cmp(self, other)
    }
}

/// Exactly: a float may be between two whole numbers that it cannot tell from each other.
fn whole_to_float(whole: i64, float: f64) -> Ordering {
    const ABOVE_ALL: f64 = 9_223_372_036_854_775_808.0;
    if float >= ABOVE_ALL {
        Ordering::Less
    } else if float < -ABOVE_ALL {
        Ordering::Greater
    } else {
        let fraction = float.fract().partial_cmp(&0.0).unwrap_or(Ordering::Equal);
        whole.cmp(&(float.trunc() as i64)).then(fraction.reverse())
    }
}
