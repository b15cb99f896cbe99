//! For whom a handler works: a step of a saga.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A step of an execution of a saga: for whom a handler works, and who holds an aggregate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SagaStep {
    /// The saga.
    pub saga: String,
    /// Its execution.
    pub execution: Uuid,
    /// The service whose saga it is.
    pub service: String,
    /// The step.
    pub step: String,
}
