//! Everything of Minos that runs. Use it through the `minos` crate.

#![warn(missing_docs)]

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
pub mod aggregate;
pub mod auth;
pub mod broker;
pub mod clock;
mod codec;
pub mod config;
pub mod context;
pub mod contract;
pub mod discovery;
pub mod document;
mod error;
mod failpoint;
pub mod handler;
pub mod health;
pub mod http;
pub mod message;
pub mod metrics;
pub mod projection;
pub mod saga;
mod sample;
pub mod schedule;
#[cfg(feature = "sensitive")]
mod sensitive;
mod service;
pub mod stop;
pub mod store;
mod sync;
mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(any(feature = "auth", feature = "discovery", feature = "otel"))]
mod tls;
mod trace;

pub use aggregate::{
    Aggregate, AggregateRef, EntitySet, Event, Field, Fields, HoldError, Recorded, Ref, Resolved, Root, SchemaError, Seen, Unresolved,
    Validate, ValidationError, ValueSet, Violations,
};
pub use auth::User;
pub use config::Config;
#[cfg(feature = "sensitive")]
pub use context::SubjectForgotten;
pub use context::{Context, SagaStep};
pub use document::Document;
pub use error::{Error, ErrorKind, Problem, ProblemDef, Result, ResultExt};
pub use handler::{Headers, Path, Query, Response};
pub use jiff::Timestamp;
pub use message::Message;
pub use projection::{Projection, View};
pub use saga::Saga;
#[cfg(feature = "sensitive")]
pub use sensitive::Sensitive;
// For the gateway, which has the page of all services.
#[doc(hidden)]
pub use service::operator;
pub use service::{Running, Service};
// For programs of ours that are no services.
#[doc(hidden)]
pub use telemetry::{flush as flush_logs, init as init_logs};
pub use trace::Trace;
pub use uuid::Uuid;
