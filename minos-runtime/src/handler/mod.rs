//! Handlers: how they are registered, what they take and answer, and how one is run.

mod answer;
mod described;
mod extract;
mod headers;
#[cfg(test)]
mod outdated;
mod probe;
mod registry;
mod request;
mod run;
mod strings;
mod traced;

pub use crate::auth::{Access, User};
pub use answer::{Answer, HandlerError, Response};
pub(crate) use answer::{Ended, Kept};
pub use described::About;
pub use extract::{FromRequest, Path, Query};
pub use headers::Headers;
pub(crate) use probe::{Asked, Parameter, parameters};
pub use registry::{Handle, HandlerDef, Kind};
pub use request::{Content, Parameters, Request};
pub(crate) use request::{Parts, PathSource};
pub use run::{Job, Once, Runner};
