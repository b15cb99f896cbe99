//! A value of any type, for tests that need one and do not care which.

use super::{
    Shape, TRIES,
    maker::{Maker, ROOT},
    reader::Reader,
    sampler::Sampler,
};
use serde::de::DeserializeOwned;
use std::any::type_name;
use thiserror::Error;

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

/// A value of this type: the first one that it does not refuse.
///
/// # Errors
/// If it refuses everything that was tried, as types do that say nothing about themselves before they are read (`#[serde(tag)]`, `#[serde(flatten)]`).
pub fn sample<T: DeserializeOwned>() -> Result<T, NoSample> {
    find(&mut Maker::default())
}

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
