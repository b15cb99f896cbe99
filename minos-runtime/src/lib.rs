//! Everything of Minos that runs. Use it through the `minos` crate.

pub mod clock;
mod error;
pub mod store;

pub use error::{Error, ErrorKind, ProblemDef, Result, ResultExt};

/// What the expansions of the macros name. Not public API.
#[doc(hidden)]
pub mod private;
#[doc(hidden)]
pub use private as __private;
