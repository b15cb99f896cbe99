//! Who keeps something for a step asks how its execution ends.
//!
//! An execution that has not ended tells that by itself, again and again: being asked it only does so once more, also where it has given up. One that has
//! ended says what it has come to. Of one that is not there nothing is said: it may have ended and been removed, or the store may have been lost, and
//! what others have applied long ago must not be dropped here on a guess.

use super::{
    Manager,
    turn::{Turned, end_message},
};
use crate::{
    context::store_error,
    error::Result,
    message::{Direction, Envelope, StepCall},
    metrics::AlarmLabels,
    saga::{Call, Execution, Input, Plan},
    store::{Cause, SagaRow, Unit},
};

impl Manager {
    /// Takes a question. When this ends well it is not needed any more.
    ///
    /// # Errors
    /// If the store does not take the answer.
    pub async fn asked(&self, question: &Envelope) -> Result<()> {
        let Some(step) = question.step() else { return Ok(()) };
        let environment = &self.0.environment;
        match environment.store.saga(step.execution).await.map_err(store_error)? {
            None => self.tell_unknown(step),
            Some(row) if row.ended => self.tell_end(&row, step, &question.name).await?,
            Some(_) => {
                let turned = self.0.turn(step.execution, |_, _| Ok(Input::Asked { step: step.step.clone() })).await?;
                if let Some(Turned::Same(effects)) = turned
                    && !effects.is_empty()
                {
                    self.0.send_again(step.execution, effects).await?;
                }
            }
        }
        Ok(())
    }

    /// Says how an execution has ended. Its definition may have changed since, so the answer goes by what was stored, to the handler that has asked.
    async fn tell_end(&self, row: &SagaRow, step: &StepCall, name: &str) -> Result<()> {
        let (execution, environment) = (serde_json::from_str::<Execution>(&row.state)?, &self.0.environment);
        let commit = execution.applied(&step.step);
        let (direction, attempt) = commit.map_or((step.direction, step.attempt), |attempt| (Direction::Commit, attempt));
        let call = Call { step: step.step.clone(), direction, attempt };
        let mut unit = Unit::new(environment.clock.now(), Cause::nobody());
        unit.messages.push(end_message(row, &call, commit.is_none(), name, None, unit.at)?);
        environment.commit(unit).await.map_err(store_error)?;
        tracing::info!(saga = row.saga, execution = %row.id, step = step.step, status = row.status, "a step has asked how its saga has ended, and is told");
        Ok(())
    }

    fn tell_unknown(&self, StepCall { saga, execution, step, .. }: &StepCall) {
        tracing::error!(
            saga, %execution, step,
            "a step asks how an execution has ended that is not there: it was removed, or the store was restored without it. What the step keeps stays as it is \
             until an operator says what becomes of it, at the service that has done it"
        );
        // Only names that this service has: others could be without end.
        let plan = self.0.plans.get(saga.as_str());
        let step = plan.and_then(|plan| plan.step(step)).map_or("", |step| step.name);
        let labels = AlarmLabels { saga: plan.map_or("", Plan::name).to_owned(), step: step.to_owned(), why: "unknown" };
        self.0.environment.metrics.saga_alarms.get_or_create(&labels).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Manager, kit};
    use super::*;
    use crate::{
        message::saga_topic,
        saga::{Attempts, Moment, Status, StepState, StepStatus, Values},
        store::{MemoryStore, OutboxRow, SagaWrite, Store},
    };
    use jiff::Timestamp;
    use std::{sync::Arc, time::Duration};
    use uuid::Uuid;

    async fn world() -> (Manager, Arc<MemoryStore>) {
        let (manager, store, _) = kit::world(Duration::from_secs(3600)).await;
        (manager, store)
    }

    /// An isolated execution whose step is prepared, and stands like this.
    async fn stored(store: &MemoryStore, saga: &str, status: Status, step: StepStatus, by_hand: bool) -> Uuid {
        let (moment, id) = (Moment { now: Timestamp::UNIX_EPOCH, jitter: 0.0 }, Uuid::now_v7());
        let plan = kit::isolated();
        let mut execution = Execution::new(&plan, id, Values::default(), moment.now);
        let attempts = Attempts { execute: 1, commit: 3, abort: 3, ..Attempts::default() };
        let holds = if by_hand { vec![Direction::Execute] } else { vec![] };
        let state = StepState {
            status: step,
            attempts,
            limit: 3,
            started_at: moment.now,
            changed_at: moment.now,
            due: None,
            in_doubt: false,
            error: None,
            holds,
        };
        execution.steps.insert("ask".to_owned(), state);
        (execution.status, execution.version, execution.decided) = (status, 1, status != Status::RolledBack);
        let row = SagaRow {
            id,
            saga: saga.to_owned(),
            definition: plan.hash().to_owned(),
            status: status.name().to_owned(),
            ended: status.is_final(),
            state: serde_json::to_string(&execution).unwrap(),
            ..kit::row()
        };
        store.commit(Unit { sagas: vec![SagaWrite { expected: 0, row }], ..Unit::new(moment.now, Cause::nobody()) }).await.unwrap();
        id
    }

