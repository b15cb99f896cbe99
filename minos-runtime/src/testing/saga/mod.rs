//! The test kit for sagas: one execution that the test drives, and one that lives through everything.

mod drive;
mod event;
mod invariants;
mod matrix;
mod participant;
mod script;
mod search;
mod step;
mod story;
#[cfg(test)]
mod tests;
mod turn;
mod world;

pub use drive::{SagaTest, Sent};
pub use matrix::{Coverage, CrashMatrix, MatrixError};
pub use step::StepTest;
