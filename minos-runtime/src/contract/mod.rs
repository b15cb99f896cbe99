//! What a service promises to others, told from its code: as OpenAPI for who calls it by HTTP, as AsyncAPI for who sends it messages, and as
//! `contract.json`, which is made to be committed and compared.
//!
//! Nothing of it is written by the user. What types look like is traced from how they are read (`sample`).

mod asyncapi;
mod collect;
mod export;
mod model;
mod openapi;
mod problems;

pub use export::Format;
pub(crate) use export::{Documents, export, wanted};

use crate::{handler::HandlerDef, saga::SagaDef};

/// What a service consists of.
pub(crate) struct Parts<'p> {
    pub(crate) service: &'p str,
    /// Whether handlers are closed that are not `public`.
    pub(crate) is_closed: bool,
    pub(crate) handlers: &'p [&'static HandlerDef],
    pub(crate) sagas: &'p [&'static SagaDef],
    /// Whether a module is one of its own.
    pub(crate) owns: &'p dyn Fn(&str) -> bool,
}
