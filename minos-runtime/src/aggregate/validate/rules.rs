//! The rules of `#[validate(…)]`. Each says what is wrong, if something is. What is `None` is not looked at.

use crate::aggregate::{EntitySet, ValueSet};
use jiff::Timestamp;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    fmt::Display,
    ops::Bound,
};

/// What has a length: text in characters, everything else in items.
#[diagnostic::on_unimplemented(
    message = "a `{Self}` has no length",
    label = "this rule is for text, lists, maps and sets",
    note = "for numbers there is `range(1..=9)`, and for everything `with = path_of_a_function`"
)]
pub trait Length {
    /// The length, if there is something.
    fn length(&self) -> Option<usize>;
}

/// What is text.
#[diagnostic::on_unimplemented(
    message = "a `{Self}` is no text",
    label = "this rule is for `String` and `Option<String>`",
    note = "for everything else there is `with = path_of_a_function`"
)]
pub trait Text {
    /// Whether messages may show it.
    const SHOWN: bool = true;

    /// The text, if there is one.
    fn text(&self) -> Option<&str>;
}

/// What is a number or a time.
#[diagnostic::on_unimplemented(
    message = "a `{Self}` is no number",
    label = "this rule is for numbers and timestamps",
    note = "for text, lists, maps and sets there is `length(1..=9)`, and for everything `with = path_of_a_function`"
)]
pub trait Number {
    /// What it is compared with.
    type Of: PartialOrd + Display;

    /// The number, if there is one.
    fn number(&self) -> Option<&Self::Of>;
}

macro_rules! lengths {
    ($($ty:ty: <$($of:ident),+>;)+) => {$(
        impl<$($of),+> Length for $ty {
            fn length(&self) -> Option<usize> {
                Some(self.len())
            }
        }
    )+};
}

lengths! {
    Vec<T>: <T>;
    VecDeque<T>: <T>;
    BTreeSet<T>: <T>;
    BTreeMap<K, T>: <K, T>;
    HashSet<T, S>: <T, S>;
    HashMap<K, T, S>: <K, T, S>;
    EntitySet<T>: <T>;
    ValueSet<T>: <T>;
}

macro_rules! texts {
    ($($ty:ty),+) => {$(
        impl Text for $ty {
            fn text(&self) -> Option<&str> {
                Some(self)
            }
        }
        impl Length for $ty {
            fn length(&self) -> Option<usize> {
                Some(self.chars().count())
            }
        }
    )+};
}

texts!(String, Box<str>, Cow<'_, str>);

macro_rules! numbers {
    ($($ty:ty)+) => {$(
        impl Number for $ty {
            type Of = $ty;
            fn number(&self) -> Option<&$ty> {
                Some(self)
            }
        }
    )+};
}

numbers!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64 Timestamp);

impl<T: Length> Length for Option<T> {
    fn length(&self) -> Option<usize> {
        self.as_ref()?.length()
    }
}

/// Rules whose messages do not show the value.
#[cfg(feature = "sensitive")]
impl<T: Length> Length for crate::Sensitive<T> {
    fn length(&self) -> Option<usize> {
        self.expose()?.length()
    }
}

#[cfg(feature = "sensitive")]
impl<T: Text> Text for crate::Sensitive<T> {
    const SHOWN: bool = false;

    fn text(&self) -> Option<&str> {
        self.expose()?.text()
    }
}

impl<T: Text> Text for Option<T> {
    const SHOWN: bool = T::SHOWN;

    fn text(&self) -> Option<&str> {
        self.as_ref()?.text()
    }
}

impl<T: Number> Number for Option<T> {
    type Of = T::Of;
    fn number(&self) -> Option<&T::Of> {
        self.as_ref()?.number()
    }
}

/// `length(1..=9)`
pub fn length<T: Length>(value: &T, low: Bound<usize>, high: Bound<usize>) -> Option<String> {
    let length = value.length()?;
    let wrong = outside(&length, &low, &high)?;
    Some(format!("has a length of {length}, and it has to be {wrong}"))
}

/// `not_empty`
pub fn not_empty<T: Length>(value: &T) -> Option<String> {
    (value.length()? == 0).then(|| "is empty".to_owned())
}

/// `range(1..=9)`
pub fn range<T: Number>(value: &T, low: Bound<T::Of>, high: Bound<T::Of>) -> Option<String> {
    let number = value.number()?;
    let wrong = outside(number, &low, &high)?;
    Some(format!("is {number}, and has to be {wrong}"))
}

/// What it should be, if it is not. What cannot be compared, as no number is, is outside.
fn outside<N: PartialOrd + Display>(number: &N, low: &Bound<N>, high: &Bound<N>) -> Option<String> {
    let above = match low {
        Bound::Included(low) => number >= low,
        Bound::Excluded(low) => number > low,
        Bound::Unbounded => true,
    };
    let below = match high {
        Bound::Included(high) => number <= high,
        Bound::Excluded(high) => number < high,
        Bound::Unbounded => true,
    };
    let low = match low {
        Bound::Included(low) => format!("at least {low}"),
        Bound::Excluded(low) => format!("more than {low}"),
        Bound::Unbounded => String::new(),
    };
    let high = match high {
        Bound::Included(high) => format!("at most {high}"),
        Bound::Excluded(high) => format!("less than {high}"),
        Bound::Unbounded => String::new(),
    };
    let and = if low.is_empty() || high.is_empty() { "" } else { " and " };
    (!above || !below).then(|| format!("{low}{and}{high}"))
}

/// `email`: one `@` with something before it, and the name of a host behind it, as browsers look at it.
pub fn email<T: Text>(value: &T) -> Option<String> {
    let text = value.text()?;
    let is_one = text.len() <= 254
        && text.split_once('@').is_some_and(|(local, host)| {
            let plain = |c: char| c.is_ascii_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c);
            (1..=64).contains(&local.len()) && local.chars().all(plain) && is_host(host)
        });
    (!is_one).then(|| "is no e-mail address".to_owned())
}

fn is_host(host: &str) -> bool {
    host.split('.').all(|label| {
        let plain = label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        plain && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    })
}

/// `url`: a whole one, with a scheme and a host.
pub fn url<T: Text>(value: &T) -> Option<String> {
    let text = value.text()?;
    let is_one = text.parse::<http::Uri>().is_ok_and(|uri| uri.scheme().is_some() && uri.host().is_some_and(|host| !host.is_empty()));
    (!is_one).then(|| "is no URL".to_owned())
}

/// `one_of("a", "b")`
pub fn one_of<T: Text>(value: &T, these: &[&str]) -> Option<String> {
    let text = value.text()?;
    let what = if T::SHOWN { format!("is `{text}`, and has") } else { "has".to_owned() };
    (!these.contains(&text)).then(|| format!("{what} to be one of {}", quoted(these)))
}

fn quoted(these: &[&str]) -> String {
    these.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", ")
}

/// `one_of(1, 2)`
pub fn one_of_numbers<T: Number>(value: &T, these: &[T::Of]) -> Option<String> {
    let number = value.number()?;
    let all = || these.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    (!these.contains(number)).then(|| format!("is {number}, and has to be one of {}", all()))
}
