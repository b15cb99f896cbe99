//! Sagas: work over several services that ends as a whole, or is undone.

mod definition;
mod values;

pub use definition::{LocalWork, Node, Outgoing, Output, Retry, Saga, SagaDef, Step, StepKind, Undo, Work};
pub use values::Values;
