//! What tests of the manager need: a saga of one remote step, one with a local step beside that, and executions of them.

use super::Manager;
use crate::{
    clock,
    context::{Environment, Resources},
    health::Health,
    metrics::Metrics,
    saga::{Node, Outgoing, Plan, Policy, Retry, SagaDef, Step, StepKind, Work},
    store::{Cause, Lease, MemoryStore, SagaRow, Store},
};
use jiff::Timestamp;
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use uuid::Uuid;

const ASK: Step = Step {
    name: "ask",
    kind: StepKind::Compensable,
    output: None,
    timeout: Some(Duration::from_millis(1)),
    retry: None,
    sample: || Ok(Value::Null),
    work: Work::Remote {
        execute: |_| Ok(Outgoing { name: "Ask", key: None, content: b"{}".to_vec() }),
        read: |_| Ok(Value::Null),
        on_success: None,
        on_error: None,
        undo: None,
    },
};

/// Runs until the test says that it is done.
const WORK: Step = Step {
    name: "work",
    timeout: None,
    work: Work::Local {
        execute: |cx, _| {
            Box::pin(async {
                let job = cx.resource::<Arc<Job>>()?.clone();
                job.begun.add_permits(1);
                job.done.acquire().await?.forget();
                Ok(Value::Null)
            })
        },
        undo: None,
    },
    ..ASK
};

const NODES: &[Node] = &[Node::Step(ASK)];
const BOTH_NODES: &[Node] = &[Node::Parallel(&[&[Node::Step(WORK)], &[Node::Step(Step { timeout: None, ..ASK })]])];

/// The name of the same saga, isolated.
pub(super) const ISOLATED: &str = "AskAll";
static DEF: SagaDef = SagaDef { name: "Ask", input: &[], isolated: false, nodes: NODES, module: "", file: "", line: 0 };
static ALL: SagaDef = SagaDef { name: ISOLATED, isolated: true, ..DEF };
static BOTH: SagaDef = SagaDef { name: "Both", nodes: BOTH_NODES, ..DEF };

/// How the work of local steps goes.
pub(super) struct Job {
    /// One for each time that it was begun.
    pub(super) begun: Semaphore,
    /// One for each that may end.
    pub(super) done: Semaphore,
}

fn plan_of(def: &'static SagaDef) -> Plan {
    let patient = Retry { attempts: 1, first_pause: Duration::from_secs(1), longest_pause: Duration::from_secs(1) };
    Plan::of(def, Policy { timeout: Duration::from_secs(1), patient }).unwrap()
}

fn plan() -> Plan {
    plan_of(&DEF)
}

/// The isolated one.
pub(super) fn isolated() -> Plan {
    plan_of(&ALL)
}

/// A manager of the sagas, its store, and a lease of it.
pub(super) async fn world(alarm_after: Duration) -> (Manager, Arc<MemoryStore>, Lease) {
    let store = Arc::new(MemoryStore::new());
    let (manager, _) = process(&store, alarm_after).await;
    let lease = store.acquire("a lease", Uuid::now_v7(), Duration::from_secs(60)).await.unwrap().unwrap();
    (manager, store, lease)
}

/// A manager of the sagas, and what its local steps do.
pub(super) async fn process(store: &Arc<MemoryStore>, alarm_after: Duration) -> (Manager, Arc<Job>) {
    let (mut resources, job) = (Resources::default(), Arc::new(Job { begun: Semaphore::new(0), done: Semaphore::new(0) }));
    resources.insert(job.clone());
    let environment = Arc::new(Environment::new("x", store.clone(), clock::system(), resources, Metrics::new("x")));
    let plans = vec![plan(), isolated(), plan_of(&BOTH)];
    let manager = Manager::new(environment, plans, 1, alarm_after, &Health::new(clock::system())).await.unwrap();
    (manager, job)
}

/// A new execution that cannot be read.
pub(super) fn row() -> SagaRow {
    SagaRow {
        id: Uuid::now_v7(),
        saga: "Ask".to_owned(),
        key: None,
        definition: plan().hash().to_owned(),
        status: "running".to_owned(),
        ended: false,
        wake: None,
        version: 1,
        state: "{}".to_owned(),
        cause: Cause::nobody(),
        started_at: Timestamp::UNIX_EPOCH,
        changed_at: Timestamp::UNIX_EPOCH,
    }
}
