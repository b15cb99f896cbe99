//! One turn of an execution.

use super::{State, measured::Stood};
use crate::{
    aggregate::{Prepared, apply, release, taken},
    context::{NewExecution, is_outage, store_error},
    error::{Error, ErrorKind, Result},
    failpoint,
    message::{Envelope, StepCall},
    metrics::{AlarmLabels, SagaEndLabels, SagaLabels},
    saga::{Call, Effect, Execution, Input, Moment, Outgoing, Plan, TransitionError, Values, Work, transition},
    store::{Cause, NewMessage, SagaRow, SagaWrite, Store, StoreError, StreamId, Unit},
};
use jiff::{SignedDuration, Timestamp};
use std::{collections::VecDeque, time::Duration};
use uuid::Uuid;

/// How often a turn is tried again because another one was faster. Turns of one process wait for each other, so only other processes can make it so many.
const ATTEMPTS: u32 = 16;

/// How long a local step counts as running, unless the process that runs it says so again. After that it is taken for dead.
pub(super) const CLAIM: Duration = Duration::from_secs(10);

/// What is to be done once a turn is committed.
#[derive(Default)]
pub(super) struct Todo {
    runs: Vec<Call>,
    alarms: Vec<String>,
    finished: bool,
}

/// An execution as it was loaded.
pub(super) struct Loaded<'s> {
    pub(super) plan: &'s Plan,
    pub(super) row: SagaRow,
    pub(super) execution: Execution,
}

/// What became of a turn.
pub(super) enum Turned {
    /// It is committed.
    Committed,
    /// It changes nothing; these are to be done again.
    Same(Vec<Effect>),
}

impl State {
    pub(super) fn plan(&self, saga: &str) -> Result<&Plan> {
        let missing = || Error::internal(format!("the service `{}` has no saga `{saga}`", self.environment.service));
        self.plans.get(saga).ok_or_else(missing)
    }

    fn moment(&self, now: Timestamp) -> Moment {
        Moment { now, jitter: fastrand::f64() }
    }

