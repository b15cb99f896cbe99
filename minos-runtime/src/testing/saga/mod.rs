//! The test kit for sagas: one execution that the test drives, and one that lives through everything.

mod drive;
mod invariants;
mod matrix;
mod script;
mod search;
mod story;
#[cfg(test)]
mod tests;
mod world;

pub use drive::{SagaTest, Sent, StepTest};
pub use matrix::{Coverage, CrashMatrix, MatrixError};
