//! Sagas: work over several services that ends as a whole, or is undone.

#[doc(hidden)]
pub mod call;
mod definition;
mod diagram;
mod hash;
mod lock;
mod manager;
mod plan;
mod state;
#[cfg(test)]
pub(crate) mod tests;
mod transition;
mod values;
mod view;

pub use crate::message::Direction;
pub use definition::{LocalWork, Node, Outgoing, Output, Retry, Saga, SagaDef, Step, StepKind, Undo, Work};
pub use diagram::{diagram, svg};
pub use hash::{canonical, hash};
pub use lock::{LockError, check_lock, lock_text};
#[cfg(any(test, feature = "testing"))]
pub(crate) use manager::apply_or_release;
pub use manager::{Manager, Run, SagaRepaired, Start, Unfinished};
#[cfg(any(test, feature = "testing"))]
pub(crate) use plan::decision_key;
pub use plan::{IllegalSaga, Plan, Policy, Wrong};
pub use state::{Attempts, Decision, Execution, Failure, Status, StepState, StepStatus};
#[cfg(any(test, feature = "testing"))]
pub(crate) use transition::read;
pub use transition::{Call, Effect, Input, Moment, Outcome, Repair, TransitionError, transition};
pub use values::Values;
pub use view::{SagaValue, Slot, View, slot};
