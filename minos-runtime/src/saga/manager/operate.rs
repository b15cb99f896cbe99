//! What an operator sees of executions, and does about them.

use super::{Manager, turn::Loaded};
use crate::{
    context::store_error,
    error::{Error, Result},
    saga::{Execution, Input, Repair, SagaDef, diagram, svg},
    store::{Append, NewEvent, SagaFilter, SagaRow, StreamId, Unit},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The name of the streams in which repairs are recorded: one for each execution that was repaired.
const STREAM: &str = "Saga";
/// The name of their events.
const REPAIRED: &str = "SagaRepaired";

/// What an operator has done about an execution, as its event says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SagaRepaired {
    /// The saga.
    pub saga: String,
    /// What was done.
    pub repair: Repair,
    /// Who has done it, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When.
    pub at: Timestamp,
}

impl Manager {
    /// Executions as they are stored: at most `limit` with an id above `after`, in the order of their ids.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn list(&self, filter: SagaFilter, after: Option<Uuid>, limit: usize) -> Result<Vec<SagaRow>> {
        self.0.environment.store.sagas(filter, after, limit).await.map_err(store_error)
    }

    /// One execution: each step with its attempts, times and last error.
    ///
    /// # Errors
    /// If there is none with this id.
    pub async fn show(&self, id: Uuid) -> Result<Execution> {
        let row = self.0.environment.store.saga(id).await.map_err(store_error)?.ok_or_else(|| nothing(id))?;
        Ok(serde_json::from_str(&row.state)?)
    }

    /// An execution as a flow chart in the language of Mermaid, with how far it has come.
    ///
    /// # Errors
    /// If there is none with this id.
    pub async fn diagram(&self, id: Uuid) -> Result<String> {
        let execution = self.show(id).await?;
        Ok(diagram(self.0.plan(&execution.saga)?.definition(), Some(&execution)))
    }

    /// The same as an image, in SVG.
    ///
    /// # Errors
    /// If there is none with this id.
    pub async fn svg(&self, id: Uuid) -> Result<String> {
        let execution = self.show(id).await?;
        Ok(svg(self.0.plan(&execution.saga)?.definition(), Some(&execution)))
    }

    /// The definition of a saga of this service, for [`diagram`] and [`svg`].
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn definition(&self, saga: &str) -> Result<&'static SagaDef> {
        let plan = self.0.plans.get(saga).ok_or_else(|| Error::not_found(format!("there is no saga `{saga}`")))?;
        Ok(plan.definition())
    }

    /// Repairs an execution, and records it: as an event, and with the execution.
    ///
    /// # Errors
    /// If there is no such execution, or it cannot be repaired in this way: the error says why, and nothing has changed.
    pub async fn repair(&self, id: Uuid, repair: Repair, by: Option<String>) -> Result<Execution> {
        let record = |loaded: &mut Loaded<'_>, unit: &mut Unit| {
            unit.cause.user = by.clone().map(Into::into).or(unit.cause.user.take());
            let repairs = &mut loaded.execution.repairs;
            let repaired = SagaRepaired { saga: loaded.row.saga.clone(), repair: repair.clone(), by: by.clone(), at: unit.at };
            let events = vec![NewEvent { name: REPAIRED.into(), data: serde_json::to_string(&repaired)? }];
            unit.appends.push(Append { stream: StreamId::new(STREAM, id), expected: repairs.len() as u64, events });
            repairs.push(repaired);
            Ok(Input::Repair(repair.clone()))
        };
        self.0.turn(id, record).await?.ok_or_else(|| nothing(id))?;
        let execution = self.show(id).await;
        let saga = execution.as_ref().map(|execution| execution.saga.as_str()).unwrap_or_default();
        tracing::warn!(saga, execution = %id, ?repair, by, "an operator has repaired a saga");
        execution
    }
}

fn nothing(id: Uuid) -> Error {
    Error::not_found(format!("there is no execution {id}"))
}
