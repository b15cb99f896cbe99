//! Reactive microservices from plain structs and functions.

pub use minos_macros::*;
pub use minos_runtime::*;

/// What a service needs, in one line: `use minos::prelude::*;`.
pub mod prelude {
    pub use crate::{
        Aggregate, Context, Error, ErrorKind, Event, Headers, Message, Path, Query, Ref, Response, Result, ResultExt, Root, Timestamp,
        User, Uuid,
    };
    pub use minos_runtime::__private::serde::{Deserialize, Serialize};
    pub use minos_runtime::{bail, ensure};
}