    pub(super) async fn load(&self, id: Uuid) -> Result<Option<Loaded<'_>>> {
        match self.environment.store.saga(id).await.map_err(store_error)? {
            None => Ok(None),
            Some(row) => Ok(Some(Loaded { plan: self.plan(&row.saga)?, execution: serde_json::from_str(&row.state)?, row })),
        }
    }

    /// Where the turns of one execution in this process wait for each other.
    pub(super) fn place(id: Uuid) -> StreamId {
        StreamId::new("saga", id)
    }

    /// Something has happened to an execution, as `what` says of it as it is now; what else belongs to that it adds to both. `None` if there is no such
    /// execution.
    pub(super) async fn turn(&self, id: Uuid, what: impl Fn(&mut Loaded<'_>, &mut Unit) -> Result<Input>) -> Result<Option<Turned>> {
        let _turn = self.environment.hot.queue(&Self::place(id)).await;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let Some(mut loaded) = self.load(id).await? else { return Ok(None) };
            let mut unit = Unit::new(self.environment.clock.now(), cause(&loaded.row));
            let input = what(&mut loaded, &mut unit)?;
            match self.advance(loaded, input, unit).await {
                Ok(turned) => return Ok(Some(turned)),
                Err(error) if attempt < ATTEMPTS && is_overtaken(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes a turn, in one unit with what is collected there already.
    pub(super) async fn advance(&self, loaded: Loaded<'_>, input: Input, mut unit: Unit) -> Result<Turned> {
        let Loaded { plan, row, mut execution } = loaded;
        let (before, was_decided, cause) = (execution.version, execution.decided, row.cause.clone());
        let what = failpoint::detail(format_args!("{input}"));
        failpoint::pass(failpoint::SAGA_LOADED, format_args!("{what}"));
        execution.holds.extend(taken(&unit));
        let due = matches!(input, Input::Due);
        let (stood, attempts) = (Stood::of(plan, &execution, due), self.attempts(plan, &row, &execution, due));
        let effects = transition(plan, &mut execution, input, self.moment(unit.at)).map_err(refused)?;
        if execution.version == before {
            return Ok(Turned::Same(effects));
        }
        let todo = self.carry_out(&mut unit, plan, &row, &mut execution, effects)?;
        apply_or_release(&*self.environment.store, &mut unit, plan, &mut execution, was_decided).await?;
        write(&mut unit, plan, row, before, &execution)?;
        failpoint::pass(failpoint::SAGA_COMMIT_BEFORE, format_args!("{what}"));
        self.environment.commit(unit).await.map_err(store_error)?;
        failpoint::pass(failpoint::SAGA_COMMIT_AFTER, format_args!("{what}"));
        stood.measure(plan, &execution, &self.environment.metrics);
        self.tell_attempts(attempts, &execution);
        self.settle(&execution, &cause, todo);
        failpoint::pass(failpoint::SAGA_SETTLED, format_args!("{what}"));
        Ok(Turned::Committed)
    }

    /// Adds a new execution to a unit, and says what is to be done once that is committed.
    pub(super) fn put_new(&self, unit: &mut Unit, new: NewExecution) -> Result<(Execution, Todo)> {
        let plan = self.plan(new.saga)?;
        let values: Values = serde_json::from_value(new.values)?;
        let mut execution = Execution::new(plan, new.id, values, unit.at);
        let effects = transition(plan, &mut execution, Input::Started, self.moment(unit.at)).map_err(refused)?;
        let row = SagaRow {
            id: new.id,
            saga: new.saga.to_owned(),
            key: new.key,
            definition: plan.hash().to_owned(),
            status: String::new(),
            ended: false,
            wake: None,
            version: 0,
            state: String::new(),
            cause: unit.cause.clone(),
            started_at: unit.at,
            changed_at: unit.at,
        };
        let todo = self.carry_out(unit, plan, &row, &mut execution, effects)?;
        write(unit, plan, row, 0, &execution)?;
        Ok((execution, todo))
    }

    /// Adds to a unit what follows from a turn, and says what is to be done then.
    fn carry_out(&self, unit: &mut Unit, plan: &Plan, row: &SagaRow, execution: &mut Execution, effects: Vec<Effect>) -> Result<Todo> {
        let (mut todo, mut effects) = (Todo::default(), VecDeque::from(effects));
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Send { call, message } => match self.message(plan, row, &call, message, unit.at) {
                    Ok(message) => unit.messages.push(message),
                    // What can never be sent has failed.
                    Err(error) => {
                        let input = Input::Ended { call, result: Err(error), holds: false };
                        let more = transition(plan, execution, input, self.moment(unit.at));
                        effects.extend(more.map_err(refused)?);
                    }
                },
                Effect::Release { call, message: Outgoing { name, key, .. } } => {
                    unit.messages.push(end_message(row, &call, true, name, key, unit.at)?);
                }
                Effect::Run { call } => todo.runs.push(call),
                Effect::Alarm { step } => todo.alarms.push(step),
                Effect::Finished => todo.finished = true,
            }
        }
        Ok(todo)
    }

    fn message(&self, plan: &Plan, row: &SagaRow, call: &Call, message: Outgoing, at: Timestamp) -> Result<NewMessage> {
        let (id, Outgoing { name, key, content }) = (row.id, message);
        self.environment.fits(name, content.len())?;
        let key = key.unwrap_or_else(|| id.to_string());
        let cause = Cause { trace: self.place_of_attempt(row, call), ..cause(row) };
        let mut envelope = Envelope::request(call.message_id(id), name, Some(key), content, at, cause);
        let step = StepCall::new(id, row.saga.as_str(), call.step.as_str(), call.direction, call.attempt);
        envelope.saga = Some(StepCall { isolated: plan.is_isolated(), ..step });
        envelope.reply_to = Some(self.topic.clone());
        envelope.into_row()
    }

    /// Does what is to be done once a turn is committed.
    pub(super) fn settle(&self, execution: &Execution, cause: &Cause, todo: Todo) {
        let (id, saga, metrics, correlation) = (execution.id, &execution.saga, &self.environment.metrics, cause.correlation);
        if execution.version == 1 {
            metrics.sagas_started.get_or_create(&SagaLabels { saga: saga.clone() }).inc();
        }
        for step in todo.alarms {
            let why = execution.steps.get(&step).and_then(|state| state.error.as_ref()).map_or("", |error| error.message.as_str());
            tracing::error!(saga, execution = %id, %correlation, step, error = why, "a saga waits for an operator");
            metrics.saga_alarms.get_or_create(&AlarmLabels { saga: saga.clone(), step, why: "stuck" }).inc();
        }
        if todo.finished {
            let status = execution.status.name();
            metrics.sagas_ended.get_or_create(&SagaEndLabels { saga: saga.clone(), status }).inc();
            tracing::info!(saga, execution = %id, %correlation, status, error = execution.failure.as_ref().map(|failure| failure.message.as_str()), "saga ended");
            self.tell_execution(execution, cause);
            self.waiters.tell(execution);
        }
        for call in todo.runs {
            self.begin_run(id, call);
        }
        if let Some(due) = execution.due() {
            self.alarm.by(due);
        }
    }

    /// Sends again what was sent for an execution that has not changed since.
    pub(super) async fn send_again(&self, id: Uuid, effects: Vec<Effect>) -> Result<()> {
        let Some(Loaded { plan, row, .. }) = self.load(id).await? else { return Ok(()) };
        let mut unit = Unit::new(self.environment.clock.now(), cause(&row));
        for effect in effects {
            if let Effect::Send { call, message } = effect {
                unit.messages.push(self.message(plan, &row, &call, message, unit.at)?);
            }
        }
        if !unit.is_empty() {
            self.environment.commit(unit).await.map_err(store_error)?;
        }
        Ok(())
    }

    /// Begins again in this process what was under way here.
    pub(super) async fn resume(&self, id: Uuid) -> Result<()> {
        let Some(loaded) = self.load(id).await? else { return Ok(()) };
        let (version, due, now) = (loaded.row.version, loaded.execution.due(), self.environment.clock.now());
        let Turned::Same(effects) = self.advance(loaded, Input::Resumed, Unit::new(now, Cause::nobody())).await? else { return Ok(()) };
        for effect in effects {
            // What was to be sent is in the outbox since.
            if let Effect::Run { call } = effect {
                self.begin_run(id, call);
            }
        }
        self.put_off(id, version, due).await
    }

    /// Says that a local step of an execution still runs here, unless it does not count any more. Its other steps may have gone on meanwhile.
    pub(super) async fn renew(&self, id: Uuid) -> Result<()> {
        let loaded = match self.load(id).await {
            Err(error) if is_outage(&error) => return Err(error),
            // It is told when its time has come.
            Ok(None) | Err(_) => return Ok(()),
            Ok(Some(loaded)) => loaded,
        };
        if !local_calls(loaded.plan, &loaded.execution).any(|call| self.runs.has(id, call)) {
            return Ok(());
        }
        self.put_off(id, loaded.row.version, loaded.execution.due()).await
    }

    /// Says that somebody still works on an execution, which is to be looked at when its time comes.
    pub(super) async fn put_off(&self, id: Uuid, version: u64, due: Option<Timestamp>) -> Result<()> {
        let claimed = after(self.environment.clock.now(), CLAIM);
        let at = due.map_or(claimed, |due| due.min(claimed));
        self.environment.store.wake_saga(id, version, at).await.map_err(store_error)
    }

    /// Counts an execution that a handler has begun, and begins what it has to do here.
    pub(super) async fn take_up(&self, id: Uuid) {
        match self.load(id).await {
            Ok(Some(Loaded { plan, row, execution })) => {
                let runs = local_calls(plan, &execution).collect();
                self.settle(&execution, &row.cause, Todo { runs, alarms: Vec::new(), finished: execution.status.is_final() });
            }
            Ok(None) => {}
            // Whoever looks after what is not claimed any more begins it.
            Err(error) => tracing::warn!(execution = %id, error = error.chain(), "a saga begins later than it could"),
        }
    }
}

/// Adds to a unit what follows from a turn for what local steps have done: what those of an isolated saga have prepared is applied in the unit that decides it,
/// and what they hold is released in the one that ends it.
pub(crate) async fn apply_or_release(
    store: &dyn Store,
    unit: &mut Unit,
    plan: &Plan,
    execution: &mut Execution,
    was_decided: bool,
) -> Result<()> {
    if execution.decided && !was_decided {
        let (holds, mut prepared) = (std::mem::take(&mut execution.holds), std::mem::take(&mut execution.prepared));
        apply(store, unit, execution.id, &holds).await?;
        for Prepared { messages, statements } in plan.steps().iter().filter_map(|step| prepared.remove(step.name)) {
            unit.messages.extend(messages);
            unit.statements.extend(statements);
        }
    } else if execution.status.is_final() {
        release(store, unit, execution.id, &execution.holds).await?;
        execution.prepared.clear();
    }
    Ok(())
}

/// Says to whom did a step how the execution has ended, or only that it has. Nobody has to answer.
pub(super) fn end_message(row: &SagaRow, call: &Call, release: bool, name: &str, key: Option<String>, at: Timestamp) -> Result<NewMessage> {
    let (id, key) = (Uuid::new_v5(&call.message_id(row.id), b"release"), key.unwrap_or_else(|| row.id.to_string()));
    let mut envelope = Envelope::request(id, name, Some(key), "null", at, cause(row));
    envelope.saga =
        Some(StepCall { release, ..StepCall::new(row.id, row.saga.as_str(), call.step.as_str(), call.direction, call.attempt) });
    envelope.into_row()
}

/// Adds a changed execution to a unit.
fn write(unit: &mut Unit, plan: &Plan, row: SagaRow, expected: u64, execution: &Execution) -> Result<()> {
    let row = SagaRow {
        status: execution.status.name().to_owned(),
        ended: execution.status.is_final(),
        wake: wake(plan, execution, unit.at),
        version: execution.version,
        state: serde_json::to_string(execution)?,
        changed_at: execution.changed_at,
        ..row
    };
    unit.sagas.push(SagaWrite { expected, row });
    Ok(())
}

/// The attempts that are under way in this service.
pub(super) fn local_calls(plan: &Plan, execution: &Execution) -> impl Iterator<Item = Call> {
    execution.under_way(plan).filter(|(step, _)| matches!(step.work, Work::Local { .. })).map(|(_, call)| call)
}

/// When somebody has to look at it.
fn wake(plan: &Plan, execution: &Execution, now: Timestamp) -> Option<Timestamp> {
    let claimed = local_calls(plan, execution).next().map(|_| after(now, CLAIM));
    execution.due().into_iter().chain(claimed).min()
}

pub(super) fn after(now: Timestamp, time: Duration) -> Timestamp {
    SignedDuration::try_from(time).ok().and_then(|time| now.checked_add(time).ok()).unwrap_or(Timestamp::MAX)
}

/// Why what an execution does happens.
pub(super) fn cause(row: &SagaRow) -> Cause {
    Cause { causation: row.id, ..row.cause.clone() }
}

/// Why a transition was refused: by the operator's own wish, or by a definition that is not that of the execution.
fn refused(error: TransitionError) -> Error {
    match &error {
        TransitionError::Refused { why, .. } => Error::new(ErrorKind::Conflict, why.clone()).caused_by(error),
        _ => Error::internal(error.to_string()),
    }
}

/// Whether another turn of the same execution was faster, or somebody who wrote to what it holds.
pub(super) fn is_overtaken(error: &Error) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::SagaMoved { .. } | StoreError::Conflict { .. }))
}
