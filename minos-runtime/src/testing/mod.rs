//! For tests of services, with the feature `testing`, which belongs into the dev-dependencies alone:
//!
//! ```toml
//! [dev-dependencies]
//! minos = { version = "0.1", features = ["testing"] }
//! ```
//!
//! [`given`] begins a test of an aggregate: given what happened, when this is done, then that happens. [`SagaTest`] drives a saga by its replies, [`CrashMatrix`] lets it live through whatever can happen (`minos::crash_matrix!` is the test of one line), and
//! [`TestService`] is what local steps and handlers work on.

mod aggregate;
mod saga;
mod service;

pub use crate::sample::{NoSample, sample};
pub use aggregate::{Changed, CreatedAs, Expected, Given, Gone, Then, given};
pub use saga::{Coverage, CrashMatrix, MatrixError, SagaTest, Sent, StepTest};
pub use service::TestService;
