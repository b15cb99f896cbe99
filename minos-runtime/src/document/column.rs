//! Fields of documents and aggregates, as queries name them, and what can be asked of them.

use crate::store::{Direction, Field, FieldPath, Filter, Kind, Op, Order};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use std::{fmt, marker::PhantomData, ops::Not};
use uuid::Uuid;

/// Where the document of an aggregate has its state.
pub(crate) const STATE: &str = "state";

/// A field of `D` whose values are `T`. Written by `#[document]` and `#[aggregate(queryable)]`: `Balance::cents()`.
pub struct Column<D, T> {
    name: &'static str,
    /// The object that it is in, if that is not the document itself.
    inside: Option<&'static str>,
    of: PhantomData<fn() -> (D, T)>,
}

impl<D, T> Clone for Column<D, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<D, T> Copy for Column<D, T> {}

impl<D, T> fmt::Debug for Column<D, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What can be compared with a field of type `T`: a `T`, and what stands for one, such as `&str` for `String`.
#[diagnostic::on_unimplemented(
    message = "a field of type `{T}` cannot be compared with a `{Self}`",
    label = "of another type than the field"
)]
pub trait Operand<T> {
    /// As it is stored.
    #[doc(hidden)]
    fn operand(self) -> Value;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize> Operand<T> for T {
    fn operand(self) -> Value {
        stored(&self)
    }
}
#[diagnostic::do_not_recommend]
impl<T: Serialize> Operand<Option<T>> for T {
    fn operand(self) -> Value {
        stored(&self)
    }
}
impl Operand<String> for &str {
    fn operand(self) -> Value {
        self.into()
    }
}
impl Operand<Option<String>> for &str {
    fn operand(self) -> Value {
        self.into()
    }
}

/// A value as JSON. What cannot be written equals nothing that is stored.
fn stored(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

/// A type whose values have an order in the store: numbers, texts, times, truth values, and optional ones, of which `None` comes first.
#[diagnostic::on_unimplemented(
    message = "values of type `{Self}` have no order in the store",
    label = "cannot be compared by size, nor be sorted by",
    note = "numbers, `String`, `bool`, `Timestamp`, `Uuid` and `Option`s of them have one"
)]
pub trait Ordered {
    /// How they are compared.
    #[doc(hidden)]
    const KIND: Kind;
}

macro_rules! ordered {
    ($kind:ident: $($ty:ty)*) => {$(
        impl Ordered for $ty {
            const KIND: Kind = Kind::$kind;
        }
    )*};
}

ordered!(Number: i8 i16 i32 i64 isize u8 u16 u32 u64 usize f32 f64);
ordered!(Text: String char Uuid);
ordered!(Bool: bool);
ordered!(Time: Timestamp);

impl<T: Ordered> Ordered for Option<T> {
    const KIND: Kind = T::KIND;
}

/// What has to hold of a document or an aggregate.
#[must_use]
pub struct Condition<D> {
    filter: Filter,
    /// Why it cannot be asked for.
    wrong: Option<String>,
    of: PhantomData<fn() -> D>,
}

impl<D> Clone for Condition<D> {
    fn clone(&self) -> Self {
        Condition { filter: self.filter.clone(), wrong: self.wrong.clone(), of: PhantomData }
    }
}

impl<D> fmt::Debug for Condition<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.filter.fmt(f)
    }
}

impl<D> Condition<D> {
    fn of(filter: Filter) -> Self {
        Condition { filter, wrong: None, of: PhantomData }
    }

    /// Holds of all.
    pub fn always() -> Self {
        Condition::of(Filter::All(Vec::new()))
    }

    /// Both have to hold.
    pub fn and(self, other: Self) -> Self {
        self.with(other, Filter::All)
    }

    /// One of them has to hold, or both.
    pub fn or(self, other: Self) -> Self {
        self.with(other, Filter::Any)
    }

    fn with(self, other: Self, join: impl FnOnce(Vec<Filter>) -> Filter) -> Self {
        Condition { filter: join(vec![self.filter, other.filter]), wrong: self.wrong.or(other.wrong), of: PhantomData }
    }

    /// As the store takes it, or why it cannot be asked for.
    pub(super) fn into_filter(self) -> std::result::Result<Filter, String> {
        match self.wrong {
            Some(wrong) => Err(wrong),
            None => Ok(self.filter),
        }
    }
}

/// It has not to hold.
impl<D> Not for Condition<D> {
    type Output = Self;
    fn not(self) -> Self {
        Condition { filter: Filter::Not(Box::new(self.filter)), ..self }
    }
}

/// A field to sort by, and how.
#[must_use]
pub struct Ordering<D> {
    order: Order,
    of: PhantomData<fn() -> D>,
}

impl<D> fmt::Debug for Ordering<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.order.fmt(f)
    }
}

impl<D> Ordering<D> {
    pub(super) fn into_order(self) -> Order {
        self.order
    }
}

