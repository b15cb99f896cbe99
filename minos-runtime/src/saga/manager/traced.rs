//! The spans of executions and of the attempts at their steps. They are told when all of it has passed, by whichever process sees the end: an execution may
//! take days, and outlive all who have begun it.

use super::{State, measured};
use crate::{
    saga::{Call, Execution, Plan, StepStatus, Work},
    store::{Cause, SagaRow},
    telemetry::{Passed, Span, SpanKind},
    trace::Trace,
};
use jiff::Timestamp;
use std::time::SystemTime;
use uuid::Uuid;

/// An attempt that was under way before a turn.
struct Attempt {
    call: Call,
    status: StepStatus,
    since: Timestamp,
}

/// The attempts at remote steps that were under way before a turn, if anybody wants to know.
pub(super) struct Attempts {
    of: Option<(Trace, Vec<Attempt>)>,
    due: bool,
}

/// What the span of an attempt at a remote step is known by. Who does the step, in the same service perhaps, has a span that the message is known by.
fn number(call: &Call, execution: Uuid) -> Uuid {
    Uuid::new_v5(&call.message_id(execution), b"attempt")
}

impl State {
    /// The place of an execution in the trace of whoever started it.
    fn place_of_execution(&self, row: &SagaRow) -> Option<Trace> {
        self.environment.spans.place_of(row.cause.trace, row.id)
    }

    /// The place to which the message of an attempt belongs.
    pub(super) fn place_of_attempt(&self, row: &SagaRow, call: &Call) -> Option<Trace> {
        self.environment.spans.place_of(row.cause.trace, number(call, row.id))
    }

    /// The attempts that are under way.
    pub(super) fn attempts(&self, plan: &Plan, row: &SagaRow, execution: &Execution, due: bool) -> Attempts {
        let place = self.place_of_execution(row).filter(|place| self.environment.spans.are_kept() && place.is_sampled());
        let under_way = || {
            let remote = execution.under_way(plan).filter(|(step, _)| matches!(step.work, Work::Remote { .. }));
            let attempt = |call: Call| {
                let state = execution.steps.get(&call.step)?;
                Some(Attempt { call, status: state.status, since: state.changed_at })
            };
            remote.filter_map(|(_, call)| attempt(call)).collect()
        };
        Attempts { of: place.map(|place| (place, under_way())), due }
    }

    /// Tells the attempts that are not under way any more.
    pub(super) fn tell_attempts(&self, attempts: Attempts, execution: &Execution) {
        let Some((parent, all)) = attempts.of else { return };
        for Attempt { call, status, since } in all {
            let Some(state) = execution.steps.get(&call.step).filter(|_| !execution.is_under_way(&call)) else { continue };
            let outcome = measured::ended(Some(status), state, attempts.due).map_or("", |(_, outcome)| outcome);
            let failed = matches!(outcome, "failed" | "timed_out");
            let why = || state.error.as_ref().map_or_else(|| outcome.to_owned(), |error| error.message.clone());
            let passed = Passed {
                kind: SpanKind::Client,
                name: call.to_string().into(),
                parent: Some(parent),
                about: number(&call, execution.id),
                start: time(since),
                end: time(execution.changed_at),
                error: failed.then(why),
            };
            self.environment.spans.tell(passed, || {
                vec![
                    ("minos.saga.name".into(), execution.saga.clone().into()),
                    ("minos.saga.execution".into(), execution.id.into()),
                    ("minos.saga.attempt".into(), i64::from(call.attempt).into()),
                    ("minos.saga.outcome".into(), outcome.into()),
                ]
            });
        }
    }

    /// Tells an execution that has ended.
    pub(super) fn tell_execution(&self, execution: &Execution, cause: &Cause) {
        let passed = Passed {
            kind: SpanKind::Internal,
            name: format!("saga {}", execution.saga).into(),
            parent: cause.trace,
            about: execution.id,
            start: time(execution.started_at),
            end: time(execution.changed_at),
            error: execution.failure.as_ref().map(|failure| failure.message.clone()),
        };
        self.environment.spans.tell(passed, || {
            vec![
                ("minos.saga.name".into(), execution.saga.clone().into()),
                ("minos.saga.execution".into(), execution.id.into()),
                ("minos.saga.status".into(), execution.status.name().into()),
                ("minos.correlation_id".into(), cause.correlation.into()),
            ]
        });
    }

    /// Begins the span of a local step, by which the events that it records are found.
    pub(super) fn local_span(&self, row: &SagaRow, call: &Call) -> Span {
        // All attempts record under the id of the first one.
        let (about, parent) = (call.message_id(row.id), self.place_of_execution(row));
        let mut span = self.environment.spans.begin(SpanKind::Internal, parent, row.cause.correlation, Some(about), || call.to_string());
        if span.is_kept() {
            span.set("minos.saga.name", row.saga.clone());
            span.set("minos.saga.execution", row.id);
            span.set("minos.saga.attempt", i64::from(call.attempt));
        }
        span
    }
}

fn time(at: Timestamp) -> SystemTime {
    at.into()
}
