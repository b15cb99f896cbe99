//! How the types of the user are read: from JSON, or from samples, which are values of any type that serde reads. From those it is seen what a type
//! looks like, with nothing written by the user.
//!
//! Of samples, all that is simple comes first: `0`, `""`, `None`, the first variant. What a type refuses is replaced by the next one, such as a UUID or
//! a time in place of `""`.

mod fault;
mod json;
#[cfg(test)]
mod json_tests;
mod maker;
mod open;
mod reader;
mod sampler;
mod schema;
mod seen;
#[cfg(any(test, feature = "testing"))]
mod shape;
#[cfg(test)]
mod tests;
mod tracer;

pub(crate) use fault::{Class, Fault};
pub(crate) use json::Json;
pub(crate) use reader::Reader;
pub(crate) use schema::{Schema, reference};
pub(crate) use seen::seen;
pub use seen::{NotTraced, Of, Seen};
#[cfg(any(test, feature = "testing"))]
pub(crate) use shape::{Difference, Shape};
pub(crate) use tracer::Tracer;

use maker::{Maker, ROOT};
use sampler::Sampler;
use serde::de::DeserializeOwned;
#[cfg(any(test, feature = "testing"))]
use std::any::type_name;
use thiserror::Error;

/// How many values are tried.
const TRIES: usize = 5_000;

/// No value of a type could be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no sample of `{ty}` could be made{}: {why}", place(.at))]
pub struct NoSample {
    /// The type.
    pub ty: &'static str,
    /// Where in it, by the names of fields.
    pub at: Vec<String>,
    /// What the type says.
    pub why: String,
}

fn place(at: &[String]) -> String {
    if at.is_empty() { String::new() } else { format!(" at `{}`", at.join(".")) }
}

#[cfg(any(test, feature = "testing"))]
/// A value of this type: the first one that it does not refuse.
///
/// # Errors
/// If it refuses everything that was tried, as types do that say nothing about themselves before they are read (`#[serde(tag)]`, `#[serde(flatten)]`).
pub fn sample<T: DeserializeOwned>() -> Result<T, NoSample> {
    find(&mut Maker::default())
}

#[cfg(any(test, feature = "testing"))]
/// The shape of a type as it is stored, with values that show as much of it as there is: options that are some, lists that are not empty, and each variant of
/// each enum, one after the other. Or why none can be made.
pub(crate) fn trace<T: DeserializeOwned>(mut made: impl FnMut(Result<T, NoSample>)) -> Shape {
    let mut maker = Maker::full();
    made(find(&mut maker));
    // Not without end, whatever a type does.
    for _ in 0..TRIES {
        if !maker.wants_more() {
            break;
        }
        // What is refused now was refused before, or is a variant of which there is none.
        if let Ok(value) = find(&mut maker) {
            made(Ok(value));
        }
    }
    maker.shape()
}
#[cfg(any(test, feature = "testing"))]
fn find<T: DeserializeOwned>(maker: &mut Maker) -> Result<T, NoSample> {
    #[cfg(feature = "sensitive")]
    let _sampling = crate::sensitive::sampling();
    // The one that came furthest says most.
    let mut furthest: Option<(usize, NoSample)> = None;
    for _ in 0..TRIES {
        maker.begin();
        let error = match T::deserialize(Reader::Sample(Sampler { maker, depth: 0, node: ROOT })) {
            Ok(value) => return Ok(value),
            Err(error) => error.to_string(),
        };
        if maker.is_alias(&error) {
            continue;
        }
        if furthest.as_ref().is_none_or(|(reached, _)| *reached < maker.made) {
            let why = NoSample { ty: type_name::<T>(), at: maker.path.clone(), why: error };
            furthest = Some((maker.made, why));
        }
        if !maker.next() {
            break;
        }
    }
    let nothing = || NoSample { ty: type_name::<T>(), at: Vec::new(), why: "it was not tried".to_owned() };
    Err(furthest.map_or_else(nothing, |(_, why)| why))
}