/// A field alone sorts upwards.
impl<D, T: Ordered> From<Column<D, T>> for Ordering<D> {
    fn from(column: Column<D, T>) -> Self {
        column.ascending()
    }
}

impl<D, T> Column<D, T> {
    /// The field of this name of a document, as it is stored.
    #[doc(hidden)]
    pub const fn of_document(name: &'static str) -> Self {
        Column { name, inside: None, of: PhantomData }
    }

    /// The field of this name of an aggregate, whose document has its state inside.
    #[doc(hidden)]
    pub const fn of_aggregate(name: &'static str) -> Self {
        Column { name, inside: Some(STATE), of: PhantomData }
    }

    fn path(self) -> FieldPath {
        self.inside.into_iter().chain([self.name]).map(Into::into).collect()
    }

    pub(super) fn field(self, kind: Kind) -> Field {
        Field { path: self.path(), kind }
    }

    /// The field, compared as this value is.
    fn like(self, value: &Value) -> Result<Field, String> {
        let kind = match value {
            Value::Null | Value::String(_) => Kind::Text,
            Value::Number(_) => Kind::Number,
            Value::Bool(_) => Kind::Bool,
            Value::Array(_) | Value::Object(_) => {
                return Err(format!(
                    "the field `{}` is compared with {value}, and the store compares texts, numbers and truth values only",
                    self.name
                ));
            }
        };
        Ok(self.field(kind))
    }

    fn asked(self, value: &Value, filter: impl FnOnce(Field) -> Filter) -> Condition<D> {
        match self.like(value) {
            Ok(field) => Condition::of(filter(field)),
            Err(wrong) => Condition { wrong: Some(wrong), ..Condition::always() },
        }
    }

    /// It equals this value.
    pub fn eq(self, value: impl Operand<T>) -> Condition<D> {
        match value.operand() {
            Value::Null => Condition::of(Filter::IsNull(self.path())),
            value => self.asked(&value.clone(), |field| Filter::Compare { field, op: Op::Eq, value }),
        }
    }

    /// It does not equal this value.
    pub fn ne(self, value: impl Operand<T>) -> Condition<D> {
        !self.eq(value)
    }

    /// It equals one of these values.
    pub fn is_in<O: Operand<T>>(self, values: impl IntoIterator<Item = O>) -> Condition<D> {
        let values: Vec<_> = values.into_iter().map(Operand::operand).collect();
        match values.first() {
            Some(first) => self.asked(&first.clone(), |field| Filter::In { field, values }),
            None => Condition::of(Filter::Any(Vec::new())),
        }
    }
}

impl<D, T: Ordered> Column<D, T> {
    fn compared(self, op: Op, value: Value) -> Condition<D> {
        Condition::of(Filter::Compare { field: self.field(T::KIND), op, value })
    }

    /// It is less than this value.
    pub fn lt(self, value: impl Operand<T>) -> Condition<D> {
        self.compared(Op::Lt, value.operand())
    }

    /// It is at most this value.
    pub fn le(self, value: impl Operand<T>) -> Condition<D> {
        self.compared(Op::Le, value.operand())
    }

    /// It is greater than this value.
    pub fn gt(self, value: impl Operand<T>) -> Condition<D> {
        self.compared(Op::Gt, value.operand())
    }

    /// It is at least this value.
    pub fn ge(self, value: impl Operand<T>) -> Condition<D> {
        self.compared(Op::Ge, value.operand())
    }

    /// To sort by, the least first.
    pub fn ascending(self) -> Ordering<D> {
        self.sorted(Direction::Ascending)
    }

    /// To sort by, the greatest first.
    pub fn descending(self) -> Ordering<D> {
        self.sorted(Direction::Descending)
    }

    fn sorted(self, direction: Direction) -> Ordering<D> {
        Ordering { order: Order { field: self.field(T::KIND), direction }, of: PhantomData }
    }
}

impl<D, T> Column<D, Option<T>> {
    /// There is none.
    pub fn is_none(self) -> Condition<D> {
        Condition::of(Filter::IsNull(self.path()))
    }

    /// There is one.
    pub fn is_some(self) -> Condition<D> {
        !self.is_none()
    }
}

/// A text, or an optional one.
#[diagnostic::on_unimplemented(message = "a field of type `{Self}` is no text", label = "no text")]
pub trait Text {}
impl Text for String {}
impl Text for Option<String> {}

impl<D, T: Text> Column<D, T> {
    /// It begins with this text.
    pub fn starts_with(self, text: impl Into<String>) -> Condition<D> {
        Condition::of(Filter::StartsWith { path: self.path(), prefix: text.into() })
    }

    /// This text is somewhere in it.
    pub fn contains(self, text: impl Into<String>) -> Condition<D> {
        Condition::of(Filter::Contains { path: self.path(), part: text.into() })
    }
}

impl<D, T> Column<D, Vec<T>> {
    /// This is one of its items.
    pub fn has(self, item: impl Operand<T>) -> Condition<D> {
        let item = item.operand();
        self.asked(&item.clone(), |field| Filter::Has { field, item })
    }
}