    /// Who has prepared the step asks. What it is told: the direction and the attempt, and whether only that all has ended.
    async fn told(manager: &Manager, store: &MemoryStore, execution: Uuid) -> Vec<(Direction, u32, bool)> {
        let mut request = Envelope::request(Uuid::now_v7(), "Ask", None, "{}", Timestamp::UNIX_EPOCH, Cause::nobody());
        request.saga = Some(StepCall::new(execution, kit::ISOLATED, "ask", Direction::Execute, 1));
        request.reply_to = Some(saga_topic("x"));
        let before = store.outbox(0, 100).await.unwrap().len();
        let question = request.question(Timestamp::UNIX_EPOCH).unwrap();
        assert!(question.is_for_saga() && question.topic == manager.topic());
        manager.asked(&question).await.unwrap();
        let rows = store.outbox(0, 100).await.unwrap().split_off(before);
        let read = |row: OutboxRow| {
            let message = Envelope::of_row(row).unwrap();
            assert_eq!((message.topic.as_str(), message.name.as_str()), ("Ask", "Ask"));
            let call = message.saga.unwrap();
            assert_eq!((call.execution, call.step.as_str(), call.asks), (execution, "ask", false));
            (call.direction, call.attempt, call.release)
        };
        rows.into_iter().map(read).collect()
    }

    #[tokio::test]
    async fn what_is_decided_is_told_again_also_where_it_was_given_up() {
        let (manager, store) = world().await;
        for (direction, status) in [(Direction::Commit, Status::Committing), (Direction::Abort, Status::Compensating)] {
            let under_way = stored(&store, kit::ISOLATED, status, StepStatus::UnderWay(direction), false).await;
            assert_eq!(told(&manager, &store, under_way).await, [(direction, 3, false)], "the same attempt");
            for waits in [StepStatus::Pausing(direction), StepStatus::Stuck(direction)] {
                let execution = stored(&store, kit::ISOLATED, status, waits, false).await;
                assert_eq!(told(&manager, &store, execution).await, [(direction, 4, false)], "{waits:?}");
                assert_eq!(store.saga(execution).await.unwrap().unwrap().version, 2);
            }
        }
    }

    #[tokio::test]
    async fn what_is_not_decided_is_not_told() {
        let (manager, store) = world().await;
        for step in [StepStatus::UnderWay(Direction::Execute), StepStatus::Succeeded, StepStatus::Failed] {
            let execution = stored(&store, kit::ISOLATED, Status::Running, step, false).await;
            assert_eq!(told(&manager, &store, execution).await, [], "{step:?}");
        }
    }

    #[tokio::test]
    async fn how_it_has_ended_is_told_by_what_was_stored() {
        let (manager, store) = world().await;
        // The second one's definition is not there any more.
        for saga in [kit::ISOLATED, "Gone"] {
            let committed = stored(&store, saga, Status::Committed, StepStatus::Applied, false).await;
            assert_eq!(told(&manager, &store, committed).await, [(Direction::Commit, 3, false)]);
            let by_hand = stored(&store, saga, Status::Committed, StepStatus::Applied, true).await;
            assert_eq!(told(&manager, &store, by_hand).await, [(Direction::Execute, 1, true)], "it was applied by other means");
            let rolled_back = stored(&store, saga, Status::RolledBack, StepStatus::Undone, false).await;
            assert_eq!(told(&manager, &store, rolled_back).await, [(Direction::Execute, 1, true)]);
        }
    }

    /// It may have been committed, and what others have applied then must not be dropped here.
    #[tokio::test]
    async fn of_what_is_not_there_nothing_is_said_but_to_the_operator() {
        let (manager, store) = world().await;
        assert_eq!(told(&manager, &store, Uuid::now_v7()).await, []);
        let text = manager.0.environment.metrics.text();
        assert!(text.contains(r#"minos_saga_alarms_total{service="x",saga="AskAll",step="ask",why="unknown"} 1"#), "{text}");
    }
}
