//! Reactive microservices from plain structs and functions.
//!
//! A plain struct becomes an event-sourced aggregate, a plain `async fn` becomes a handler, and the program becomes a durable service:
//!
//! ```no_run
#![doc = include_str!("../examples/foo/main.rs")]
//! ```

#![warn(missing_docs)]

/// The guide, whose examples are compiled.
#[cfg(doctest)]
#[doc = include_str!("../docs/guide.md")]
struct Guide;

/// The README, whose example is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use minos_macros::{Aggregate, Problem, aggregate, aggregate_ref, command, event, main, message, periodic, query};
pub use minos_runtime::*;

/// What a service needs, in one line: `use minos::prelude::*;`.
pub mod prelude {
    pub use crate::{
        Aggregate, Context, Error, ErrorKind, Event, Headers, Message, Path, Query, Ref, Response, Result, ResultExt, Root, Service,
        Timestamp, User, Uuid, aggregate, aggregate_ref, bail, command, ensure, event, message, periodic, query,
    };
    pub use minos_runtime::__private::serde::{self, Deserialize, Serialize};
}
