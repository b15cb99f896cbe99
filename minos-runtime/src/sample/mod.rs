//! How the types of the user are read: from JSON, or from samples, which are values of any type that serde reads. From those it is seen what a type
//! looks like, with nothing written by the user.
//!
//! Of samples, all that is simple comes first: `0`, `""`, `None`, the first variant. What a type refuses is replaced by the next one, such as a UUID or
//! a time in place of `""`.

mod fault;
mod json;
#[cfg(test)]
mod json_tests;
mod learned;
#[cfg(test)]
mod look_tests;
mod loose;
#[cfg(any(test, feature = "testing"))]
mod made;
mod maker;
mod open;
mod reader;
mod sampler;
mod schema;
mod seen;
#[cfg(any(test, feature = "testing"))]
mod shape;
#[cfg(test)]
mod tagged_tests;
#[cfg(test)]
mod tagged_types;
#[cfg(test)]
mod tests;
mod tracer;

pub(crate) use fault::{Class, Fault};
pub(crate) use json::Json;
#[cfg(any(test, feature = "testing"))]
pub(crate) use made::trace;
#[cfg(any(test, feature = "testing"))]
pub use made::{NoSample, sample};
pub(crate) use reader::Reader;
pub(crate) use schema::{Readers, Schema, reference, rename, unmark};
pub(crate) use seen::seen;
pub use seen::{Look, NotTraced, Of, Seen};
#[cfg(any(test, feature = "testing"))]
pub(crate) use shape::{Difference, Shape};
pub(crate) use tracer::Tracer;

/// How many values are tried.
const TRIES: usize = 5_000;
